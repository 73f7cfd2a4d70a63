"""Measurements of the project, each run by hand: ``python -m benchmarks.NAME``."""

import sys

from trainer.entry_point import loading

if sys.argv[0] == "-m":  # so long as Python looks for the program that it was asked to run
    loading()
