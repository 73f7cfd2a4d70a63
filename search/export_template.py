"""What does the exported module say? One fixed body with the whole family, and a point on top.

The body is text and not code of this project, because the file must run where the project is not
installed. Its arithmetic repeats `spaces.weighting` in torch; every export is checked against it.
"""

import json
import string
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from spaces import Weighting

_MODULE = string.Template('''\
"""Class weights for a long-tailed classifier: $description

Found by a search over class weightings. The weights are a pure function of the class counts, so
the module serves any data set, its classes in any order. It needs torch and nothing else.

    from best_weighting import compute_class_weights

    weight = compute_class_weights(class_counts, num_classes, config)
    criterion = torch.nn.CrossEntropyLoss(weight=weight)

Where it was found:
$benchmark
What it reached there:
$result
Key of the weighting on those class counts: $weighting_key (best.json has the whole story)
"""

import math

import torch

# The point of the family that was found. None, or 0 for LINK, SHAPE and BUMP, leaves a step out.
EXPONENT = $exponent  # p, the slope of the log-weight in the log-gap
LINK = $link  # lambda: 0 is a power of the count, 1 is linear in the log-gap
BETA = $beta  # effective number, given directly
NU = $nu  # effective number, given as beta = 1 - 1 / (NU * n_max)
SPLIT_QUANTILE = $split_quantile  # the quantile of the counts at which the slope changes
HEAD_RATIO = $head_ratio  # slope above the split / slope below it
WEIGHT_RANGE = $weight_range  # R, or "sqrt_ratio" for sqrt(n_max / n_min), or None for exp(max g)
SHAPE = $shape  # kappa, from straight to raised cosine
BUMP = $bump  # b, the height of a bump on the middle of the log-gap
BUMP_CENTER = $bump_center
BUMP_WIDTH = $bump_width
CLIP_LOW = $clip_low  # weights are at least R^CLIP_LOW
CLIP_HIGH = $clip_high  # weights are at most R^CLIP_HIGH
NORMALIZATION = $normalization  # none, sum_to_one, sum_to_classes or mean_sample_one


def compute_class_weights(class_counts, num_classes, config=None):
    """The weight of each class, a float32 tensor (C,) on the device of `class_counts`.

    `class_counts` is a tensor, list or tuple of C positive integers; `num_classes` is C.
    `config` is accepted for callers that pass one, and does not change the weights.
    Raises ValueError for counts that are not valid.
    """
    counts = _check_counts(class_counts, num_classes)
    weights = _normalize(_family(counts), counts).to(torch.float32)
    if not bool((torch.isfinite(weights) & (weights > 0)).all()):
        raise ValueError("class_counts are too uneven for this weighting: a weight is not finite.")
    return weights.to(class_counts.device) if torch.is_tensor(class_counts) else weights


def _check_counts(class_counts, num_classes):
    try:
        # Not every device has float64, so the arithmetic is done on the CPU.
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
        if not (1 <= count <= 2**53 and count.is_integer()):
            raise ValueError(f"class_counts[{index}] is {count:g}; it must be a positive integer.")
    return counts


def _family(counts):
    largest, smallest = float(counts.max()), float(counts.min())
    if largest == smallest:
        return torch.ones_like(counts)
    slope = _log_gap(counts, largest)
    if SPLIT_QUANTILE is not None:
        split = _log_gap(torch.quantile(counts, SPLIT_QUANTILE), largest)
        slope = HEAD_RATIO * torch.minimum(slope, split) + (slope - split).clamp(min=0)
    top = float(slope.max())
    t = slope / top if top > 0 else torch.zeros_like(slope)
    t = (1 - SHAPE) * t + SHAPE * (1 - torch.cos(math.pi * t)) / 2
    if WEIGHT_RANGE is None:
        log_range = torch.tensor(EXPONENT * top, dtype=torch.float64)
    else:
        given = math.sqrt(largest / smallest) if WEIGHT_RANGE == "sqrt_ratio" else WEIGHT_RANGE
        log_range = torch.tensor(given, dtype=torch.float64).log()
    if LINK < 1e-12:
        weights = torch.exp(log_range * t)
    else:
        weights = torch.exp(torch.log1p(torch.expm1(LINK * log_range) * t) / LINK)
    u = torch.log(largest / counts) / math.log(largest / smallest)
    weights = weights * (1 + BUMP * torch.exp(-(((u - BUMP_CENTER) / BUMP_WIDTH) ** 2) / 2))
    if CLIP_LOW is not None:
        weights = torch.maximum(weights, torch.exp(CLIP_LOW * log_range))
    if CLIP_HIGH is not None:
        weights = torch.minimum(weights, torch.exp(CLIP_HIGH * log_range))
    return weights


def _log_gap(counts, largest):
    """ln(E(largest) / E(counts)), E(n) = (1 - beta^n) / (1 - beta) or n."""
    if BETA is None and NU is None:
        return torch.log(largest / counts)
    if BETA == 0 or (NU is not None and NU * largest <= 1):
        return torch.zeros_like(counts)
    log_beta = math.log(BETA) if NU is None else math.log1p(-1 / (NU * largest))
    top = _log1mexp(torch.tensor(log_beta * largest, dtype=torch.float64))
    return (top - _log1mexp(log_beta * counts)).clamp(min=0)


def _log1mexp(a):
    """ln(1 - exp(a)) for a < 0, exact at both ends."""
    half = -math.log(2)
    small = torch.log(-torch.expm1(a.clamp(min=half)))
    return torch.where(a > half, small, torch.log1p(-torch.exp(a.clamp(max=half))))


def _normalize(weights, counts):
    if NORMALIZATION == "sum_to_one":
        return weights / weights.sum()
    if NORMALIZATION == "sum_to_classes":
        return weights / weights.mean()
    if NORMALIZATION == "mean_sample_one":
        return weights * counts.sum() / (weights * counts).sum()
    return weights
''')


def render_module(
    weighting: Weighting,
    benchmark: Mapping[str, Any],
    result: Mapping[str, Any],
    weighting_key: str,
) -> str:
    """The text of the module; the two stories are JSON-able and appear in its docstring."""
    constants = {
        field.name: _literal(getattr(weighting, field.name)) for field in fields(weighting)
    }
    return _MODULE.substitute(
        constants,
        description=weighting.describe(),
        benchmark=_story(benchmark),
        result=_story(result),
        weighting_key=weighting_key,
    )


def _literal(value: float | str | None) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _story(facts: Mapping[str, Any]) -> str:
    """The plain facts, a line each; lists and tables are in best.json alone."""
    plain = {k: v for k, v in facts.items() if isinstance(v, str | int | float)}
    lines = "\n".join(f"    {name}: {json.dumps(value)}" for name, value in plain.items())
    # Backslashes and triple quotes of the caller's text would end or change the docstring.
    return lines.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
