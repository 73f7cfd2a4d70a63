"""Which errors are the user's to mend?

A command line prints the sentence and exits with 2; any other exception is a defect of the program.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: its one sentence names the value, the rule it breaks and what to do."""


class DataError(UserError):
    """Images, labels or a prepared file that are missing, damaged or not what was declared."""


class BenchmarkError(UserError):
    """A benchmark that is unknown or declared wrongly."""


class CheckpointError(Exception):
    """A checkpoint cannot be used or written; the sentence names the file and the remedy."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """The question whether the most similar known word is meant, "" if none is similar."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.7)  # gpu is not like cpu
    return f" (did you mean {close[0]!r}?)" if close else ""
