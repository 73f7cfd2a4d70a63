"""The ranges of a weighting's fields are declared, and values are checked against them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from spaces.counts import as_number
from spaces.errors import WeightingError

SQRT_RATIO: Literal["sqrt_ratio"] = "sqrt_ratio"


@dataclass(frozen=True)
class _Interval:
    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"a finite number {'>' if self.low_open else '>='} {self.low:g}"
        left, right = "[("[self.low_open], "])"[self.high_open]
        return f"a number in {left}{self.low:g}, {self.high:g}{right}"


RANGES = {
    "exponent": _Interval(0),
    "link": _Interval(0, 1),
    "beta": _Interval(0, 1, high_open=True),
    # Far beyond 1, nu says E(n) = n, which is written by leaving nu out.
    "nu": _Interval(0, 1e12, low_open=True),
    "split_quantile": _Interval(0, 1, low_open=True, high_open=True),
    "head_ratio": _Interval(0, 1),
    "weight_range": _Interval(1, 1e200),
    "shape": _Interval(0, 1),
    "bump": _Interval(-1, 1e6, low_open=True),
    "bump_center": _Interval(0, 1),
    "bump_width": _Interval(0, low_open=True),
    "clip_low": _Interval(0, 1),
    "clip_high": _Interval(0, 1),
}
_OPTIONAL = frozenset({"beta", "nu", "split_quantile", "weight_range", "clip_low", "clip_high"})


def checked_number(name: str, value: object) -> float | str | None:
    """The value of a field of a weighting, numbers as floats; WeightingError out of its range."""
    interval = RANGES[name]
    if value is None and name in _OPTIONAL:
        return None
    if name == "weight_range" and value == SQRT_RATIO:
        return SQRT_RATIO
    number = as_number(value)
    if number in interval:
        return number
    extra = f' or "{SQRT_RATIO}"' if name == "weight_range" else ""
    none = " or None" if name in _OPTIONAL else ""
    raise WeightingError(f"{name}: got {value!r}; must be {interval}{extra}{none}")
