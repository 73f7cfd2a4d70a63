"""The prepared file of a benchmark holds its images: how it is written, and checked when read.

The prepared file holds the long-tailed training images, the test images, the channels' mean and
standard deviation and a description of itself. It can be copied to a machine that has no
data set: `data_root/prepared/<name>-<data fingerprint>.npz`. A user's images that do not fit into
memory are in a folder of that name without `.npz`, and are read from there during the training.
"""

from trainer.prepared.changes import changed_images
from trainer.prepared.image_data import ImageData
from trainer.prepared.preparation import prepare
from trainer.prepared.reading import load

__all__ = ["ImageData", "changed_images", "load", "prepare"]
