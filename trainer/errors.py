"""Errors of a training: images, a benchmark or a checkpoint that cannot be used."""

from spaces.errors import UserError


class DataError(UserError):
    """Images, labels or a prepared file that are missing, damaged or not what was declared."""


class BenchmarkError(UserError):
    """A benchmark that is unknown or declared wrongly."""


class CheckpointError(Exception):
    """A checkpoint cannot be used or written; the sentence names the file and the remedy."""
