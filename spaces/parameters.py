"""Symbol and meaning of every parameter of the family, and what a weighting does in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spaces.weighting import Weighting, check_counts


@dataclass(frozen=True)
class Parameter:
    """A parameter of a weighting or a switch of a space: its symbol on screens, and its meaning."""

    symbol: str
    meaning: str


_CLIP = "r: range of the weights, the commonest class at 1"

PARAMETERS: dict[str, Parameter] = {
    "exponent": Parameter("p", "steepness; 0: all classes alike; by itself: weights n^-p"),
    "link": Parameter(
        "lambda", "how weights grow as classes get rarer; 0: as a power, 1: as a logarithm"
    ),
    "bend": Parameter("bend", "what makes the weights of frequent classes more alike"),
    "beta": Parameter(
        "beta", "classes of far more than 1 / (1 - beta) images weigh alike (effective number)"
    ),
    "nu": Parameter(
        "nu",
        "classes of far more than nu n_max images weigh alike (effective number with "
        "beta = 1 - 1 / (nu n_max), n_max: images of the commonest class)",
    ),
    "split_quantile": Parameter("s", "split of head and tail, a quantile of the class counts"),
    "head_ratio": Parameter("h", "steepness in the head over that in the tail; 0: head alike"),
    "weight_range": Parameter(
        "R", "weight of the rarest class over that of the commonest; p is then without effect"
    ),
    "shape_module": Parameter("shape_module", "whether kappa acts"),
    "shape": Parameter("kappa", "shape of that growth; 0: straight, 1: S-shaped (raised cosine)"),
    "bump_module": Parameter("bump_module", "whether b, m and sigma act"),
    "bump": Parameter("b", "bump: classes around m weigh up to b times more, or less if b < 0"),
    "bump_center": Parameter("m", "centre of the bump; 0: the commonest class, 1: the rarest"),
    "bump_width": Parameter("sigma", "width of the bump, on the same scale"),
    "clip_module": Parameter("clip_module", "whether clip_high acts"),
    "clip_low": Parameter("clip_low", "no weight is below r^clip_low; " + _CLIP),
    "clip_high": Parameter("clip_high", "no weight is above r^clip_high; " + _CLIP),
    "normalization": Parameter("normalization", "scale of all weights together"),
}
"""Name of a field of `Weighting` or of a switch -> what it is, in the order of the steps."""


def legend(described: Iterable[str]) -> list[str]:
    """Return `symbol: meaning` for every symbol in texts of `Weighting.describe`, each once."""
    shown = {word.split("=")[0] for text in described for word in text.split() if "=" in word}
    return [f"{p.symbol}: {p.meaning}" for p in PARAMETERS.values() if p.symbol in shown]


def in_words(weighting: Weighting, counts: npt.ArrayLike) -> str:
    """Say what a weighting does to these counts: the rarest class against the commonest.

    Where a bump or a clip makes another class the heaviest or the lightest, that is said too.

    Raises:
        WeightingError: as `Weighting.weights`.
    """
    numbers = check_counts(counts)
    weights = weighting.weights(numbers)
    base = float(weights[numbers.argmax()])
    rarest = float(weights[numbers.argmin()]) / base
    most, least = float(weights.max()) / base, float(weights.min()) / base
    if most - least < _ALIKE:
        return "all classes weigh the same"
    text = f"the rarest class weighs {rarest:.3g} times the commonest"
    if most > max(rarest, 1.0) + _ALIKE:
        text += f", a class of {_images(numbers[weights.argmax()])} {most:.3g} times"
    if least < min(rarest, 1.0) - _ALIKE:
        text += f", a class of {_images(numbers[weights.argmin()])} {least:.3g} times"
    return text


_ALIKE = 0.005
"""Difference of two weights, the commonest class at 1, that plain words do not show."""


def _images(number: np.int64) -> str:
    return f"{number} image" if number == 1 else f"{number} images"
