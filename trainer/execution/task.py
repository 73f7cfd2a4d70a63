"""A benchmark's images on a device, ready to be trained on and tested."""

import numpy as np
import torch
from torch import Tensor

from trainer.data.memory import check_device_memory
from trainer.execution.augment import Augmenter, EpochPlan, MixedPlan, TurnedPlan, normalise
from trainer.prepared import ImageData
from trainer.strategies.curriculum import Difficulties
from trainer.strategies.sampling import ClassImages


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
    """

    def __init__(self, data: ImageData, padding: int, device: torch.device) -> None:
        def here(array: np.ndarray) -> Tensor:
            return torch.tensor(array, device=device)  # a copy: shared memory is read-only

        if device.type == "cuda":
            side, free = data.train_images.shape[-1], torch.cuda.mem_get_info(device)[0]
            numbers = len(data.train_labels), len(data.test_labels)
            check_device_memory(*numbers, side, side + 2 * padding, free)
        self.device = device
        self.fingerprint = data.fingerprint
        self.images, self.test_images = len(data.train_labels), len(data.test_labels)
        self.num_classes = len(data.class_names)
        self.classes = ClassImages.of(data.train_labels, self.num_classes)
        self.difficulties = Difficulties(data.train_images, data.difficulty)
        self.augmenter = Augmenter(here(data.train_images), padding)
        self.labels = here(data.train_labels)
        self.test_pixels = here(data.test_images).permute(0, 2, 3, 1).contiguous()
        self.test_labels = here(data.test_labels)
        self.training_labels = data.train_labels
        self.evaluated_labels, self.choosing = data.test_labels, data.half_a
        self.half_counts, self.scenarios = data.half_counts, data.scenarios
        self.half_and_class = (~here(data.half_a)).long() * self.num_classes + self.test_labels
        self.mean = torch.tensor(data.mean, dtype=torch.float32, device=device).view(-1, 1, 1)
        self.std = torch.tensor(data.std, dtype=torch.float32, device=device).view(-1, 1, 1)

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
        pixels = self.test_pixels[positions].permute(0, 3, 1, 2)
        inputs = normalise(pixels, self.mean, self.std)
        return inputs, self.test_labels[positions], self.half_and_class[positions]
