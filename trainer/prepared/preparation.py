"""Preparation of a benchmark's images: one file, or a folder of those that memory cannot hold."""

import io
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.benchmarks.benchmark import Benchmark
from trainer.data.longtail import select_long_tail
from trainer.data.memory import available_memory, lacking_memory
from trainer.data.pixels import Levels
from trainer.data.raw import RawImages, Request
from trainer.data.reading import NAMED, FaultyFilesError
from trainer.data.sources import SOURCES
from trainer.errors import DataError
from trainer.files import write_atomic
from trainer.prepared.places import DESCRIPTION, IMAGES, file_of, folder_of
from trainer.prepared.stored_images import write_images
from trainer.prepared.whole_folder import write_file, write_folder

Say = Callable[[str], None]

log = logging.getLogger(__name__)


def prepare(
    benchmark: Benchmark, data_root: Path, say: Say = log.warning, processes: int = 1
) -> Path:
    """The path of the benchmark's prepared file or folder, which is made first if it is missing.

    `say` tells a person that the images are read from disk, and why: so many `processes` that
    train at a time would not find room for them in memory; and that they have few levels. Several
    processes may prepare at the same time: each writes the same bytes, atomically. Raises DataError
    when the images are missing, damaged or cannot be written.
    """
    stem = benchmark.name if benchmark.folder else benchmark.dataset
    path = file_of(data_root, stem, benchmark.data_fingerprint())
    folder, lacking = folder_of(path), None
    if benchmark.folder:
        images = sum(benchmark.counts) + sum(benchmark.folder.evaluated_counts)
        lacking = lacking_memory(images, benchmark.resolution, processes, available_memory())
    if path.exists() and not lacking:
        return path
    if lacking:
        say(f"images are read from disk during the training: {lacking}")
    elif folder.exists():
        say(
            f"images are read from disk during the training, as {folder} was prepared for that;"
            " without it they would be held in memory"
        )
    if folder.exists():
        return folder
    request = Request(data_root, benchmark.resolution, benchmark.folder)
    raw, levels = SOURCES[benchmark.dataset](request), Levels(benchmark.channels)
    try:
        if lacking:
            _write_folder(folder, benchmark, raw, levels)
        else:
            write_file(path, _pack(benchmark, raw, levels))
    except FaultyFilesError as error:
        raise _listed(error, path.with_suffix(".faulty.txt")) from error
    if warning := levels.warning():
        say(warning)
    return folder if lacking else path


def _listed(error: FaultyFilesError, file: Path) -> DataError:
    """The error, with a file of all faulty files if there are more than it names."""
    lines = [f"{fault}\n".encode(errors="surrogateescape") for fault in error.faults]
    if len(lines) > NAMED:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, b"".join(lines))
        except OSError:
            return error
        return DataError(f"{error}; {file} lists all of them")
    return error


def _kept(benchmark: Benchmark, raw: RawImages) -> NDArray[np.int64]:
    """The training images that the benchmark has, in its order."""
    if benchmark.imbalance_ratio is None:
        return np.arange(len(raw.train_labels))
    return select_long_tail(raw.train_labels, benchmark.counts, benchmark.subset_seed)


def _pack(benchmark: Benchmark, raw: RawImages, levels: Levels) -> bytes:
    """The bytes of the prepared file; equal input gives equal bytes."""
    kept = _kept(benchmark, raw)
    images = np.concatenate([*levels.counted(raw.portions(_numbers(raw, kept)), len(kept))])
    train, test = _channels_first(images[: len(kept)]), _channels_first(images[len(kept) :])
    del images
    return _compressed(
        train_images=train,
        train_labels=raw.train_labels[kept],
        test_images=test,
        test_labels=raw.test_labels,
        **_description(benchmark, raw, kept, levels),
    )


def _compressed(**arrays: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _write_folder(folder: Path, benchmark: Benchmark, raw: RawImages, levels: Levels) -> None:
    """Write images, and beside them all else, a portion of the images at a time."""
    kept = _kept(benchmark, raw)
    numbers, side = _numbers(raw, kept), benchmark.resolution
    shape = len(numbers), side, side, benchmark.channels

    def fill(temporary: Path) -> None:
        portions = levels.counted(raw.portions(numbers), len(kept))
        checksums = write_images(temporary / IMAGES, shape, portions)
        content = _compressed(
            train_labels=raw.train_labels[kept],
            test_labels=raw.test_labels,
            checksums=checksums,
            **_description(benchmark, raw, kept, levels),
        )
        write_atomic(temporary / DESCRIPTION, content)

    write_folder(folder, math.prod(shape), fill)


def _numbers(raw: RawImages, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """The kept training images and all that is evaluated, as `raw.portions` takes them."""
    return np.concatenate([kept, len(raw.train_labels) + np.arange(len(raw.test_labels))])


def _description(
    benchmark: Benchmark, raw: RawImages, kept: NDArray[np.int64], levels: Levels
) -> dict[str, NDArray[Any]]:
    """JSON of what the images are, as bytes, and what is known of images of some data sets."""
    mean, std = benchmark.mean, benchmark.std
    if mean is None or std is None:
        mean, std = levels.statistics()
    description: dict[str, Any] = {
        "benchmark": benchmark.name,
        "data_fingerprint": benchmark.data_fingerprint(),
        "class_names": raw.class_names,
        "mean": mean,
        "std": std,
    }
    extra: dict[str, NDArray[Any]] = {}
    if benchmark.test_held_out:
        assert raw.half_a is not None
        extra["half_a"] = raw.half_a
    if raw.difficulty is not None:
        extra["difficulty"] = raw.difficulty[kept]
    if raw.scenarios is not None:
        extra |= raw.scenarios.arrays(kept)
    if raw.contents:
        description["contents"] = {name: len(there) for name, there in raw.contents.items()}
        extra["contents"] = np.concatenate(list(raw.contents.values()))
    return {"description": np.frombuffer(json.dumps(description).encode(), np.uint8), **extra}


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
