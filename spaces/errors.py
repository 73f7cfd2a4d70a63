"""Errors that the user mends: each has one sentence that names the value, the rule and what to do.

A command line prints the sentence and exits with 2; any other exception is a defect of the program.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: its one sentence names the value, the rule it breaks and what to do."""


class FieldError(UserError):
    """A field of what is asked for that breaks a rule; its sentence begins with the field's name.

    A command line writes its option in place of the name.
    """


class WeightingError(ValueError):
    """A weighting, its parameters or its class counts broke a rule; it shows key and value."""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """The question whether the most similar known word is meant, "" if none is similar."""
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.7)  # gpu is not like cpu
    return f" (did you mean {close[0]!r}?)" if close else ""
