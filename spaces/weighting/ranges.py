"""The ranges of a weighting's fields are declared, and values are checked against them."""

from __future__ import annotations

from typing import Literal

from spaces.counts import as_number
from spaces.errors import WeightingError
from spaces.weighting.fields import Interval

SQRT_RATIO: Literal["sqrt_ratio"] = "sqrt_ratio"


RANGES = {
    "exponent": Interval(0),
    "link": Interval(0, 1),
    "beta": Interval(0, 1, high_open=True),
    # Far beyond 1, nu says E(n) = n, which is written by leaving nu out.
    "nu": Interval(0, 1e12, low_open=True),
    "split_quantile": Interval(0, 1, low_open=True, high_open=True),
    "head_ratio": Interval(0, 1),
    "weight_range": Interval(1, 1e200),
    "shape": Interval(0, 1),
    "bump": Interval(-1, 1e6, low_open=True),
    "bump_center": Interval(0, 1),
    "bump_width": Interval(0, low_open=True),
    "clip_low": Interval(0, 1),
    "clip_high": Interval(0, 1),
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
