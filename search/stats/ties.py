"""Order of weightings by score, with a preference among those that reached the same."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

TIE = 1e-6
"""Scores that differ by no more are equal, but for rounding."""


def in_order(scores: Sequence[float], preference: Callable[[int], Any]) -> list[int]:
    """Return the indices of scores (k,), the highest first.

    Among equal ones, those of which each is within ``TIE`` of the next, the lowest ``preference``
    of the index comes first.
    """
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    tied = np.concatenate([[0], np.cumsum(-np.diff(values[order]) > TIE)]).tolist()
    places = dict(zip(order.tolist(), tied, strict=False))
    return sorted(places, key=lambda index: (places[index], preference(index)))


def number_of_values(content: Mapping[str, Any]) -> int:
    """Return how many values a JSON object holds, those of the objects in it included."""
    parts = content.values()
    return sum(number_of_values(part) if isinstance(part, Mapping) else 1 for part in parts)
