"""A plan of an epoch orders, crops and flips the training images; a gather carries it out."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class EpochPlan:
    """The order of an epoch's images and each image's crop and flip.

    Attributes:
        order: (N,) int64, a permutation of the training images.
        dy, dx: (N,) int64 in 0..2*padding, top-left corner of the crop in the padded image.
        flip: (N,) bool, mirror left to right after the crop.

    All four are indexed by position in the epoch.
    """

    order: Tensor
    dy: Tensor
    dx: Tensor
    flip: Tensor

    @classmethod
    def empty(cls, images: int) -> "EpochPlan":
        """Return a plan that shows the first image throughout."""
        order, dy, dx = (torch.zeros(images, dtype=torch.int64) for _ in range(3))
        return cls(order, dy, dx, torch.zeros(images, dtype=torch.bool))

    def tensors(self) -> tuple[Tensor, ...]:
        return self.order, self.dy, self.dx, self.flip

    def to(self, device: torch.device) -> "EpochPlan":
        return EpochPlan(*(x.to(device) for x in self.tensors()))

    def pinned(self) -> "EpochPlan":
        return EpochPlan(*(x.pin_memory() for x in self.tensors()))

    def copy_(self, plan: "EpochPlan") -> None:
        """Become equal to ``plan`` at the same addresses, without waiting for a GPU."""
        for mine, theirs in zip(self.tensors(), plan.tensors(), strict=True):
            mine.copy_(theirs, non_blocking=True)


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

        mirrored = torch.where(column(plan.flip), self.width - 1 - self.columns, self.columns)
        rows, columns = column(plan.dy) + self.rows, column(plan.dx) + mirrored
        return self.padded[column(plan.order), rows, columns].permute(0, 3, 1, 2)
