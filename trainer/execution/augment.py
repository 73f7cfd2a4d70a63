"""A plan of an epoch orders, crops and flips the training images; a gather carries it out."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

AUXILIARY_STREAM = 8 << 33
"""Second key word of the plan of an epoch's auxiliary images, less the epoch number."""
TURN_STREAM = 9 << 33
"""Second key word of their quarter turns, less the epoch number."""


@dataclass(frozen=True)
class EpochPlan:
    """The order of an epoch's images and each image's crop and flip.

    Attributes:
        order: (N,) int64, a permutation of the training images.
        dy, dx: (N,) int64 in 0..2*padding, top-left corner of the crop in the padded image.
        flip: (N,) bool, mirror left to right after the crop.

    All are indexed by position in the epoch.
    """

    order: Tensor
    dy: Tensor
    dx: Tensor
    flip: Tensor

    @classmethod
    def empty(cls, images: int) -> Self:
        """Return a plan that shows the first image throughout."""
        kinds = {"flip": torch.bool}
        names = [field.name for field in fields(cls)]
        return cls(*(torch.zeros(images, dtype=kinds.get(n, torch.int64)) for n in names))

    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))

    def to(self, device: torch.device) -> Self:
        return type(self)(*(x.to(device) for x in self.tensors()))

    def pinned(self) -> Self:
        return type(self)(*(x.pin_memory() for x in self.tensors()))

    def copy_(self, plan: Self) -> None:
        """Become equal to ``plan`` at the same addresses, without waiting for a GPU."""
        for mine, theirs in zip(self.tensors(), plan.tensors(), strict=True):
            mine.copy_(theirs, non_blocking=True)


@dataclass(frozen=True)
class TurnedPlan(EpochPlan):
    """A plan of images that are also rotated, after crop and flip.

    Attributes:
        turns: (N,) int64 in 0..3, quarter turns counterclockwise.
    """

    turns: Tensor

    def upright(self) -> EpochPlan:
        return EpochPlan(self.order, self.dy, self.dx, self.flip)


def epoch_plan(seed: int, epoch: int, images: int, padding: int, flip: bool) -> EpochPlan:
    """Return the plan of ``epoch`` (1-based): a pure function of its arguments.

    Raw words of the counter-based Philox generator (Salmon et al., SC 2011) are used, whose
    stream numpy guarantees across versions; resuming needs no generator state.
    """
    words = np.random.Philox(key=[seed, epoch]).random_raw(2 * images)
    order = np.argsort(words[:images], kind="stable")
    cells = words[images:]
    side = np.uint64(2 * padding + 1)
    dy = (cells >> np.uint64(40)) % side
    dx = ((cells >> np.uint64(16)) & np.uint64(0xFFFFFF)) % side
    mirrored = (cells & np.uint64(1)).astype(bool) & flip
    return EpochPlan(
        torch.from_numpy(order.astype(np.int64)),
        torch.from_numpy(dy.astype(np.int64)),
        torch.from_numpy(dx.astype(np.int64)),
        torch.from_numpy(mirrored),
    )


def auxiliary_plan(seed: int, epoch: int, images: int, padding: int, flip: bool) -> TurnedPlan:
    """Return the plan of an epoch's auxiliary images: a pure function of its arguments."""
    plan = epoch_plan(seed, AUXILIARY_STREAM + epoch, images, padding, flip)
    words = np.random.Philox(key=[seed, TURN_STREAM + epoch]).random_raw(images)
    turns = (words >> np.uint64(62)).astype(np.int64)
    return TurnedPlan(plan.order, plan.dy, plan.dx, plan.flip, torch.from_numpy(turns))


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Scale uint8 images (B, C, H, W) to float32 as ToTensor and Normalize do, bit for bit.

    ``mean`` and ``std`` are float32 of shape (C, 1, 1).
    """
    return images.float().div_(255).sub_(mean).div_(std)


class Augmenter:
    """Random crop with zero padding and horizontal flip as one gather from padded uint8 images.

    Padding is of the raw pixels, before normalisation, so a padded pixel becomes (0-mean)/std.
    """

    def __init__(self, images: Tensor, padding: int) -> None:
        """Take uint8 ``images`` (N, C, H, W); a padded copy (N, H+2p, W+2p, C) stays there."""
        padded = functional.pad(images, (padding,) * 4)
        self.padded = padded.permute(0, 2, 3, 1).contiguous()
        self.height, self.width = images.shape[2:]
        self.rows = torch.arange(self.height, device=images.device).view(1, -1, 1)
        self.columns = torch.arange(self.width, device=images.device).view(1, 1, -1)

    def batch(self, plan: EpochPlan, positions: Tensor) -> Tensor:
        """Return the uint8 images (B, C, H, W), channels_last, at ``positions`` (B,) of a plan."""

        def column(x: Tensor) -> Tensor:
            return x[positions].view(-1, 1, 1)

        rows, columns = self.rows, self.columns
        if isinstance(plan, TurnedPlan):
            rows, columns = self.turned(column(plan.turns))
        mirrored = torch.where(column(plan.flip), self.width - 1 - columns, columns)
        rows, columns = column(plan.dy) + rows, column(plan.dx) + mirrored
        return self.padded[column(plan.order), rows, columns].permute(0, 3, 1, 2)

    def turned(self, turns: Tensor) -> tuple[Tensor, Tensor]:
        """Return where each pixel of square images comes from, rows and columns (B, H, W).

        Args:
            turns: of each image, (B, 1, 1).
        """
        assert self.height == self.width
        last, rows, columns = self.width - 1, self.rows, self.columns

        def chosen(*places: Tensor) -> Tensor:
            found = places[0]
            for turn, place in enumerate(places[1:], 1):
                found = torch.where(turns == turn, place, found)
            return found

        return (
            chosen(rows, columns, last - rows, last - columns),
            chosen(columns, last - rows, last - columns, rows),
        )
