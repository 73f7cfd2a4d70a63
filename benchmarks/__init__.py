"""Measurements of the project, each run by hand: ``python -m benchmarks.NAME``."""
