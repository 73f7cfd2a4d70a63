"""Helpers of the tests of images: raw pixels, and a few digits in memory and in a file."""

import dataclasses
from pathlib import Path

import numpy as np
from training import digits_data

from trainer.data.raw import Pixels, RawImages
from trainer.prepared import ImageData
from trainer.prepared.stored_images import open_images, write_images


def all_pixels(raw: RawImages) -> Pixels:
    """Return all images, the training images first, uint8 (N + T, H, W, C)."""
    numbers = np.arange(len(raw.train_labels) + len(raw.test_labels))
    return np.concatenate([*raw.portions(numbers)])


def training_pixels(raw: RawImages) -> Pixels:
    return all_pixels(raw)[: len(raw.train_labels)]


def evaluated_pixels(raw: RawImages) -> Pixels:
    return all_pixels(raw)[len(raw.train_labels) :]


def few_digits() -> ImageData:
    """Return 63 training and 60 test images."""
    return digits_data().subset(np.r_[0:300:10, 300:398:3], np.arange(0, 600, 10))


def on_disk(data: ImageData, folder: Path) -> ImageData:
    """Return the same images, written to a file from which they are read."""
    images = np.concatenate([data.train_images, data.test_images]).transpose(0, 2, 3, 1)
    path, train = folder / "images.npy", len(data.train_labels)
    stored = open_images(path, write_images(path, images.shape, [images[:50], images[50:]]))
    return dataclasses.replace(
        data,
        train_images=stored.part(0, train),
        test_images=stored.part(train, len(data.test_labels)),
    )
