"""The curriculum of a trial: difficulties of images, and which of them an epoch may show."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from spaces.errors import UserError
from spaces.parts.curriculum import Curriculum, Difficulty
from trainer.prepared.stored_images import Images
from trainer.strategies.sampling import ClassImages, Integers, Numbers

OPEN_STREAM = 3 << 33
"""Second key word of the words that choose an epoch's replacements, less the epoch number."""
RANK_STREAM = 4 << 33
"""Second key word of the words that order images at random, in all epochs alike."""

Floats = npt.NDArray[np.floating[Any]]


def texture(image: npt.NDArray[np.int64]) -> int:
    """Return the gradient energy: the sum of squared differences of neighbouring values."""
    vertical, horizontal = np.diff(image, axis=1), np.diff(image, axis=2)
    return int((vertical**2).sum() + (horizontal**2).sum())


def contrast(image: npt.NDArray[np.int64]) -> int:
    """Return the negative variance of the values, times their number squared: low is easy."""
    return int(image.sum() ** 2 - image.size * (image**2).sum())


MEASURES: dict[Difficulty, Callable[[npt.NDArray[np.int64]], int]] = {
    "texture": texture,
    "contrast": contrast,
}
"""Measures of an image, int64 (C, H, W): whole numbers, so that ranks are the same everywhere."""


class Difficulties:
    """The difficulties of training images, each measured once, when it is first needed."""

    def __init__(self, images: Images, column: Numbers | None = None) -> None:
        """Take uint8 ``images`` (N, C, H, W), and their difficulties in a user's table, (N,)."""
        self.images = images
        self.known: dict[Difficulty, npt.NDArray[Any]] = {}
        if column is not None:
            self.known["column"] = column

    def of(self, name: Difficulty) -> npt.NDArray[Any]:
        """Return how hard each image is, (N,), least for the easiest.

        Raises:
            UserError: no table gives their difficulty.
        """
        if name == "column" and name not in self.known:
            raise UserError(
                "the images have no difficulty of their own: name them in a table with a column "
                "difficulty ([data] csv or parquet), or choose texture, contrast or loss."
            )
        if name not in self.known:
            images = (self.images[i].astype(np.int64) for i in range(len(self.images)))
            measured = map(MEASURES[name], images)
            self.known[name] = np.fromiter(measured, np.int64, len(self.images))
        return self.known[name]


class RankedImages:
    """The images of each class in the order in which they are opened.

    Attributes:
        labels: (N,) the class of each image.
        ranked: (N,) image numbers, class by class, the lowest in ``hardness`` first.
        places: (N,) where each image is among those of its class in ``ranked``.
    """

    def __init__(self, classes: ClassImages, hardness: npt.NDArray[Any]) -> None:
        self.classes, self.labels = classes, classes.labels()
        self.ranked = np.lexsort((hardness, self.labels))
        self.places = np.empty_like(self.ranked)
        starts = np.repeat(classes.starts, classes.counts)
        self.places[self.ranked] = np.arange(len(self.ranked)) - starts

    def opened(self, order: Integers, share: float, uniform: Floats) -> Integers:
        """Return an ``order`` (N,) with open images of the same classes, by a share in (0, 1].

        Of n images ranked r = 0, 1, .. of which o are open, a real number from 1 to n, the image r
        is replaced by the image of rank floor((r + u) o / n), with u of its class from
        ``uniform``, (C,) in [0, 1 - 2^-32]. So the open images are shown alike often, the last one
        in proportion to the part of it that is open, and with all open each image stays itself.
        """
        labels = self.labels[order]
        kept = np.maximum(share, 1.0 / np.maximum(self.classes.counts, 1))[labels]
        places = ((self.places[order] + uniform[labels]) * kept).astype(np.int64)
        opened: Integers = self.ranked[self.classes.starts[labels] + places]
        return opened


class OpenImages:
    """The images that epochs may show, a pure function of curriculum, seed, epoch and losses."""

    def __init__(
        self,
        seed: int,
        curriculum: Curriculum,
        epochs: int,
        classes: ClassImages,
        difficulties: Difficulties,
    ) -> None:
        self.seed, self.epochs, self.curriculum = seed, epochs, curriculum
        self.classes, self.difficulties = classes, difficulties

    @cached_property
    def ranked(self) -> RankedImages:
        """The images in an order that is the same in all epochs."""
        curriculum = self.curriculum
        if curriculum.order == "random" or curriculum.follows_losses:
            words = np.random.Philox(key=[self.seed, RANK_STREAM])
            return RankedImages(self.classes, words.random_raw(len(self.classes.images)))
        return RankedImages(self.classes, self._signed(self.difficulties.of(curriculum.difficulty)))

    def _signed(self, hardness: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return hardness if self.curriculum.order == "easy" else -hardness

    def shown(self, epoch: int, order: Integers, losses: Numbers | None = None) -> Integers:
        """Return an ``order`` (N,) of ``epoch`` (1-based) with open images of the same classes.

        ``losses`` (N,) are the moving averages by which a curriculum ranks images, NaN for an image
        that has none yet. While none has one, the order is random.
        """
        share = self.curriculum.pacing.at(epoch, self.epochs)
        if share == 1.0:
            return order
        ranked = self.ranked
        if self.curriculum.follows_losses and losses is not None and not np.isnan(losses).all():
            hardness = np.where(np.isnan(losses), np.inf, losses)
            ranked = RankedImages(self.classes, self._signed(hardness))
        key = [self.seed, OPEN_STREAM + epoch]
        words = np.random.Philox(key=key).random_raw(len(self.classes.counts))
        return ranked.opened(order, share, (words >> np.uint64(32)) * 2.0**-32)
