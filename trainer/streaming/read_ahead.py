"""Reading ahead: threads read the batches of a slot before its steps need them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.prepared.stored_images import Images, Pixels, StoredImages
from trainer.strategies.sampling import Integers

AHEAD = 3
"""Batches of a slot that are read or wait to be taken."""
READERS = ThreadPoolExecutor(4, thread_name_prefix="images")
"""Read for all slots of the process."""


@dataclass(frozen=True)
class Portion:
    """Images that a batch needs: their numbers, (n,), among those of a split."""

    images: Images
    numbers: Integers


def read_into(portion: Portion, pixels: Pixels) -> None:
    """Read a portion into ``pixels``, (n, H, W, C).

    Raises:
        DataError: the file cannot be read, or was damaged.
    """
    if not isinstance(portion.images, StoredImages):
        pixels[...] = portion.images[portion.numbers].transpose(0, 2, 3, 1)
        return
    for number, image in zip(portion.numbers.tolist(), pixels, strict=True):
        portion.images.read(number, image)


class ReadAhead:
    """The batches of a slot, uint8 (n, H, W, C) on the host, in the order of its steps.

    Memory is asked for by the thread that takes the batches, because CUDA pins it.
    """

    def __init__(self, pinned: bool) -> None:
        self.pinned = pinned
        self.begin(iter(()))

    def begin(self, portions: Iterator[Portion]) -> None:
        """Read these from now on; what was read and not taken is forgotten."""
        self.portions = portions
        self.waiting: deque[tuple[Portion, Tensor, Future[None]]] = deque()
        self.fill()

    def fill(self) -> None:
        while len(self.waiting) < AHEAD and (portion := next(self.portions, None)):
            _, channels, height, width = portion.images.shape
            size = len(portion.numbers), height, width, channels
            pixels = torch.empty(size, dtype=torch.uint8, pin_memory=self.pinned)
            reading = READERS.submit(read_into, portion, pixels.numpy())
            self.waiting.append((portion, pixels, reading))

    def is_ready(self) -> bool:
        """Return whether the next batch is there."""
        return self.waiting[0][2].done()

    def take(self) -> tuple[Integers, Tensor]:
        """Return the numbers of the next batch's images and the images, waiting for them.

        Raises:
            DataError: it could not be read.
        """
        portion, pixels, reading = self.waiting.popleft()
        reading.result()
        self.fill()
        return portion.numbers, pixels


def in_batches(split: Images, streams: list[Integers], sizes: list[int]) -> Iterator[Portion]:
    """Yield what batches of some sizes show of a split: of every stream (N,) so many images.

    ``streams`` say which images an epoch shows, by position.
    """
    start = 0
    for size in sizes:
        shown = [stream[start : start + size] for stream in streams]
        yield Portion(split, np.concatenate(shown))
        start += size
