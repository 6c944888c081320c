"""Measure models on data sets and report what they reach."""
