"""Changes of a user's images between two prepared files, in words."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.benchmarks.benchmark import Benchmark
from trainer.errors import DataError
from trainer.prepared.places import DESCRIPTION, file_of, folder_of
from trainer.prepared.reading import read_arrays


def changed_images(benchmark: Benchmark, fingerprint: str, data_root: Path) -> str | None:
    """How the user's images differ from those of an earlier data fingerprint, as a phrase.

    None if they do not, or if a prepared file of either is not there any more.
    """
    prints = (fingerprint, benchmark.data_fingerprint())
    try:
        before, after = (_contents(file_of(data_root, benchmark.name, each)) for each in prints)
    except (DataError, KeyError, TypeError, ValueError):
        return None
    none = np.empty(0, dtype=np.uint64)
    pairs = {n: (before.get(n, none), after.get(n, none)) for n in sorted({*before, *after})}
    changes = {name: (_surplus(new, old), _surplus(old, new)) for name, (old, new) in pairs.items()}
    changes = {name: change for name, change in changes.items() if any(change)}
    if not changes:
        return None if prints[0] == prints[1] else "the same images with other difficulties or tags"
    named = [f"{name} ({new:,} new, {gone:,} gone)" for name, (new, gone) in changes.items()]
    more = f" and {len(named) - 3:,} more" if len(named) > 3 else ""
    return ", ".join(named[:3]) + more


def _contents(file: Path) -> dict[str, NDArray[np.uint64]]:
    """Split and class to the digests of the images in a prepared file, or in its folder."""
    there = file if file.exists() else folder_of(file) / DESCRIPTION
    arrays = read_arrays(there, file)
    counts: dict[str, int] = json.loads(arrays["description"].tobytes())["contents"]
    pieces = np.split(arrays["contents"], np.cumsum(list(counts.values()))[:-1])
    return dict(zip(counts, pieces, strict=True))


def _surplus(images: NDArray[np.uint64], others: NDArray[np.uint64]) -> int:
    """How many images, copies counted, are not among the others."""
    return (Counter(images.tolist()) - Counter(others.tolist())).total()
