"""A buffered task has the images of one batch at a time, for the steps of one slot."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor

from spaces.recipe import Variant
from trainer.execution.augment import Augmenter
from trainer.execution.batch_steps import evaluation_batch
from trainer.execution.task import AUXILIARY, PARTNER, Task
from trainer.strategies.sampling import Integers
from trainer.streaming.read_ahead import ReadAhead, in_batches

COPIES = 3
"""Batches of a slot whose copies to a GPU are queued and not done; each keeps its host memory."""


def task_of_slot(task: Task, batch: int, variants: Collection[Variant], pinned: bool) -> Task:
    """Return the task for a slot with batches of so many images and these training steps.

    It is the task itself where the images are on the device. ``pinned`` host memory is copied from
    without waiting for a GPU.
    """
    if task.splits is None:
        return task
    used = [variant.auxiliary != "none" and AUXILIARY for variant in variants]
    used += [variant.mixed and PARTNER for variant in variants]
    return BufferedTask(task, min(batch, task.images), 1 + max(map(int, used)), pinned)


class BufferedTask(Task):
    """A task whose images come batch by batch from the host, to fixed addresses.

    The images of a plan are places in a buffer: those of stream s are at ``s * batch`` and behind.
    So the steps, also as CUDA graphs, are those of images that are all on the device.

    Attributes:
        batch: images of a training batch.
        copies: marks behind the copies to a GPU that are not known to be done, the oldest first.
        shown: what the batches of the epoch show, (N,) of each stream by position.
    """

    def __init__(self, task: Task, batch: int, streams: int, pinned: bool) -> None:
        vars(self).update(vars(task))
        assert task.splits is not None
        self.train_images, self.evaluated_images = task.splits
        device, (_, channels, height, width) = task.device, self.train_images.shape
        buffer = torch.zeros(streams * batch, channels, height, width, dtype=torch.uint8)
        self.augmenter = Augmenter(buffer.to(device), task.padding)
        self.labels = torch.zeros(streams * batch, dtype=torch.int64, device=device)
        tested = min(evaluation_batch(width), task.test_images), height, width, channels
        self.test_pixels = torch.zeros(tested, dtype=torch.uint8, device=device)
        self.batch, self.pinned = batch, pinned
        self.copies: deque[torch.cuda.Event] = deque()
        self.in_batch = torch.arange(task.images) % batch
        self.shown: Mapping[int, Integers] = {}
        self.reading = ReadAhead(pinned)

    def places(self, stream: int, images: Integers) -> Tensor:
        return stream * self.batch + self.in_batch

    def read_ahead(
        self, shown: Mapping[int, Integers], sequence: Sequence[tuple[str, int]], done: int
    ) -> None:
        train, test = ([size for kind, size in sequence if kind == k] for k in ("train", "test"))
        self.shown = shown
        portions = chain(
            in_batches(self.train_images, list(shown.values()), train),
            in_batches(self.evaluated_images, [np.arange(self.test_images)], test),
        )
        self.reading.begin(islice(portions, done, None))

    def has_batch(self) -> bool:
        while self.copies and self.copies[0].query():
            self.copies.popleft()
        return len(self.copies) < COPIES and self.reading.is_ready()

    def take_batch(self, phase: str, size: int) -> None:
        numbers, pixels = self.reading.take()
        self.copy(phase, size, numbers, pixels)
        if self.pinned:
            self.copies.append(torch.cuda.current_stream(self.device).record_event())

    def copy(self, phase: str, size: int, numbers: Integers, pixels: Tensor) -> None:
        if phase == "test":
            self.test_pixels[:size].copy_(pixels, non_blocking=True)
            return
        labels = torch.from_numpy(self.training_labels[numbers])
        labels = labels.pin_memory() if self.pinned else labels
        for index, stream in enumerate(self.shown):
            there = slice(stream * self.batch, stream * self.batch + size)
            here = slice(index * size, (index + 1) * size)
            self.augmenter.unpadded[there].copy_(pixels[here], non_blocking=True)
            self.labels[there].copy_(labels[here], non_blocking=True)
