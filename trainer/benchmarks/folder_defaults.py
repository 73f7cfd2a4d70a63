"""Defaults of a benchmark for a folder of images: a name, a network, a resolution."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data import pixels
from trainer.data.image_folder import SplitNames, find_files, split_names
from trainer.user_files import named_path

RESOLUTIONS = (8, 16, 32, 64)
MANY_IMAGES = 2000
LOOKED_AT = 1000
"""Images whose size is read, evenly chosen among all."""
RULE = (
    f"resolution: the largest of {', '.join(map(str, RESOLUTIONS))} that the median image's shorter"
    f" side reaches; below {MANY_IMAGES:,} training images or 32 pixels, resnet8 and batches of 32,"
    " else resnet32 and batches of 128"
)


@dataclass(frozen=True)
class FolderDefaults:
    """What is chosen for a folder of images, by `RULE`.

    Attributes:
        side: of the median image, its shorter one, in pixels.
        images: training images, those included that will be set aside.
    """

    name: str
    network: str
    resolution: int
    batch_size: int
    splits: SplitNames
    side: int
    images: int

    def content(self, root: Path) -> dict[str, Any]:
        """What a TOML file with these values would hold."""
        data: dict[str, Any] = {"root": str(root), "train": self.splits.train}
        data |= {"val": self.splits.val} if self.splits.val is not None else {}
        data |= {"test": self.splits.test} if self.splits.test is not None else {}
        keys = ("name", "network", "resolution", "batch_size")
        return {key: getattr(self, key) for key in keys} | {"data": data}

    def note(self) -> str:
        """What was chosen, and why."""
        return (
            f"chosen: {self.network} at {self.resolution} pixels, batches of {self.batch_size} (of"
            f" {self.images:,} training images, the median one's shorter side is {self.side} pixels"
            " long)"
        )


def folder_defaults(root: Path, taken: Collection[str]) -> FolderDefaults:
    """The defaults for the images in `root`, under none of the names that are taken.

    Raises DataError if the folder is no data set.
    """
    splits = split_names(root)
    paths = [
        path for files in find_files(root, splits, Counter())["train"].values() for path in files
    ]
    step = -(-len(paths) // LOOKED_AT)
    with pixels.quiet():
        sizes = [size for path in paths[::step] if (size := pixels.size(path))]
    side = int(np.median([min(size) for size in sizes])) if sizes else RESOLUTIONS[0]
    resolution = max((r for r in RESOLUTIONS if r <= side), default=RESOLUTIONS[0])
    small = len(paths) < MANY_IMAGES or resolution < 32
    return FolderDefaults(
        name=benchmark_name(root, taken),
        network="resnet8" if small else "resnet32",
        resolution=resolution,
        batch_size=32 if small else 128,
        splits=splits,
        side=side,
        images=len(paths),
    )


def benchmark_name(root: Path, taken: Collection[str]) -> str:
    """A benchmark's name from a folder's: other characters become '-'."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", named_path(root).name).strip(".-") or "images"
    return f"{name}-images" if name in taken else name
