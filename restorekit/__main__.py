"""Run restorekit as `python -m restorekit`."""

from restorekit.cli import main

main()
