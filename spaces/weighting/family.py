"""A class weighting is a point of the family, which gives weights to any class counts.

The steps, for counts `n_c` of shape (C,), with `E(n) = (1 - beta^n) / (1 - beta)` the effective
number of Cui et al. (CVPR 2019), or `E(n) = n` when neither `beta` nor `nu` is given:

1. log-gap     `x_c = ln(E(n_max) / E(n_c))`, 0 for the most frequent class
2. exponent    `g_c = p x_c`; with a split at count `n_s`, whose log-gap is `x_s`,
               `g_c = p (h min(x_c, x_s) + max(x_c - x_s, 0))`;
               the range is `R = exp(max g)` unless it is given
3. shape       `t = g / max g`, then `t <- (1 - kappa) t + kappa (1 - cos(pi t)) / 2`
4. link        `w = (1 + (R^lambda - 1) t)^(1 / lambda)`; `lambda = 0` means `R^t`
5. bump        `w *= 1 + b exp(-(u - m)^2 / (2 sigma^2))`, `u` the log-gap of the counts in [0, 1]
6. clip        `w` into `[R^q_low, R^q_high]`
7. normalization

Where a step reads 0/0 because all classes are alike to it, it gives every class the same weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from spaces.counts import FloatArray, check_counts
from spaces.errors import WeightingError
from spaces.weighting.fields import check_keys, check_word, differing
from spaces.weighting.ranges import RANGES, SQRT_RATIO, checked_number

NORMALIZATIONS = ("none", "sum_to_one", "sum_to_classes", "mean_sample_one")

# exp(600) still leaves room in float64 for squares of sums of weights divided by their scale.
_MAX_LOG_RANGE = 600.0
# Below this the link differs from its limit by less than float64 shows, and 1 / link may overflow.
_SMALLEST_LINK = 1e-12


@dataclass(frozen=True)
class Weighting:
    """A point of the family; the default point is uniform weights.

    Attributes:
        exponent: p >= 0, the slope in the log-gap; with `weight_range` only p > 0 matters.
        link: lambda in [0, 1]; 0 is a power of the count, 1 is linear in the log-gap.
        beta: effective number in [0, 1) given directly, or None.
        nu: effective number > 0 portable across data sets, `beta = 1 - 1 / (nu n_max)` and at
            least 0, or None. At most one of `beta` and `nu`.
        split_quantile: s in (0, 1); the split count `n_s` is the s-quantile of the counts, or None.
        head_ratio: h = p_head / p in [0, 1], the slope above `n_s`; needs `split_quantile`.
        weight_range: R >= 1, "sqrt_ratio" for sqrt(n_max / n_min), or None for exp(max g).
        shape: kappa in [0, 1], from straight to raised cosine.
        bump: b > -1, the height of the mid-tail bump; 0 is off.
        bump_center: m in [0, 1] on the scaled log-gap.
        bump_width: sigma > 0 on the scaled log-gap.
        clip_low: q_low in [0, 1], weights are at least R^q_low, or None.
        clip_high: q_high in [0, 1], weights are at most R^q_high, or None.
        normalization: one of `NORMALIZATIONS`; "none" keeps the weight 1 the family gives to the
            most frequent class (before bump and clip).

    Raises:
        WeightingError: a field is out of its range, or two fields exclude each other.
    """

    exponent: float = 0.0
    link: float = 0.0
    beta: float | None = None
    nu: float | None = None
    split_quantile: float | None = None
    head_ratio: float = 1.0
    weight_range: float | Literal["sqrt_ratio"] | None = None
    shape: float = 0.0
    bump: float = 0.0
    bump_center: float = 0.55
    bump_width: float = 0.15
    clip_low: float | None = None
    clip_high: float | None = None
    normalization: str = "sum_to_classes"

    def __post_init__(self) -> None:
        for name in RANGES:
            object.__setattr__(self, name, checked_number(name, getattr(self, name)))
        check_word("normalization", self.normalization, NORMALIZATIONS)
        _check_combinations(self)

    def weights(self, counts: npt.ArrayLike) -> FloatArray:
        """The class weights, float64 (C,), finite and > 0, for positive integer counts (C,).

        Raises:
            WeightingError: the counts are not valid, or the point is too steep for them.
        """
        checked = check_counts(counts)
        return _normalize(_family(self, checked), checked, self.normalization)

    def to_dict(self) -> dict[str, float | str]:
        """The fields that differ from the default point, flat and JSON-able."""
        return differing(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Weighting:
        """The point that `to_dict` wrote; absent fields take their default.

        Raises:
            WeightingError: an unknown key, or a value of the wrong type or range.
        """
        check_keys(values, "weighting", [field.name for field in fields(cls)])
        return cls(**values)

    @property
    def is_uniform(self) -> bool:
        """Whether all classes weigh alike on any counts."""
        return self.exponent == 0.0 and self.bump == 0.0

    def describe(self) -> str:
        """One short line for people, such as `p=0.62 lambda=0.3 split s=0.5 h=0.2`."""
        parts = (
            (True, f"p={self.exponent:.4g}" if self.exponent else "uniform"),
            (self.link > 0.0, f"lambda={self.link:.4g}"),
            (self.beta is not None, f"beta={self.beta}"),
            (self.nu is not None, f"nu={_short(self.nu)}"),
            (
                self.split_quantile is not None,
                f"split s={_short(self.split_quantile)} h={self.head_ratio:.4g}",
            ),
            (self.weight_range is not None, f"R={_short(self.weight_range)}"),
            (self.shape > 0.0, f"kappa={self.shape:.4g}"),
            (
                self.bump != 0.0,
                f"bump b={self.bump:.4g} m={self.bump_center:.4g} sigma={self.bump_width:.4g}",
            ),
            (self.clip_low is not None, f"clip_low={_short(self.clip_low)}"),
            (self.clip_high is not None, f"clip_high={_short(self.clip_high)}"),
            (self.normalization != "sum_to_classes", f"normalization={self.normalization}"),
        )
        return " ".join(text for shown, text in parts if shown)


def _check_combinations(point: Weighting) -> None:
    if point.beta is not None and point.nu is not None:
        raise WeightingError(
            f"beta, nu: got {point.beta!r} and {point.nu!r}; give at most one of the two"
        )
    if point.split_quantile is None and point.head_ratio != 1.0:
        raise WeightingError(
            f"head_ratio: got {point.head_ratio!r}; must be 1 unless split_quantile is given"
        )
    if point.weight_range is not None and point.exponent == 0.0:
        raise WeightingError(
            f"weight_range: got {point.weight_range!r}; needs an exponent > 0, which 0 would undo"
        )
    if (
        point.clip_low is not None
        and point.clip_high is not None
        and point.clip_low > point.clip_high
    ):
        raise WeightingError(
            f"clip_low: got {point.clip_low!r}; must be at most clip_high {point.clip_high!r}"
        )


def _family(point: Weighting, counts: npt.NDArray[np.int64]) -> FloatArray:
    """Steps 1 to 6: float64 (C,), 1 for the most frequent class before bump and clip."""
    numbers = counts.astype(np.float64)
    if numbers.max() == numbers.min():
        return np.ones_like(numbers)
    relative, top = _relative_slope(point, numbers)
    log_range = _log_range(point, numbers, top)
    weights = _link(point.link, log_range, _shape(point.shape, relative))
    if point.bump:
        gap = np.log(numbers.max() / numbers)
        distance = (gap / gap.max() - point.bump_center) / point.bump_width
        weights = weights * (1.0 + point.bump * np.exp(-0.5 * distance**2))
    if point.clip_low is not None:
        weights = np.maximum(weights, math.exp(point.clip_low * log_range))
    if point.clip_high is not None:
        weights = np.minimum(weights, math.exp(point.clip_high * log_range))
    return weights


def _relative_slope(point: Weighting, numbers: FloatArray) -> tuple[FloatArray, float]:
    """`g / max g` in [0, 1], (C,), and `max g / p`: dividing p out keeps both exact at any p."""
    gap = _log_gap(point, numbers, float(numbers.max()))
    slope = gap
    if point.split_quantile is not None:
        split = np.atleast_1d(np.quantile(numbers, point.split_quantile))
        gap_split = _log_gap(point, split, float(numbers.max()))
        slope = point.head_ratio * np.minimum(gap, gap_split) + np.maximum(gap - gap_split, 0.0)
    top = float(slope.max())
    return (slope / top if top > 0.0 else np.zeros_like(slope)), top


def _log_gap(point: Weighting, numbers: FloatArray, largest: float) -> FloatArray:
    """`ln(E(n_max) / E(n))`, (C,)."""
    log_beta = _log_beta(point, largest)
    if log_beta is None:
        return np.asarray(np.log(largest / numbers))
    if log_beta == -math.inf:
        return np.zeros_like(numbers)
    log_effective = _log1mexp(log_beta * np.append(numbers, largest))
    return np.asarray(np.maximum(log_effective[-1] - log_effective[:-1], 0.0))


def _log_beta(point: Weighting, largest: float) -> float | None:
    """`ln(beta)`, minus infinity for beta = 0, or None where E(n) = n."""
    if point.beta is not None:
        return math.log(point.beta) if point.beta > 0.0 else -math.inf
    if point.nu is not None:
        inverse = 1.0 / (point.nu * largest)
        return math.log1p(-inverse) if inverse < 1.0 else -math.inf
    return None


def _log1mexp(exponents: FloatArray) -> FloatArray:
    """`ln(1 - exp(a))` for a < 0, exact at both ends (Maechler 2012)."""
    small = np.log(-np.expm1(np.maximum(exponents, -math.log(2.0))))
    large = np.log1p(-np.exp(np.minimum(exponents, -math.log(2.0))))
    return np.where(exponents > -math.log(2.0), small, large)


def _log_range(point: Weighting, numbers: FloatArray, top: float) -> float:
    """`ln R`, the log of the weight of the least frequent class."""
    if point.weight_range == SQRT_RATIO:
        return 0.5 * math.log(numbers.max() / numbers.min())
    if isinstance(point.weight_range, float):
        return math.log(point.weight_range)
    log_range = point.exponent * top
    if log_range > _MAX_LOG_RANGE:
        raise WeightingError(
            f"exponent: got {point.exponent!r}; ln(max/min weight) is {log_range:.4g} for these "
            f"counts and must be at most {_MAX_LOG_RANGE:g}; lower the exponent"
        )
    return log_range


def _shape(kappa: float, relative: FloatArray) -> FloatArray:
    return (1.0 - kappa) * relative + kappa * 0.5 * (1.0 - np.cos(math.pi * relative))


def _link(link: float, log_range: float, relative: FloatArray) -> FloatArray:
    if link < _SMALLEST_LINK:
        return np.asarray(np.exp(log_range * relative))
    return np.asarray(np.exp(np.log1p(math.expm1(link * log_range) * relative) / link))


def _normalize(
    weights: FloatArray, counts: npt.NDArray[np.int64], normalization: str
) -> FloatArray:
    if normalization == "sum_to_one":
        return weights / float(weights.sum())
    if normalization == "sum_to_classes":
        return weights / float(weights.mean())
    if normalization == "mean_sample_one":
        return weights / float(np.average(weights, weights=counts))
    return weights


def _short(value: float | str | None) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
