"""A guess of the noise of a metric between training seeds, for benchmarks that state none."""

from collections.abc import Callable, Sequence

import numpy as np

from search.stats.ranking import NOISE_SD, FloatArray

Images = Callable[[FloatArray], float]


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
for ten classes is 4.7 times that for accuracy; on the two recorded digits benchmarks 4.3 and 4.8
times were measured (200 weightings, 3 seeds each)."""


def guessed_noise(metric: str, counts: Sequence[int]) -> float:
    """Return the standard deviation of a metric to start from, points.

    That of accuracy (``NOISE_SD``), scaled as if each image were right or wrong by its own luck.

    Args:
        metric: a key of ``trainer.metrics.METRICS``.
        counts: evaluated images of each class, (C,); classes without any do not count.
    """
    seen = np.array([count for count in counts if count], dtype=np.float64)
    factor = LEAST_OF_MANY if metric == "worst_class" else 1.0
    return factor * NOISE_SD * float(np.sqrt(seen.sum() / IMAGES[metric](seen)))
