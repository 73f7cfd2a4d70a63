"""Rules for options of benchmarks, and the sentences on those that are broken."""

import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spaces.errors import UserError, did_you_mean


def check_choice(name: str, value: str, choices: Mapping[str, Any]) -> None:
    """Raise UserError unless ``value`` is one of ``choices``."""
    if value not in choices:
        meant = did_you_mean(value, choices)
        raise UserError(f"{name} is {value!r}{meant}; it must be one of {', '.join(choices)}.")


def check_minimum(name: str, value: float, minimum: float) -> None:
    """Raise UserError if ``value`` is below ``minimum`` or not a number."""
    if not value >= minimum:
        raise UserError(f"{name} is {value}; it must be at least {minimum}.")


def check_positive(name: str, value: float | None) -> None:
    """Raise UserError if ``value`` is given and is not above 0 and finite."""
    if value is not None and not 0 < value < math.inf:
        raise UserError(f"{name} is {value}; it must be more than 0 and finite.")


def check_out(out: Path, drawn: bool = False) -> None:
    """Raise UserError unless ``out`` names a file in an existing folder.

    With ``drawn``, matplotlib, which draws what is measured, must be there, too.
    """
    if not out.name or not out.parent.is_dir() or out.is_dir():
        raise UserError(f"--out is {out}; it must be a file name in an existing folder.")
    if drawn and find_spec("matplotlib") is None:
        raise UserError("matplotlib, which draws the results, is not installed; install it.")


def numbers(name: str, text: str, least: int = 1) -> list[int]:
    """Return the whole numbers of an option, ascending and each once; UserError for others."""
    words = text.split(",")
    if not all(word.isdecimal() and int(word) >= least for word in words):
        raise UserError(f"{name} is {text!r}; write whole numbers from {least}, such as 1,2,4.")
    return sorted({int(word) for word in words})
