"""Plans of mixed images have boxes of partners of all classes, and the tail more augmentation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from spaces.recipe import Recipe
from trainer.execution.augment import EpochPlan, MixedPlan, epoch_plan
from trainer.strategies.sampling import ClassImages, Integers, Words

PARTNER_STREAM = 10 << 33
"""Second key word of the words that draw partners, less the epoch number."""
PARTNER_PLAN_STREAM = 11 << 33
"""Second key word of the partners' crops and flips, less the epoch number."""
BOX_STREAM = 12 << 33
"""Second key word of the words that place boxes, less the epoch number."""
AUGMENT_STREAM = 13 << 33
"""Second key word of the words that shift, mirror and erase, less the epoch number."""

Floats = npt.NDArray[np.float64]


def drawn_words(seed: int, stream: int, epoch: int, rows: int, images: int) -> Words:
    """Return the words of an epoch's images from a stream, (rows, images)."""
    words = np.random.Philox(key=[seed, stream + epoch]).random_raw(rows * images)
    return words.reshape(rows, images)


def uniform(words: Words) -> Floats:
    """Return numbers in [0, 1), one of each word."""
    return np.asarray((words >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def partners(seed: int, epoch: int, classes: ClassImages) -> Integers:
    """Return N images for an epoch, of each class that has some with the same probability."""
    present = np.flatnonzero(classes.counts)
    first, second = drawn_words(seed, PARTNER_STREAM, epoch, 2, len(classes.images))
    drawn = present[(first % np.uint64(len(present))).astype(np.int64)]
    places = (second % classes.counts[drawn].astype(np.uint64)).astype(np.int64)
    images: Integers = classes.images[classes.starts[drawn] + places]
    return images


def square(centre: Floats, side: Integers, whole: int) -> tuple[Integers, Integers]:
    """Return where intervals (N,) around centres in [0, 1) begin and end, within 0..whole."""
    middle = (centre * whole).astype(np.int64)
    return np.maximum(middle - side // 2, 0), np.minimum(middle + (side + 1) // 2, whole)


@dataclass(frozen=True)
class MixedPlans:
    """The plans of a trial whose images are mixed, each a pure function of the seed and the epoch.

    Attributes:
        side: of the square images, pixels.
        padding, flip: the protocol's.
        classes: the training images of each class.
    """

    seed: int
    recipe: Recipe
    epochs: int
    classes: ClassImages
    side: int
    padding: int
    flip: bool

    def plan(self, epoch: int, plan: EpochPlan) -> MixedPlan:
        """Return ``plan`` of ``epoch`` (1-based) with its boxes and augmentation."""
        images = len(self.classes.images)
        like = images, self.padding, self.flip
        own = epoch_plan(self.seed, PARTNER_PLAN_STREAM + epoch, *like)
        boxes = self.boxes(epoch)
        area = (boxes[1] - boxes[0]) * (boxes[3] - boxes[2])
        dy, dx, mirrored, *cuts = self.augmented(epoch, plan)
        numbers = [partners(self.seed, epoch, self.classes), own.dy.numpy(), own.dx.numpy()]
        integers = (torch.from_numpy(x) for x in (*numbers, *boxes, *cuts))
        share = torch.from_numpy(area / self.side**2).float()
        flips = torch.from_numpy(mirrored), own.flip
        return MixedPlan(
            *(plan.order, torch.from_numpy(dy), torch.from_numpy(dx)), *flips, share, *integers
        )

    def boxes(self, epoch: int) -> list[Integers]:
        """Return top, bottom, left and right of each image's box, (N,), empty where there is none.

        The box has a uniform share of the image's area, before it is cut off at the border.
        """
        words = drawn_words(self.seed, BOX_STREAM, epoch, 4, len(self.classes.images))
        chosen, share, *centre = map(uniform, words)
        mixed = chosen < self.recipe.mixing.probability_at(epoch, self.epochs)
        side = (np.sqrt(share) * self.side).astype(np.int64) * mixed
        return [edge for middle in centre for edge in square(middle, side, self.side)]

    def augmented(self, epoch: int, plan: EpochPlan) -> tuple[npt.NDArray[np.int64], ...]:
        """Return dy, dx and flip of ``plan`` after shifts and mirrors, and edges of erased squares.

        A corner may be outside of the padded image.
        """
        augmentation = self.recipe.augmentation
        strengths = augmentation.strengths(np.maximum(self.recipe.counts, 1))
        of_image = strengths[self.classes.labels()[plan.order.numpy()]]
        words = drawn_words(self.seed, AUGMENT_STREAM, epoch, 5, len(of_image))
        up, left, mirror, *centre = map(uniform, words)
        most = np.rint(augmentation.shift * of_image * self.side).astype(np.int64)
        dy, dx = (
            corner.numpy() + (x * (2 * most + 1)).astype(np.int64) - most
            for corner, x in ((plan.dy, up), (plan.dx, left))
        )
        mirrored = plan.flip.numpy() ^ (mirror < augmentation.flip * of_image)
        side = np.rint(augmentation.cutout * of_image * self.side).astype(np.int64)
        cuts = (edge for middle in centre for edge in square(middle, side, self.side))
        return dy, dx, mirrored, *cuts
