"""Feedback: moving averages of the training losses, and what follows from them.

Losses come by their position in an epoch, and are reduced on the host in float64, in the order of
the positions. So the state after an epoch is a pure function of seed, epoch and the state before.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from spaces.parts.feedback import Feedback
from trainer.strategies.curriculum import RankedImages
from trainer.strategies.sampling import ClassImages, Integers, Numbers

SPARE_STREAM = 5 << 33
"""Second key word of the words that choose what is shown for spared images, less the epoch."""


def class_means(losses: Numbers, labels: Integers, classes: int) -> Numbers:
    """Return the mean of each class, float64 (C,), of losses (M,); NaN for a class without any."""
    sums = np.bincount(labels, weights=losses, minlength=classes)
    images = np.bincount(labels, minlength=classes)
    return np.where(images > 0, sums / np.maximum(images, 1), np.nan)


def averaged(before: Numbers, now: Numbers, memory: float) -> Numbers:
    """Return moving averages after values ``now``; NaN stands for none, before or now."""
    moved = memory * before + (1.0 - memory) * now
    return np.where(np.isnan(now), before, np.where(np.isnan(before), now, moved))


class LossMemory:
    """The moving averages of a trial's training losses.

    Attributes:
        by_class: float64 (C,), of the epochs since the feedback's ramp began; NaN before.
        by_image: float64 (N,); NaN for images that were not shown yet.
    """

    def __init__(self, feedback: Feedback, epochs: int, classes: ClassImages) -> None:
        self.feedback, self.epochs, self.classes = feedback, epochs, classes
        self.labels = classes.labels()
        self.by_class = np.full(len(classes.counts), np.nan)
        self.by_image = np.full(len(self.labels), np.nan)

    def observe(self, epoch: int, order: Integers, losses: npt.NDArray[np.float32]) -> None:
        """Take the losses (N,) of ``epoch`` (1-based) by position; ``order`` (N,) has images."""
        exact, memory = losses.astype(np.float64), self.feedback.memory
        images = class_means(exact, order, len(self.by_image))
        self.by_image = averaged(self.by_image, images, memory)
        progress = (epoch - 1) / (self.epochs - 1) if self.epochs > 1 else 0.0
        if progress >= self.feedback.ramp.begin:
            means = class_means(exact, self.labels[order], len(self.by_class))
            self.by_class = averaged(self.by_class, means, memory)

    def factors(self, epoch: int) -> Numbers | None:
        """Return the factors of the classes in ``epoch``, float64 (C,); None if they are all 1."""
        feedback, tau = self.feedback, self.feedback.ramp.at(epoch, self.epochs)
        known = ~np.isnan(self.by_class)
        if feedback.onto == "none" or tau == 0.0 or not self.by_class[known].any():
            return None
        relative = np.where(known, self.by_class, 0.0) / self.by_class[known].mean()
        powers = np.where(known, relative, 1.0) ** feedback.strength
        limited: Numbers = np.clip(powers, 1.0 / feedback.limit, feedback.limit) ** tau
        return limited

    def spared(self, seed: int, epoch: int, order: Integers) -> Integers:
        """Return an ``order`` (N,) of ``epoch`` without the images of the highest losses."""
        share = self.feedback.spared * self.feedback.ramp.at(epoch, self.epochs)
        if share == 0.0 or np.isnan(self.by_image).all():
            return order
        words = np.random.Philox(key=[seed, SPARE_STREAM + epoch]).random_raw(len(self.by_class))
        ranked = RankedImages(self.classes, np.nan_to_num(self.by_image, nan=0.0))
        return ranked.opened(order, 1.0 - share, (words >> np.uint64(32)) * 2.0**-32)

    def state(self) -> dict[str, Any]:
        """Return the moving averages, as copies that a checkpoint can hold."""
        return {"by_class": torch.tensor(self.by_class), "by_image": torch.tensor(self.by_image)}

    def restore(self, state: dict[str, Any]) -> None:
        """Become what ``state`` was made of."""
        self.by_class = state["by_class"].numpy().copy()
        self.by_image = state["by_image"].numpy().copy()
