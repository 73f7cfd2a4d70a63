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
from collections import Counter
from collections.abc import Callable
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
    normalization: str = "sum_to_classes"  # of NORMALIZATIONS


# The class weights that were found.
WEIGHTING: Weighting = Weighting()

# The classes of the benchmark on which it was found, in the order of their labels, or None.
CLASS_NAMES: tuple[str, ...] | None = None

# Weights that differ more, or let a batch act like fewer of its images, train poorly.
MAX_WEIGHT_RATIO = 1e6
MIN_EFFECTIVE_SAMPLE_FRACTION = 0.10

NORMALIZATIONS = ("none", "sum_to_one", "sum_to_classes", "mean_sample_one")
ZERO_COUNTS = ("error", "ignore", "smallest")
MOST_CLASSES = 1_000_000  # where labels alone say how many there are


def compute_class_weights(
    class_counts: Any,
    num_classes: int | None = None,
    config: Any = None,
    *,
    normalization: str | None = None,
    zero_counts: str = "error",
) -> torch.Tensor:
    """Class weights as a float32 tensor (C,) in the order of the labels 0 to C - 1.

    `class_counts` are C positive integers, without or with labels. `num_classes` is C; without it
    counts without labels are all there are, and labels go to the largest of them, or are all of
    CLASS_NAMES. `config` is accepted for callers that pass one, and does not change the weights.

    Without labels (a tensor, array, list or tuple) the counts are taken in the order given. With
    labels (a dict, a Counter, a pandas Series such as `value_counts()` returns) they are put in
    the order of the labels if those are the whole numbers 0 to C - 1, as integers or as digits,
    or in the order of CLASS_NAMES if those are their labels. All other labels are refused, and
    digits that are also CLASS_NAMES in another order: pass a list then.

    `normalization` is one of NORMALIZATIONS, by default that of WEIGHTING. A loss that divides by
    the sum of the weights in a batch, as torch's does, needs none. One that divides by the number
    of images needs "mean_sample_one": others change the learning rate there.

    A count of 0 is refused ("error"), has the weight 0 and no influence, for a class that cannot
    occur ("ignore"), or has the weight of the rarest class with images ("smallest").

    The weights are on the device of a tensor of counts, and else on the CPU. Raises ValueError
    for arguments that are not valid. Warns where training with the weights would go badly.
    """
    with torch.device("cpu"):  # not every device has float64, and the default may be any
        counts = _check_counts(_by_label(class_counts, num_classes), num_classes, zero_counts)
        weights = _of_all(counts, zero_counts, lambda positive: _family(positive, WEIGHTING))
        normalized = _normalize(weights, counts, normalization or WEIGHTING.normalization)
        return _answer(normalized, counts, class_counts)


def weights_from_labels(
    labels: Any, num_classes: int | None = None, **options: Any
) -> torch.Tensor:
    """Class weights (C,), as `compute_class_weights` with `options`, of N training labels.

    `labels` are a tensor, an array, a list or a pandas Series of whole numbers from 0, or of
    CLASS_NAMES. Give `num_classes` where the last classes may have no image. With a tensor of
    numbers, `weights[labels]` are the weights of the images.

    The weights are on the device of a tensor of labels, and else on the CPU. Raises ValueError
    for labels or options that are not valid.
    """
    try:
        listed = labels.tolist() if hasattr(labels, "tolist") else labels
        counts = Counter(label.item() if torch.is_tensor(label) else label for label in listed)
    except (TypeError, RuntimeError):
        raise ValueError("labels must be one-dimensional, the class of each image.") from None
    weights = compute_class_weights(counts, num_classes, **options)
    return weights.to(labels.device) if torch.is_tensor(labels) else weights


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
    exported, seen = weights.to(torch.float32), counts > 0
    if not bool((torch.isfinite(exported) & ((exported > 0) | ~seen)).all()):
        raise ValueError("class_counts are too uneven for this weighting: a weight is not finite.")
    problem = training_problem(counts[seen], weights[seen])
    if problem:
        warnings.warn(problem, stacklevel=3)
    return exported.to(given.device) if torch.is_tensor(given) else exported


def _by_label(class_counts: Any, num_classes: int | None) -> Any:
    """Counts with labels as a list in the order of the labels; all other counts as they are."""
    if not callable(getattr(class_counts, "items", None)):
        return class_counts
    labels, counts = [*zip(*class_counts.items(), strict=True)] or [(), ()]
    numbers = [_whole_number(label) for label in labels]
    known, classes = CLASS_NAMES or (), num_classes
    if classes is None:
        named = bool(known) and set(labels) <= set(known)
        classes = len(known) if named else min(max(numbers, default=-1) + 1, MOST_CLASSES)
    orders = []
    for names, found in ((range(classes), numbers), (known, labels)):
        by_name = dict(zip(found, counts, strict=True))
        if len(names) == classes and len(by_name) == len(labels) and by_name.keys() <= set(names):
            orders.append([by_name.get(name, 0) for name in names])
    if not orders or orders[0] != orders[-1]:
        shown = ", ".join(map(repr, labels[:5]))
        rule = "as numbers and as CLASS_NAMES they have two orders"
        if not orders:
            last = "C - 1" if num_classes is None else classes - 1
            rule = f"they must be the whole numbers 0 to {last}{', or CLASS_NAMES' * bool(known)}"
        raise ValueError(
            f"class_counts has the labels {shown}{', ...' if len(labels) > 5 else ''}; {rule}; "
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


def _check_counts(
    class_counts: Any, num_classes: int | None = None, zero_counts: str = "error"
) -> torch.Tensor:
    """Counts in any form as a float64 tensor (C,) of whole numbers, 0 only where it is allowed."""
    if zero_counts not in ZERO_COUNTS:
        raise ValueError(f"zero_counts is {zero_counts!r}; it must be one of {ZERO_COUNTS}.")
    if torch.is_tensor(class_counts) and class_counts.is_meta:
        raise ValueError("class_counts is on the device meta, which holds no numbers; pass a list.")
    try:
        if torch.is_tensor(class_counts):
            counts = class_counts.detach().cpu()
        else:  # torch refuses some arrays, such as one in reversed order
            listed = getattr(class_counts, "tolist", lambda: class_counts)()
            counts = torch.as_tensor(listed, dtype=torch.float64)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        counts = torch.empty(())
    number = not (counts.dtype.is_complex or counts.dtype == torch.bool)
    if counts.dim() != 1 or counts.numel() == 0 or not number:
        raise ValueError("class_counts must be one-dimensional, one positive integer per class.")
    counts = counts.to(torch.float64)
    if num_classes is not None and counts.numel() != num_classes:
        raise ValueError(f"class_counts has {len(counts)} entries; num_classes is {num_classes!r}.")
    for index, count in enumerate(counts.tolist()):
        if count == 0 and zero_counts == "error":
            raise ValueError(
                f"class_counts[{index}] is 0; give compute_class_weights zero_counts='ignore' for "
                "a class that cannot occur, or zero_counts='smallest' for one that may."
            )
        if not (0 <= count <= 2**53 and count.is_integer()):
            raise ValueError(f"class_counts[{index}] is {count}; give an integer from 1 to 2**53.")
    if not counts.any():
        raise ValueError("class_counts are all 0; at least one class must have images.")
    return counts


def _of_all(
    counts: torch.Tensor, zero_counts: str, compute: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Weights (C,), of which `compute` gives those of counts that are positive."""
    seen = counts > 0
    if zero_counts == "smallest":
        return compute(torch.where(seen, counts, counts[seen].min()))
    weights = torch.zeros_like(counts)
    weights[seen] = compute(counts[seen])
    return weights


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
    if normalization == "none":
        return weights
    raise ValueError(f"normalization is {normalization!r}; it must be one of {NORMALIZATIONS}.")
