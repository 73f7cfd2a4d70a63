"""Raw images of a data set, and what its source needs to know."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RawImages:
    """A data set as its authors publish it: uint8 images (N, H, W, C) and int64 labels (N,)."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class FolderSpec:
    """What was found in a folder of images `root/{train,test}/<class>/<image>`.

    `state` is a hash over every image's relative name, size and modification time, so that an
    added, removed or edited image makes another benchmark. `root` itself is no part of that:
    the same images may be moved elsewhere. `evaluated_counts` are the images of each class that
    networks are evaluated on, of all such splits together; they follow from `state`.
    """

    root: Path
    train: str
    test: str
    class_names: tuple[str, ...]
    train_counts: tuple[int, ...]
    state: str
    evaluated_counts: tuple[int, ...]


@dataclass(frozen=True)
class Request:
    """What a source may need to know: where data sets are kept, and for a folder, which and how.

    Only "folder" uses `resolution` (pixels); all others come at their own.
    """

    data_root: Path
    resolution: int
    folder: FolderSpec | None


Source = Callable[[Request], RawImages]
