"""A plan of an epoch orders, crops and flips the training images; a gather carries it out."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor

AUXILIARY_STREAM = 8 << 33
"""Second key word of the plan of an epoch's auxiliary images, less the epoch number."""
TURN_STREAM = 9 << 33
"""Second key word of their quarter turns, less the epoch number."""


@dataclass(frozen=True)
class EpochPlan:
    """The order of an epoch's images and each image's crop and flip.

    Attributes:
        order: (N,) int64, the training images; a permutation where each is shown once.
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
        kinds = {"flip": torch.bool, "partner_flip": torch.bool, "share": torch.float32}
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


@dataclass(frozen=True)
class MixedPlan(EpochPlan):
    """A plan of images of which a box is another image's, and a square is erased.

    Its corners dy and dx may be outside of the padded image, whose border goes on there. Edges are
    pixels of the cropped image; a box or square whose edges are alike is empty.

    Attributes:
        partner_flip: (N,) bool, of the other image.
        share: (N,) float32 in [0, 1], of the area that is the other image's.
        partner: (N,) int64, the other image.
        partner_dy, partner_dx: (N,) int64, its crop.
        top, bottom, left, right: (N,) int64, edges of the box.
        cut_top, cut_bottom, cut_left, cut_right: (N,) int64, edges of the square.
    """

    partner_flip: Tensor
    share: Tensor
    partner: Tensor
    partner_dy: Tensor
    partner_dx: Tensor
    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor
    cut_top: Tensor
    cut_bottom: Tensor
    cut_left: Tensor
    cut_right: Tensor

    def partners(self) -> EpochPlan:
        return EpochPlan(self.partner, self.partner_dy, self.partner_dx, self.partner_flip)


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


def column(x: Tensor, positions: Tensor) -> Tensor:
    """Return numbers of images at ``positions`` (B,) as (B, 1, 1)."""
    return x[positions].view(-1, 1, 1)


class Augmenter:
    """Random crop with zero padding and horizontal flip as one gather from padded uint8 images.

    Padding is of the raw pixels, before normalisation, so a padded pixel becomes (0-mean)/std.
    """

    def __init__(self, images: Tensor, padding: int) -> None:
        """Take uint8 ``images`` (N, C, H, W); a padded copy (N, H+2p, W+2p, C) stays there."""
        number, channels, self.height, self.width = images.shape
        sides = self.height + 2 * padding, self.width + 2 * padding
        self.padded = images.new_zeros(number, *sides, channels)
        rows, columns = (slice(padding, side - padding) for side in sides)
        self.unpadded = self.padded[:, rows, columns]
        self.unpadded.copy_(images.permute(0, 2, 3, 1))
        self.rows = torch.arange(self.height, device=images.device).view(1, -1, 1)
        self.columns = torch.arange(self.width, device=images.device).view(1, 1, -1)

    def batch(self, plan: EpochPlan, positions: Tensor) -> Tensor:
        """Return the uint8 images (B, C, H, W), channels_last, at ``positions`` (B,) of a plan."""
        rows, columns = self.places(plan, positions)
        return self.padded[column(plan.order, positions), rows, columns].permute(0, 3, 1, 2)

    def places(self, plan: EpochPlan, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return rows and columns of the padded images, which broadcast to (B, H, W)."""
        rows, columns = self.rows, self.columns
        if isinstance(plan, TurnedPlan):
            rows, columns = self.turned(column(plan.turns, positions))
        mirrored = torch.where(column(plan.flip, positions), self.width - 1 - columns, columns)
        return column(plan.dy, positions) + rows, column(plan.dx, positions) + mirrored

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

    def mixed(self, plan: MixedPlan, positions: Tensor) -> Tensor:
        """Return the uint8 images (B, C, H, W), channels_last, of a plan with boxes and squares."""

        def inside(*edges: Tensor) -> Tensor:
            top, bottom, left, right = (column(edge, positions) for edge in edges)
            rows = (self.rows >= top) & (self.rows < bottom)
            columns = (self.columns >= left) & (self.columns < right)
            return (rows & columns).unsqueeze(1)

        erased = inside(plan.cut_top, plan.cut_bottom, plan.cut_left, plan.cut_right)
        box = inside(plan.top, plan.bottom, plan.left, plan.right)
        others = self.batch(plan.partners(), positions)
        return torch.where(box, others, self.shifted(plan, positions).masked_fill(erased, 0))

    def shifted(self, plan: EpochPlan, positions: Tensor) -> Tensor:
        """Return the images as ``batch`` does, black where a crop leaves the padded image."""
        rows, columns = self.places(plan, positions)
        height, width = self.padded.shape[1:3]
        there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        within = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
        pixels = self.padded[column(plan.order, positions), *within].permute(0, 3, 1, 2)
        return pixels.masked_fill(~there.unsqueeze(1), 0)
