"""What an epoch does to the training images: order, crops, flips, and the gather that does it."""

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

    def to(self, device: torch.device) -> "EpochPlan":
        return EpochPlan(*(x.to(device) for x in (self.order, self.dy, self.dx, self.flip)))


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
        """Take uint8 ``images`` (N, C, H, W); the padded copy stays on their device."""
        self.padded = functional.pad(images, (padding,) * 4).contiguous()
        self.height, self.width = images.shape[2:]
        device = images.device
        self.rows = torch.arange(self.height, device=device).view(1, 1, -1, 1)
        self.columns = torch.arange(self.width, device=device).view(1, 1, 1, -1)
        self.channels = torch.arange(images.shape[1], device=device).view(1, -1, 1, 1)

    def batch(self, plan: EpochPlan, start: int, stop: int) -> Tensor:
        """Return the uint8 images (B, C, H, W) at positions ``start..stop`` of the plan."""

        def column(x: Tensor) -> Tensor:
            return x[start:stop].view(-1, 1, 1, 1)

        mirrored = torch.where(column(plan.flip), self.width - 1 - self.columns, self.columns)
        rows = column(plan.dy) + self.rows
        return self.padded[column(plan.order), self.channels, rows, column(plan.dx) + mirrored]
