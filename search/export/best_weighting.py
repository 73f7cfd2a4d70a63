"""The exported module: class weights of one point of the family, with torch and nothing else.

An export copies this file with a docstring of its own and the constants of the point that was
found (`search.export.module_template`). The arithmetic repeats `spaces.weighting.family` in
torch, because the copy must run where the project is not installed; every export is checked
against it.
"""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any, NamedTuple

import torch


class Weighting(NamedTuple):
    """Point of the family of weightings. None, or 0 for link, shape and bump, leaves a step out."""

    exponent: float = 0.0  # p, the slope of the log-weight in the log-gap
    link: float = 0.0  # lambda: 0 is a power of the count, 1 is linear in the log-gap
    beta: float | None = None  # effective number, given directly
    nu: float | None = None  # effective number, given as beta = 1 - 1 / (nu * n_max)
    split_quantile: float | None = None  # the quantile of the counts at which the slope changes
    head_ratio: float = 1.0  # slope above the split / slope below it
    weight_range: float | str | None = None  # R; "sqrt_ratio": sqrt(n_max / n_min)
    shape: float = 0.0  # kappa, from straight to raised cosine
    bump: float = 0.0  # b, the height of a bump on the middle of the log-gap
    bump_center: float = 0.55
    bump_width: float = 0.15
    clip_low: float | None = None  # weights are at least R^clip_low
    clip_high: float | None = None  # weights are at most R^clip_high
    normalization: str = "sum_to_classes"  # none, sum_to_one, sum_to_classes or mean_sample_one


# The class weights that were found.
WEIGHTING: Weighting = Weighting()

# The classes of the benchmark on which it was found, in the order of their labels, or None.
CLASS_NAMES: tuple[str, ...] | None = None

# Weights that differ more, or let a batch act like fewer of its images, train poorly.
MAX_WEIGHT_RATIO = 1e6
MIN_EFFECTIVE_SAMPLE_FRACTION = 0.10


def compute_class_weights(class_counts: Any, num_classes: int, config: Any = None) -> torch.Tensor:
    """Class weights as a float32 tensor (C,) in the order of the labels 0 to C - 1.

    `class_counts` are C positive integers, without or with labels. `num_classes` is C. `config` is
    accepted for callers that pass one, and does not change the weights.

    Without labels (a tensor, array, list or tuple) the counts are taken in the order given. With
    labels (a dict, a Counter, a pandas Series such as `value_counts()` returns) they are put in
    the order of the labels if those are the whole numbers 0 to C - 1, as integers or as digits,
    or in the order of CLASS_NAMES if those are their labels. All other labels are refused, and
    digits that are also CLASS_NAMES in another order: pass a list then.

    The weights are on the device of a tensor of counts, and else on the CPU. Raises ValueError
    for counts that are not valid. Warns where training with the weights would go badly.
    """
    with torch.device("cpu"):  # not every device has float64, and the default may be any
        counts = _check_counts(_by_label(class_counts, num_classes), num_classes)
        weights = _normalize(_family(counts, WEIGHTING), counts, WEIGHTING.normalization)
        return _answer(weights, counts, class_counts)


def training_problem(counts: torch.Tensor, weights: torch.Tensor) -> str | None:
    """Why training with float64 weights (C,) on counts (C,) would go badly, or None."""
    ratio, fraction = _unevenness(counts, weights)
    if ratio > MAX_WEIGHT_RATIO:
        why = f"the largest is {ratio:.2g} times the smallest, and at most 1e6 is sound"
    elif fraction < MIN_EFFECTIVE_SAMPLE_FRACTION:
        why = (
            f"a few rare images outweigh all others, as if {1 - fraction:.0%} of each batch were "
            f"missing (effective-sample fraction {fraction:.3f}, at least 0.10 is sound)"
        )
    else:
        return None
    for percent in range(95, 0, -5):
        ratio, fraction = _unevenness(counts, weights ** (percent / 100))
        if ratio <= MAX_WEIGHT_RATIO and fraction >= MIN_EFFECTIVE_SAMPLE_FRACTION:
            return (
                f"Training with these class weights would go badly: {why}; use their power "
                f"{percent / 100:.2f}, weights ** {percent / 100:.2f}, which is sound."
            )
    return f"Training with these class weights would go badly: {why}; use equal weights."


def _unevenness(counts: torch.Tensor, weights: torch.Tensor) -> tuple[float, float]:
    """Largest weight / smallest, and Kish's effective sample size as a fraction of the batch."""
    scaled = weights / weights.max()
    total = float((counts * scaled).sum())
    squares = float(counts.sum() * (counts * scaled**2).sum())
    return float(weights.max() / weights.min()), total**2 / squares


def _answer(weights: torch.Tensor, counts: torch.Tensor, given: Any) -> torch.Tensor:
    """Float64 weights (C,) as float32 on the device of the given counts, with a warning."""
    exported = weights.to(torch.float32)
    if not bool((torch.isfinite(exported) & (exported > 0)).all()):
        raise ValueError("class_counts are too uneven for this weighting: a weight is not finite.")
    problem = training_problem(counts, weights)
    if problem:
        warnings.warn(problem, stacklevel=3)
    return exported.to(given.device) if torch.is_tensor(given) else exported


def _by_label(class_counts: Any, num_classes: int) -> Any:
    """Counts with labels as a list in the order of the labels; all other counts as they are."""
    if not callable(getattr(class_counts, "items", None)):
        return class_counts
    pairs = list(class_counts.items())
    orders = []
    for names, labels in (
        (range(num_classes), [_whole_number(label) for label, _ in pairs]),
        (CLASS_NAMES or (), [label for label, _ in pairs]),
    ):
        found = dict(zip(labels, (count for _, count in pairs), strict=True))
        if len(names) == num_classes and len(found) == len(pairs) and found.keys() <= set(names):
            orders.append([found.get(name, 0) for name in names])
    if not orders or orders[0] != orders[-1]:
        shown = ", ".join(repr(label) for label, _ in pairs[:5])
        rule = "as numbers and as CLASS_NAMES they have two orders"
        if not orders:
            rule = f"they must be the whole numbers 0 to {num_classes - 1}"
            rule += ", or CLASS_NAMES" if CLASS_NAMES else ""
        raise ValueError(
            f"class_counts has the labels {shown}{', ...' if len(pairs) > 5 else ''}; {rule}; "
            "pass a list of the counts, in the order of the network's outputs."
        )
    return orders[0]


def _whole_number(label: Any) -> int:
    """A label of an integer type or of digits as a number; -1 for any other."""
    if isinstance(label, str):
        return int(label) if label.isdecimal() and len(label) < 10 else -1
    try:
        return operator.index(label)
    except TypeError:
        return -1


def _check_counts(class_counts: Any, num_classes: int) -> torch.Tensor:
    """Counts in any form as a float64 tensor (C,), all of them positive whole numbers."""
    if torch.is_tensor(class_counts) and class_counts.is_meta:
        raise ValueError("class_counts is on the device meta, which holds no numbers; pass a list.")
    try:
        if torch.is_tensor(class_counts):
            counts = class_counts.detach().cpu()
        else:
            counts = torch.as_tensor(class_counts, dtype=torch.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        counts = torch.empty(())
    number = not (counts.dtype.is_complex or counts.dtype == torch.bool)
    if counts.dim() != 1 or counts.numel() == 0 or not number:
        raise ValueError("class_counts must be one-dimensional, one positive integer per class.")
    counts = counts.to(torch.float64)
    if counts.numel() != num_classes:
        raise ValueError(f"class_counts has {len(counts)} entries; num_classes is {num_classes}.")
    for index, count in enumerate(counts.tolist()):
        if count == 0:
            raise ValueError(
                f"class_counts[{index}] is 0; compute the weights of the classes with images, and "
                f"insert 1.0 at position {index}, where it is the weight of no image."
            )
        if not (1 <= count <= 2**53 and count.is_integer()):
            raise ValueError(f"class_counts[{index}] is {count:g}; it must be a positive integer.")
    return counts


def _family(counts: torch.Tensor, point: Weighting) -> torch.Tensor:
    largest, smallest = float(counts.max()), float(counts.min())
    if largest == smallest:
        return torch.ones_like(counts)
    slope = _log_gap(counts, largest, point)
    if point.split_quantile is not None:
        split = _log_gap(torch.quantile(counts, point.split_quantile), largest, point)
        slope = point.head_ratio * torch.minimum(slope, split) + (slope - split).clamp(min=0)
    top = float(slope.max())
    t = slope / top if top > 0 else torch.zeros_like(slope)
    t = (1 - point.shape) * t + point.shape * (1 - torch.cos(math.pi * t)) / 2
    if point.weight_range is None:
        log_range = torch.tensor(point.exponent * top, dtype=torch.float64)
    else:
        by_counts = point.weight_range == "sqrt_ratio"
        given = math.sqrt(largest / smallest) if by_counts else point.weight_range
        log_range = torch.tensor(given, dtype=torch.float64).log()
    if point.link < 1e-12:
        weights = torch.exp(log_range * t)
    else:
        weights = torch.exp(torch.log1p(torch.expm1(point.link * log_range) * t) / point.link)
    u = torch.log(largest / counts) / math.log(largest / smallest)
    distance = (u - point.bump_center) / point.bump_width
    weights = weights * (1 + point.bump * torch.exp(-(distance**2) / 2))
    if point.clip_low is not None:
        weights = torch.maximum(weights, torch.exp(point.clip_low * log_range))
    if point.clip_high is not None:
        weights = torch.minimum(weights, torch.exp(point.clip_high * log_range))
    return weights


def _log_gap(counts: torch.Tensor, largest: float, point: Weighting) -> torch.Tensor:
    """ln(E(largest) / E(counts)), E(n) = (1 - beta^n) / (1 - beta) or n."""
    if point.nu is not None:
        log_beta = math.log1p(-1 / (point.nu * largest)) if point.nu * largest > 1 else -math.inf
    elif point.beta is not None:
        log_beta = math.log(point.beta) if point.beta > 0 else -math.inf
    else:
        return torch.log(largest / counts)
    if log_beta == -math.inf:
        return torch.zeros_like(counts)
    top = _log1mexp(torch.tensor(log_beta * largest, dtype=torch.float64))
    return (top - _log1mexp(log_beta * counts)).clamp(min=0)


def _log1mexp(a: torch.Tensor) -> torch.Tensor:
    """ln(1 - exp(a)) for a < 0, exact at both ends."""
    half = -math.log(2)
    small = torch.log(-torch.expm1(a.clamp(min=half)))
    return torch.where(a > half, small, torch.log1p(-torch.exp(a.clamp(max=half))))


def _normalize(weights: torch.Tensor, counts: torch.Tensor, normalization: str) -> torch.Tensor:
    if normalization == "sum_to_one":
        return weights / weights.sum()
    if normalization == "sum_to_classes":
        return weights / weights.mean()
    if normalization == "mean_sample_one":
        return weights * counts.sum() / (weights * counts).sum()
    return weights
