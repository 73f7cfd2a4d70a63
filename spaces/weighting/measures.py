"""Measures tell how far apart two weightings are, how noisy one is, and when two are the same."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from spaces.counts import FloatArray, check_counts
from spaces.errors import WeightingError

MAX_WEIGHT_RATIO = 1e6
MIN_EFFECTIVE_SAMPLE_FRACTION = 0.10
KEY_DIGITS = 9


def canonical_weights(weights: npt.ArrayLike) -> FloatArray:
    """The weights scaled to sum to C, float64 (C,): what is hashed and trained.

    Raises:
        WeightingError: empty, not one-dimensional, or an entry that is not finite and > 0.
    """
    values = _positive(weights)
    # Dividing by the largest first keeps the mean of huge raw weights from overflowing.
    scaled = values / float(values.max())
    return scaled / float(scaled.mean())


def weighting_key(weights: npt.ArrayLike) -> str:
    """16 hexadecimal digits, equal for weights (C,) that are equal up to scale (9 digits)."""
    text = ",".join(f"{weight:.{KEY_DIGITS - 1}e}" for weight in canonical_weights(weights))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def gradient_shares(counts: npt.ArrayLike, weights: npt.ArrayLike) -> FloatArray:
    """The expected share of the gradient of each class, `n w / sum(n w)`, float64 (C,)."""
    numbers, values = _paired(counts, weights)
    shares = numbers * values
    return shares / float(shares.sum())


def total_variation(counts: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Distance in [0, 1] between weights a and b, (C,): half the L1 gap of their gradient shares.

    Below .01 two weightings train as replicates of each other.
    """
    return 0.5 * float(np.abs(gradient_shares(counts, a) - gradient_shares(counts, b)).sum())


def effective_sample_fraction(counts: npt.ArrayLike, weights: npt.ArrayLike) -> float:
    """Kish's effective sample size as a fraction of the batch, in (0, 1] (Kish 1965).

    `(sum n w)^2 / (N sum n w^2)`; times the batch size it says as how many equally weighted
    samples a batch acts.
    """
    numbers, values = _paired(counts, weights)
    total = float((numbers * values).sum())
    return total * total / float(numbers.sum() * (numbers * values**2).sum())


def check_weights(counts: npt.ArrayLike, weights: npt.ArrayLike) -> None:
    """Refuse weights (C,) that cannot train a network on these counts (C,).

    Raises:
        WeightingError: not finite and > 0, max/min above 1e6, or an effective-sample fraction
            under 0.10, below which the training follows the noise of a few rare samples.
    """
    values = _positive(weights)
    ratio = float(values.max() / values.min())
    if ratio > MAX_WEIGHT_RATIO:
        raise WeightingError(
            f"max/min weight: got {ratio:.4g}; must be at most {MAX_WEIGHT_RATIO:g}; "
            "lower the exponent, or clip"
        )
    fraction = effective_sample_fraction(counts, values)
    if fraction < MIN_EFFECTIVE_SAMPLE_FRACTION:
        raise WeightingError(
            f"effective-sample fraction: got {fraction:.4f}; must be at least "
            f"{MIN_EFFECTIVE_SAMPLE_FRACTION:.2f}; lower the exponent, or clip"
        )


def _positive(weights: npt.ArrayLike) -> FloatArray:
    values = np.asarray(weights, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise WeightingError(
            f"weights: got shape {values.shape}; must be one-dimensional (C,) with C >= 1"
        )
    valid = np.isfinite(values) & (values > 0.0)
    if not valid.all():
        index = int(np.argmin(valid))
        raise WeightingError(
            f"weights[{index}]: got {values[index]}; must be finite and > 0; "
            "change the parameters of the weighting"
        )
    return values


def _paired(counts: npt.ArrayLike, weights: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Counts and canonical weights, float64 (C,) both: the measures do not depend on the scale."""
    numbers = check_counts(counts).astype(np.float64)
    values = canonical_weights(weights)
    if numbers.shape != values.shape:
        raise WeightingError(
            f"weights: got {values.size} for {numbers.size} class counts; "
            "must be one weight per class"
        )
    return numbers, values


def rounded(value: Any) -> Any:
    """The value with each number as text of `KEY_DIGITS` digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return f"{value:.{KEY_DIGITS - 1}e}" if isinstance(value, float) else value
