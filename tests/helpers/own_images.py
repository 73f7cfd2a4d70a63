"""Helpers of the tests of a user's own images: a table and arrays that declare a few of them."""

from pathlib import Path
from typing import Any

import numpy as np

from trainer.benchmarks import Benchmark, get_benchmark
from trainer.prepared import ImageData, load, prepare


def declared(folder: Path, data: str) -> Benchmark:
    head = 'name = "mine"\nnetwork = "resnet8"\nresolution = 8\n'
    (folder / "mine.toml").write_text(f"{head}[data]\n{data}\n")
    return get_benchmark(str(folder / "mine.toml"), folder)


def prepared(benchmark: Benchmark, data_root: Path) -> ImageData:
    return load(prepare(benchmark, data_root), benchmark)


def rows(here: Path, splits: bool = True) -> list[list[str]]:
    """Path, label and split of all images; validation images are the first of each class."""
    named = []
    for path in sorted(here.glob("images/*/*/*.png")):
        split = path.parts[-3]
        split = "valid" if (split, path.name) == ("train", "000.png") else split
        if splits or split != "test":
            label = {"class0": "10", "class1": "9"}[path.parts[-2]]
            named.append([str(path.relative_to(here)), label, split][: 3 if splits else 2])
    return named


def write_csv(here: Path, table: list[list[str]], separator: str = ",", header: str = "") -> None:
    lines = [header or separator.join(("path", "label", "split")[: len(table[0])])]
    lines += [separator.join(row) for row in table]
    (here / "rows.csv").write_text("\n".join(lines) + "\n")


def arrays(shape: tuple[int, ...] = (8, 8, 3)) -> dict[str, Any]:
    """Classes of 6 and 3 training images and 2 test images each."""
    random = np.random.default_rng(0)
    return {
        "train_images": random.integers(0, 256, (9, *shape), dtype=np.uint8),
        "train_labels": np.repeat([1, 0], [3, 6]),
        "test_images": random.integers(0, 256, (4, *shape), dtype=np.uint8),
        "test_labels": np.array([0, 1, 0, 1]),
    }
