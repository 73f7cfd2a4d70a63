"""Priors of the noise between training seeds, and of ratios of standard deviations."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spaces.counts import FloatArray

Images = Callable[[FloatArray], float]
"""Evaluated images of each class (C,) -> how many images are as uncertain as the metric."""

NOISE_SD = 0.7
"""Seed-to-seed standard deviation of the best accuracy where none is known, points (protocol)."""

GUESSED_RUNS = 2.0
"""Degrees of freedom of that guess: as good as what three replicates of one weighting say."""

KNOWN_RUNS = 4.0
"""Degrees of freedom of a standard deviation that the benchmark states.

More than one pair of runs has, and few enough for a statement that is wrong. Coverage of the 95 %
intervals of accuracies in `benchmarks.honesty` (1,000 replays of "64 trials"), where the stated
noise is right / 1.5 times / twice too low; regret is the same for all:

    2: 97.7 / 97.0 / 96.0 %
    4: 97.7 / 95.7 / 94.9 %
    8: 97.5 / 95.0 / 93.3 %
"""

GRID = 12
"""Number of values that a ratio of standard deviations with a half-Cauchy prior may take."""


@dataclass(frozen=True)
class NoisePrior:
    """What is known of the noise between runs of one weighting before they run.

    A scaled inverse chi-square distribution of its variance (Gelman et al., BDA3, section 2.6).

    Attributes:
        sd: standard deviation around which it lies, in the unit of the scores, above 0.
        runs: degrees of freedom, as many as replicates of one weighting would bring after a first
            run.
    """

    sd: float = NOISE_SD
    runs: float = GUESSED_RUNS

    def __post_init__(self) -> None:
        if not (self.sd > 0 and self.runs > 0):
            raise ValueError(f"noise prior: got {self}; both numbers must be above 0")


GUESS = NoisePrior()
"""Where nothing is known."""


def all_images(counts: FloatArray) -> float:
    return float(counts.sum())


def evenly_weighed(counts: FloatArray) -> float:
    return float(len(counts) ** 2 / (1 / counts).sum())


def fewest_of_a_class(counts: FloatArray) -> float:
    return float(counts.min())


IMAGES: dict[str, Images] = {
    "accuracy": all_images,
    "balanced_accuracy": evenly_weighed,
    "macro_f1": evenly_weighed,
    "worst_class": fewest_of_a_class,
}
"""Metric -> the number of images of which a plain share would be as uncertain."""
LEAST_OF_MANY = 1.5
"""By how much the lowest class accuracy varies more than that of one class does. With it the guess
for ten classes is 4.7 times that for accuracy; on the two recorded digits benchmarks 4.2 and 4.8
times were measured (200 weightings, 3 seeds each)."""


def guessed_noise(metric: str, counts: Sequence[int]) -> float:
    """Return the standard deviation of a metric to start from, points.

    That of accuracy (``NOISE_SD``), scaled as if each image were right or wrong by its own luck.

    Args:
        metric: a key of ``trainer.benchmarks.metrics.METRICS``.
        counts: evaluated images of each class, (C,); classes without any do not count.
    """
    seen = np.array([count for count in counts if count], dtype=np.float64)
    factor = LEAST_OF_MANY if metric == "worst_class" else 1.0
    return factor * NOISE_SD * float(np.sqrt(seen.sum() / IMAGES[metric](seen)))


@functools.cache
def ratio_grid() -> FloatArray:
    """Equally likely values, ascending, of a half-Cauchy variable of scale 1, (GRID,)."""
    return np.asarray(np.tan(np.pi / 2 * ((np.arange(GRID) + 0.5) / GRID)))


def normalised(log_weights: FloatArray) -> FloatArray:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())
