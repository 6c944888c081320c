"""Pictures and where they live: read and write them, plan the jobs, draw comparisons.

It knows nothing of nets and models.
"""
