"""Class counts are checked: how many training images each class has, as a vector (C,)."""

from __future__ import annotations

import math
from numbers import Real
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spaces.errors import WeightingError

FloatArray: TypeAlias = npt.NDArray[np.float64]

EMPTY_CLASS = (
    "compute the weights of the classes with images, and insert 1.0 for a class without, "
    "where it is the weight of no image"
)
"""What to do about a count of 0: the loss needs a weight for each output of the network."""

_MAX_COUNT = 2**53


def check_counts(counts: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The class counts as int64 (C,), in the order given.

    Raises:
        WeightingError: empty, not one-dimensional, or an entry that is not a positive integer.
    """
    if callable(getattr(counts, "items", None)):
        raise WeightingError(
            f"class_counts: got a {type(counts).__name__}, whose counts have labels; "
            "pass a list of the counts, in the order of the classes"
        )
    if _are_counts(counts):
        return np.array(counts)
    # As objects, so that a stray string or bool is not converted before it is seen.
    entries = np.asarray(counts, dtype=object)
    if entries.ndim != 1 or entries.size == 0:
        raise WeightingError(
            f"class_counts: got shape {entries.shape}; must be one-dimensional (C,) with C >= 1; "
            "pass one count per class"
        )
    for index, entry in enumerate(entries):
        if not _is_count(entry):
            remedy = EMPTY_CLASS if as_number(entry) == 0 else f"correct the count of class {index}"
            raise WeightingError(
                f"class_counts[{index}]: got {entry!r}; must be a positive integer, at most 2**53; "
                f"{remedy}"
            )
    return entries.astype(np.int64)


def _are_counts(counts: npt.ArrayLike) -> bool:
    """Whether these are what `check_counts` returns: thousands of classes are then checked fast."""
    return (
        isinstance(counts, np.ndarray)
        and counts.dtype == np.int64
        and counts.ndim == 1
        and counts.size > 0
        and int(counts.min()) >= 1
        and int(counts.max()) <= _MAX_COUNT
    )


def as_number(value: object) -> float:
    """A real number as a float; NaN for anything else, bool included, which no range holds."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an integer beyond float64
        return math.inf


def _is_count(entry: object) -> bool:
    number = as_number(entry)
    return 1.0 <= number <= _MAX_COUNT and number.is_integer()
