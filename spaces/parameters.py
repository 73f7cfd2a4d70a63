"""Symbol and meaning of every parameter of the family, and what a weighting does in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spaces.counts import check_counts
from spaces.weighting.family import Weighting


@dataclass(frozen=True)
class Parameter:
    """A parameter of a weighting, or a switch of a space, as people read it.

    Attributes:
        symbol: on screens.
        word: in which it is said.
        meaning: what its values do.
    """

    symbol: str
    word: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.symbol}: {self.word}; {self.meaning}"


PARAMETERS: dict[str, Parameter] = {
    "exponent": Parameter("p", "steepness", "0: all classes alike; by itself: weights n^-p"),
    "link": Parameter(
        "lambda", "link", "how weights grow as classes get rarer; 0: as a power, 1: as a logarithm"
    ),
    "bend": Parameter("bend", "bend", "what makes the weights of frequent classes more alike"),
    "beta": Parameter(
        "beta", "effective number", "classes of far more than 1 / (1 - beta) images weigh alike"
    ),
    "nu": Parameter(
        "nu",
        "effective number",
        "classes of far more than nu times the images of the commonest class weigh alike",
    ),
    "split_quantile": Parameter(
        "s", "split", "where the tail ends and the head begins, a quantile of the class counts"
    ),
    "head_ratio": Parameter(
        "h", "head", "steepness in the head over that in the tail; 0: the head weighs alike"
    ),
    "weight_range": Parameter(
        "R", "range", "weight of the rarest class over that of the commonest, whatever p is"
    ),
    "shape_module": Parameter("shape_module", "shape", "whether kappa acts"),
    "shape": Parameter(
        "kappa", "shape", "of that growth; 0: straight, 1: S-shaped (raised cosine)"
    ),
    "bump_module": Parameter("bump_module", "bump", "whether b, m and sigma act"),
    "bump": Parameter("b", "bump", "classes around m weigh up to b times more, or less if b < 0"),
    "bump_center": Parameter("m", "bump's centre", "0: the commonest class, 1: the rarest"),
    "bump_width": Parameter("sigma", "bump's width", "on the same scale"),
    "clip_module": Parameter("clip_module", "clip", "whether clip_high acts"),
    "clip_low": Parameter(
        "clip_low",
        "floor",
        "no weight is below r^clip_low; r: range of the weights, the commonest class at 1",
    ),
    "clip_high": Parameter(
        "clip_high",
        "ceiling",
        "no weight is above r^clip_high; r: range of the weights, the commonest class at 1",
    ),
    "normalization": Parameter("normalization", "scale", "of all weights together"),
}
"""Name of a field of `Weighting` or of a switch -> what it is, in the order of the steps."""


def legend(described: Iterable[str]) -> list[Parameter]:
    """Return the parameters whose symbols are in texts of `Weighting.describe`, each once."""
    shown = {word.split("=")[0] for text in described for word in text.split() if "=" in word}
    return [parameter for parameter in PARAMETERS.values() if parameter.symbol in shown]


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
    text = f"the rarest class weighs {_times(rarest)} the commonest"
    if most > max(rarest, 1.0) + _ALIKE:
        text += f", a class of {_images(numbers[weights.argmax()])} {_times(most)}"
    if least < min(rarest, 1.0) - _ALIKE:
        text += f", a class of {_images(numbers[weights.argmin()])} {_times(least)}"
    return text


_ALIKE = 0.005
"""Difference of two weights, the commonest class at 1, that plain words do not show."""


def _times(factor: float) -> str:
    return f"{factor:,.0f} times" if factor >= 100 else f"{factor:.3g} times"


def _images(number: np.int64) -> str:
    return f"{number} image" if number == 1 else f"{number} images"
