"""The curriculum in the exported module of a training strategy, with torch alone.

An export of a strategy with a curriculum has this file behind those of `search/export`, with the
constants of the curriculum that was found (`search.export.module_template`). The arithmetic repeats
`trainer.strategies.curriculum`, against which every export is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Sampler

from search.export.best_strategy import EpochSampler, Ramp, _images, _progress, _strength

# Which images of a class are opened first, "easy", "hard" or "random" ones, by which measure,
# "texture", "contrast", the running "loss" of each image in the training, or a "column" of the
# table of the images; and the share of each class that is open, by the progress of training.
ORDER: str = "easy"
DIFFICULTY: str = "texture"
OPEN_SHARE: Ramp = Ramp()


def image_difficulty(images: Any) -> torch.Tensor:
    """Difficulty of each image, float64 (N,), from pixels (N, C, H, W) of the size of training.

    They are not augmented, and not normalised by channel, which would weigh the colours otherwise.
    "texture" is the sum of squared differences of neighbouring pixels, "contrast" the negative
    variance of the pixels, times their number squared. Raises ValueError for others, and for
    images of another shape.
    """
    if DIFFICULTY not in ("texture", "contrast"):
        how = "a running loss before each epoch" if DIFFICULTY == "loss" else "that of each image"
        raise ValueError(
            f"the difficulty is the {DIFFICULTY} of each image, which pixels do not tell; give the "
            f"sampler {how}."
        )
    measured = [_difficulty(torch.as_tensor(image).cpu().double()) for image in images]
    return torch.stack(measured)


def _difficulty(image: torch.Tensor) -> torch.Tensor:
    if image.dim() != 3 or (image.shape[-1] in (1, 3, 4) and image.shape[0] > 4):
        raise ValueError(
            f"an image has the shape {tuple(image.shape)}; it must be (C, H, W), the colours first."
        )
    if DIFFICULTY == "contrast":
        return image.sum() ** 2 - image.numel() * (image**2).sum()
    return (image.diff(dim=1) ** 2).sum() + (image.diff(dim=2) ** 2).sum()


def open_images(
    order: Any, labels: Any, difficulty: Any, epoch: int, epochs: int, uniform: Any
) -> torch.Tensor:
    """Order (M,) of images in which closed ones are replaced by open ones of their class.

    `order` (M,) has image numbers, and `labels` (N,) the class of each image. Images with a high
    `difficulty` (N,) are opened first where ORDER is "hard", with a low one where it is not.
    `uniform` (C,) in [0, 1) chooses among replacements, a new one for each epoch and class.
    """
    shown, (classes, counts) = torch.as_tensor(order), _images(labels)
    share = _strength(OPEN_SHARE, _progress(epoch, epochs))
    hardness = torch.as_tensor(difficulty).detach().cpu().double()
    by_difficulty = torch.argsort(hardness, descending=ORDER == "hard", stable=True)
    ranked = by_difficulty[torch.argsort(classes[by_difficulty], stable=True)]
    starts = (counts.cumsum(0) - counts).long()
    ranks = torch.empty_like(ranked)
    ranks[ranked] = torch.arange(len(ranked)) - starts[classes[ranked]]
    kept, of_class = torch.clamp(1 / counts, min=share), classes[shown]
    replaced = (ranks[shown] + torch.as_tensor(uniform)[of_class]) * kept[of_class]
    return shown if share == 1 else ranked[starts[of_class] + replaced.long()]


class CurriculumSampler(Sampler[int]):
    """Order of an EpochSampler's images in which closed ones are replaced by open ones.

    `set_epoch` goes before each epoch. `difficulty` (N,) is of the training images, in the order
    of the labels: that of `image_difficulty`, or a measure of your own. A random order uses none.
    Where DIFFICULTY is "loss", set the attribute `difficulty` before each epoch but the first.
    """

    def __init__(
        self,
        sampler: EpochSampler,
        difficulty: Any = None,
        generator: torch.Generator | None = None,
    ) -> None:
        self.sampler, self.generator = sampler, generator
        unknown = difficulty is None and DIFFICULTY == "loss"
        if difficulty is None and not unknown and ORDER != "random":
            how = "that of each image" if DIFFICULTY == "column" else "image_difficulty(images)"
            raise ValueError(f"difficulty is missing, and the order is {ORDER}; give {how}.")
        with torch.device("cpu"):  # the default may be any
            random = torch.rand(len(sampler), generator=generator, dtype=torch.float64)
            given = random if unknown or ORDER == "random" else torch.as_tensor(difficulty)
        self.difficulty = given
        if self.difficulty.shape != (len(sampler),):
            raise ValueError(
                f"difficulty has the shape {tuple(self.difficulty.shape)}; it must have a number "
                f"for each of the {len(sampler)} images."
            )

    def __len__(self) -> int:
        return len(self.sampler)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 1, of the next order."""
        self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        inner, when = self.sampler, (self.sampler.epoch, self.sampler.epochs)
        with torch.device("cpu"):
            order = torch.tensor(list(inner))
            uniform = torch.rand(len(inner.counts), generator=self.generator, dtype=torch.float64)
            opened = open_images(order, inner.classes, self.difficulty, *when, uniform)
            return iter(opened.tolist())
