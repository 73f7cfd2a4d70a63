"""Raw images of a data set, and what its source needs to know."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.diagnosis.scenarios import Scenarios

Pixels = NDArray[np.uint8]
Portions = Callable[[NDArray[np.int64]], Iterator[Pixels]]
"""Pixels of the images of some numbers, uint8 (n, H, W, C), in that order, a portion at a time.

The numbers of training images come first."""


@dataclass(frozen=True, eq=False)
class RawImages:
    """Images of a data set, whose pixels are read when they are asked for, and their labels.

    Attributes:
        train_labels: int64 (N,).
        test_labels: int64 (T,), of what is evaluated: the test images, or the validation images
            where there are no others, or first the latter and then the former.
        portions: of the images 0..N-1, which are the training images, and N..N+T-1.
        half_a: bool (T,), True for the validation images; None unless there are both.
        contents: of a user's own images: class of a split, such as "train/cat", to the digests
            of its images, uint64, sorted.
        difficulty: of each training image, (N,), where a user's table gives it.
        scenarios: of all images, where a benchmark names columns of them.
    """

    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    portions: Portions
    half_a: NDArray[np.bool_] | None = None
    contents: Mapping[str, NDArray[np.uint64]] = field(default_factory=dict)
    difficulty: NDArray[np.float64] | None = None
    scenarios: Scenarios | None = None


def in_memory(train_images: Pixels, test_images: Pixels) -> Portions:
    """The portions of images that are in memory, uint8 (N, H, W, C)."""

    def portions(numbers: NDArray[np.int64]) -> Iterator[Pixels]:
        train = len(train_images)
        yield train_images[numbers[numbers < train]]
        yield test_images[numbers[numbers >= train] - train]

    return portions


@dataclass(frozen=True, kw_only=True)
class FolderSpec:
    """A user's own images, as they were found: their splits, classes, counts and content.

    Attributes:
        root: the folder of images, or the table or .npz file that names or holds them. It is no
            part of the identity: the same images may be moved elsewhere. A record of a run
            has neither it, nor what follows from the rest.
        train, test: names of the splits; test is None where there are no test images.
        val: name of the validation split, or the share of the training images of each class that
            is set aside for it; None where the test images choose.
        train_counts: training images of each class, without those that are set aside.
        state: a hash over the content of every image, by split and class. File names and times
            are no part of it.
        evaluated_counts: images of each class in the validation and test splits together; they
            follow from `state`.
        scenarios: columns of a table, or arrays, that tag images; the tags are part of `state`.
        notes: what a person should know of what was found; no part of the identity.
    """

    root: Path = Path()
    train: str
    val: str | float | None
    test: str | None
    class_names: tuple[str, ...]
    train_counts: tuple[int, ...]
    state: str
    evaluated_counts: tuple[int, ...] = ()
    scenarios: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Request:
    """What a source may need to know: where data sets are kept, and for own images, which and how.

    Only a user's own images use `resolution` (pixels); all others come at their own.
    """

    data_root: Path
    resolution: int
    folder: FolderSpec | None


Source = Callable[[Request], RawImages]
