"""Handwritten digits that scikit-learn carries, split into training and test images."""

import numpy as np

from trainer.data.longtail import select_long_tail
from trainer.data.raw import RawImages, Request, in_memory

DIGITS_TEST_PER_CLASS = 60
DIGITS_TEST_SEED = 0


def load_digits(_request: Request) -> RawImages:
    """scikit-learn's 1,797 handwritten digits, 8x8 grey, with 60 test images per class.

    The package carries the images: nothing is downloaded. Values 0..16 become 0..255.
    """
    from sklearn import datasets

    bunch = datasets.load_digits()
    images = np.rint(bunch.images * 255 / 16).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    names = tuple(str(name) for name in bunch.target_names)
    per_class = np.full(len(names), DIGITS_TEST_PER_CLASS, dtype=np.int64)
    test = np.sort(select_long_tail(labels, per_class, DIGITS_TEST_SEED))
    pool = np.setdiff1d(np.arange(len(labels)), test)
    return RawImages(labels[pool], labels[test], names, in_memory(images[pool], images[test]))
