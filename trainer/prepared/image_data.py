"""Image data are what a training needs of a benchmark's images."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainer.diagnosis.scenarios import Positions, Scenarios
from trainer.prepared.stored_images import Images


@dataclass(frozen=True, eq=False)
class ImageData:
    """A benchmark's images, ready to be moved to a device.

    Attributes:
        train_images: uint8 (N, C, H, W), unpadded, 0..255, contiguous if they are in memory.
        train_labels: int64 (N,).
        test_images: uint8 (T, C, H, W), all that is evaluated, validation images included.
        test_labels: int64 (T,).
        class_names: one per label.
        half_a: bool (T,), True for the half of the test set to choose on (longtail), or for the
            validation images where the test set is held out.
        mean, std: one per channel, of pixels scaled to 0..1.
        fingerprint: the benchmark's data fingerprint.
        difficulty: of each training image, (N,), where a user's table gives it.
        scenarios: of all images, where the benchmark names columns of them.
    """

    train_images: Images
    train_labels: NDArray[np.int64]
    test_images: Images
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    half_a: NDArray[np.bool_]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    difficulty: NDArray[np.float64] | None = None
    scenarios: Scenarios | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """Training images of each class, int64 (num_classes,)."""
        return np.bincount(self.train_labels, minlength=len(self.class_names)).astype(np.int64)

    @property
    def half_counts(self) -> NDArray[np.int64]:
        """Test images by half, A and B, and class, int64 (2, num_classes)."""
        classes, halves = len(self.class_names), (self.half_a, ~self.half_a)
        return np.stack([np.bincount(self.test_labels[h], minlength=classes) for h in halves])

    def subset(self, train: Positions, test: Positions) -> "ImageData":
        """Some of the images, with all that is known of them."""
        scenarios = self.scenarios
        return replace(
            self,
            train_images=self.train_images[train],
            train_labels=self.train_labels[train],
            test_images=self.test_images[test],
            test_labels=self.test_labels[test],
            half_a=self.half_a[test],
            difficulty=None if self.difficulty is None else self.difficulty[train],
            scenarios=scenarios and scenarios.subset(train, test),
        )
