"""A benchmark's images on a device, ready to be trained on and tested."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.data.memory import lacking_device_memory
from trainer.execution.augment import Augmenter, EpochPlan, MixedPlan, TurnedPlan, normalise
from trainer.prepared import ImageData
from trainer.prepared.stored_images import StoredImages
from trainer.strategies.curriculum import Difficulties
from trainer.strategies.sampling import ClassImages, Integers

OWN, PARTNER, AUXILIARY = 0, 1, 2
"""Streams of an epoch's images: its own, those whose boxes are pasted, those of an auxiliary task.
"""

log = logging.getLogger(__name__)


class Task:
    """The images as bytes, pixel by pixel (N, H, W, channels), as channels_last networks read them.

    Attributes:
        images: number of training images.
        test_images: number of test images.
        classes: the training images of each class, on the host.
        difficulties: of the training images, on the host.
        half_and_class: (test_images,) int64, half * C + class; half 0 is A, 1 is B.
        training_labels, evaluated_labels: of the training and the test images, (N,) and (T,), on
            the host.
        choosing: bool (T,), half A, on the host.
        scenarios: of the images, on the host; None where they have none.
        half_counts: test images by half and class, int64 (2, C), on the host.
        splits: the training and the test images, on the host, if they do not fit on the device or
            into memory: then a slot trains with a ``BufferedTask``. Else None.
    """

    def __init__(self, data: ImageData, padding: int, device: torch.device) -> None:
        self.device, self.padding = device, padding
        self.fingerprint = data.fingerprint
        self.images, self.test_images = len(data.train_labels), len(data.test_labels)
        self.num_classes = len(data.class_names)
        self.classes = ClassImages.of(data.train_labels, self.num_classes)
        self.difficulties = Difficulties(data.train_images, data.difficulty)
        self.training_labels = data.train_labels
        self.evaluated_labels, self.choosing = data.test_labels, data.half_a
        self.half_counts, self.scenarios = data.half_counts, data.scenarios
        self.test_labels = self.here(data.test_labels)
        self.half_and_class = self.here(~data.half_a).long() * self.num_classes + self.test_labels
        self.mean = torch.tensor(data.mean, dtype=torch.float32, device=device).view(-1, 1, 1)
        self.std = torch.tensor(data.std, dtype=torch.float32, device=device).view(-1, 1, 1)
        self.splits = (data.train_images, data.test_images) if self.streams(data) else None
        if self.splits is None:
            self.augmenter = Augmenter(self.here(data.train_images), padding)
            self.labels = self.here(data.train_labels)
            pixels = np.asarray(data.test_images).transpose(0, 2, 3, 1)
            # Moved on the host: a GPU need not have room for them twice.
            self.test_pixels = self.here(np.ascontiguousarray(pixels))

    def here(self, array: Any) -> Tensor:
        return torch.tensor(array, device=self.device)  # a copy: shared memory is read-only

    def streams(self, data: ImageData) -> bool:
        """Return whether the images are to come batch by batch.

        Raises:
            DataError: their file is not here.
        """
        if isinstance(data.train_images, StoredImages):
            data.train_images.check()
            return True
        if self.device.type != "cuda":
            return False
        side, free = data.train_images.shape[-1], torch.cuda.mem_get_info(self.device)[0]
        numbers = self.images + self.test_images, self.images
        lacking = lacking_device_memory(*numbers, side, side + 2 * self.padding, free)
        if lacking:
            log.warning("Images are copied to the GPU batch by batch: %s.", lacking)
        return lacking is not None

    def places(self, stream: int, images: Integers) -> Tensor:
        """Return where the ``images`` of an epoch's stream, (N,) by position, are for its steps."""
        return torch.from_numpy(images)

    def read_ahead(
        self, shown: Mapping[int, Integers], sequence: Sequence[tuple[str, int]], done: int
    ) -> None:
        """Begin to read what the batches of an epoch show, (N,) of each stream by position.

        ``sequence`` has the phase and the size of every batch, of which some are done.
        """

    def has_batch(self) -> bool:
        """Return whether the images of the next batch of the sequence were read."""
        return True

    def take_batch(self, phase: str, size: int) -> None:
        """Put the images of the next batch where its step reads them.

        Raises:
            DataError: they could not be read.
        """

    def training_batch(self, plan: EpochPlan, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs float32 (B, channels, H, W) and labels (B,) at ``positions`` of a plan."""
        pixels = self.augmenter.batch(plan, positions)
        return normalise(pixels, self.mean, self.std), self.labels[plan.order[positions]]

    def mixed_batch(self, plan: MixedPlan, positions: Tensor) -> tuple[Tensor, ...]:
        """Return inputs as ``training_batch``, labels, partners' labels and their shares, (B,)."""
        pixels = normalise(self.augmenter.mixed(plan, positions), self.mean, self.std)
        labels = (self.labels[order[positions]] for order in (plan.order, plan.partner))
        return pixels, *labels, plan.share[positions]

    def auxiliary_batch(
        self, task: str, plan: TurnedPlan, positions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return inputs and labels of an auxiliary task at ``positions`` of a plan.

        The labels are classes for "regular", whose images stay upright, and else quarter turns.
        """
        if task == "regular":
            return self.training_batch(plan.upright(), positions)
        pixels = self.augmenter.batch(plan, positions)
        return normalise(pixels, self.mean, self.std), plan.turns[positions]

    def test_batch(self, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs float32 (B, channels, H, W), labels and ``half_and_class``, both (B,)."""
        places = positions % len(self.test_pixels)  # of those that are here
        pixels = self.test_pixels[places].permute(0, 3, 1, 2)
        inputs = normalise(pixels, self.mean, self.std)
        return inputs, self.test_labels[positions], self.half_and_class[positions]
