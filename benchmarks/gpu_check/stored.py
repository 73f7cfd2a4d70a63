"""Images of a stage are written to a file, from which a training streams them."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from trainer.prepared import ImageData
from trainer.prepared.stored_images import open_images, write_images


def stored(data: ImageData, scratch: Path) -> ImageData:
    """Return the same images, which are read from a new file in ``scratch`` batch by batch."""
    images = np.concatenate([data.train_images, data.test_images]).transpose(0, 2, 3, 1)
    path = Path(tempfile.mkdtemp(dir=scratch)) / "images.npy"
    file = open_images(path, write_images(path, images.shape, [images]))
    train = len(data.train_labels)
    return dataclasses.replace(
        data,
        train_images=file.part(0, train),
        test_images=file.part(train, len(data.test_labels)),
    )
