"""Images without a data set: made up, of a benchmark's sizes."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trainer.benchmarks import Benchmark
from trainer.data.longtail import stratified_halves
from trainer.prepared import ImageData

TEST_IMAGES = 10_000
"""Of CIFAR-10 and CIFAR-100."""


def made_up(
    benchmark: Benchmark, images: int | None = None, test_images: int = TEST_IMAGES
) -> tuple[Benchmark, ImageData]:
    """Return the benchmark and random images: all of its own number, or its first ``images``.

    Each class has a colour of its own under noise, so that they can be learned. The benchmark must
    state its mean and standard deviation.
    """
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(benchmark.num_classes), benchmark.counts)
    random.shuffle(labels)
    labels = labels[:images]
    test_labels = np.arange(test_images) % benchmark.num_classes
    assert benchmark.mean is not None
    assert benchmark.std is not None
    data = ImageData(
        train_images=coloured(benchmark, labels, random),
        train_labels=labels.astype(np.int64),
        test_images=coloured(benchmark, test_labels, random),
        test_labels=test_labels.astype(np.int64),
        class_names=tuple(map(str, range(benchmark.num_classes))),
        half_a=stratified_halves(test_labels),
        mean=benchmark.mean,
        std=benchmark.std,
        fingerprint="made up",
    )
    return dataclasses.replace(benchmark, train_images=len(labels)), data


def coloured(
    benchmark: Benchmark, labels: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.uint8]:
    """Return uint8 images (N, C, H, W), noise about the colours of their classes."""
    channels, side = benchmark.channels, benchmark.resolution
    shape = (benchmark.num_classes, channels, 1, 1)
    colours = np.random.default_rng(1).integers(40, 216, shape, dtype=np.int16)
    noise = random.integers(-40, 41, (len(labels), channels, side, side), dtype=np.int16)
    return (colours[labels] + noise).clip(0, 255).astype(np.uint8)
