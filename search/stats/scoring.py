"""A benchmark's scores of a recorded training: by epoch, and by class at its best epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from spaces.counts import FloatArray
from trainer.benchmarks.metrics import METRICS, score, scores
from trainer.results import HalfCounts, selection

Counts = npt.NDArray[np.int64]
Choice = Callable[[Any], npt.NDArray[Any]]
"""Of numbers of images by half and class (..., 2, C): the images that are meant, (..., C)."""


def half_a(numbers: npt.ArrayLike) -> npt.NDArray[Any]:
    return np.asarray(np.asarray(numbers)[..., 0, :])


def half_b(numbers: npt.ArrayLike) -> npt.NDArray[Any]:
    return np.asarray(np.asarray(numbers)[..., 1, :])


class Curve(NamedTuple):
    """Evaluated images of a training by epoch, half A and B, and class, both (epochs, 2, C).

    Attributes:
        correct: images of the class that were classified correctly; None if only scores are known.
        predicted: images that were classified as the class; None if that is not on record.
        reported: the scores, percent (epochs,), where no images are on record; else None.
    """

    correct: Counts | None
    predicted: Counts | None = None
    reported: FloatArray | None = None

    def of(self, images: Choice) -> tuple[Counts, Counts | None]:
        """Return the numbers of correct and of predicted ones among some images."""
        assert self.correct is not None  # ``Scoring.check`` refuses a curve without what it takes
        return images(self.correct), None if self.predicted is None else images(self.predicted)

    def at(self, epoch: int) -> Curve:
        """Return one epoch, from 0: images (2, C), and the score ()."""
        return Curve(*(None if numbers is None else numbers[epoch] for numbers in self))


@dataclass(frozen=True)
class Scoring:
    """How a benchmark scores.

    Attributes:
        metric: a key of ``trainer.benchmarks.metrics.METRICS``.
        half_counts: evaluated images of each class in halves A and B, (2, C); all of them in half
            A where they come in one piece, None where only scores are known.
        test_held_out: half A is a validation split, which chooses, and half B the test set.
    """

    metric: str
    half_counts: HalfCounts | None
    test_held_out: bool = False

    @property
    def has_halves(self) -> bool:
        """Whether there are images that have no part in a choice on half A."""
        return self.half_counts is not None and any(self.half_counts[1])

    @property
    def choosing(self) -> Choice:
        """The images by which epochs and weightings are chosen."""
        return partial(selection, test_held_out=self.test_held_out)

    @property
    def judging(self) -> Choice:
        """The images on which it is said what was chosen: a test set if one is held out."""
        return half_b if self.test_held_out else self.choosing

    def check(self, curve: Curve) -> None:
        """Raise ValueError unless a curve is of this benchmark and has what its metric needs."""
        if (self.half_counts is None) is not (curve.correct is None):
            raise ValueError("curve: got numbers of images where only scores are known, or neither")
        if self.half_counts is None or curve.correct is None:
            return
        halves = np.shape(self.half_counts)
        images_known = (curve.correct, curve.predicted)
        for shape in (numbers.shape for numbers in images_known if numbers is not None):
            if len(shape) != 3 or shape[1:] != halves or not shape[0]:
                raise ValueError(
                    f"curve: got shape {shape} for halves {halves}; must be (epochs, 2, C)"
                )
        images = np.asarray(self.half_counts)
        if (curve.correct > images).any():
            raise ValueError("curve: got more correct images of a class than there are")
        if curve.predicted is not None and (curve.predicted > images.sum(axis=1)[:, None]).any():
            raise ValueError("curve: got more predicted images of a class than there are images")
        if curve.predicted is None and METRICS[self.metric].uses_predicted:
            raise ValueError(f"curve: got no predicted counts, which {self.metric} needs")

    def scores(self, curve: Curve, images: Choice) -> FloatArray:
        """Return the score on some images, percent, of every epoch (epochs,) or of one ()."""
        if curve.reported is not None:
            return curve.reported
        assert self.half_counts is not None
        value = score(self.metric, *curve.of(images), images(self.half_counts))
        assert value is not None  # ``check`` refuses curves without what it takes
        return value

    def best(self, curve: Curve) -> Curve:
        """Return the first epoch of the highest score on the images that choose."""
        return curve.at(int(self.scores(curve, self.choosing).argmax()))

    def metrics(self, epoch: Curve, images: Choice) -> dict[str, float | None]:
        """Return every metric of an epoch, percent; None where it is not known."""
        if epoch.reported is not None:
            return dict.fromkeys(METRICS) | {self.metric: float(epoch.reported)}
        assert self.half_counts is not None
        values = scores(*epoch.of(images), images(self.half_counts))
        return {name: None if value is None else float(value) for name, value in values.items()}

    def classes(self, epoch: Curve, images: Choice) -> FloatArray | None:
        """Return the class accuracies of an epoch on images that hold every class, percent (C,).

        None where only scores are known.
        """
        if self.half_counts is None:
            return None
        return np.asarray(100.0 * images(epoch.correct) / images(self.half_counts))
