"""Reading of a prepared file or folder, which is checked to be whole and the benchmark's own."""

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.benchmarks.benchmark import Benchmark
from trainer.data.longtail import stratified_halves
from trainer.diagnosis.scenarios import Scenarios
from trainer.errors import DataError
from trainer.prepared.image_data import ImageData
from trainer.prepared.places import DESCRIPTION, IMAGES
from trainer.prepared.stored_images import open_images


def load(path: Path, benchmark: Benchmark) -> ImageData:
    """Read a prepared file and check that it is whole and the benchmark's own.

    Raises DataError, naming the file and the remedy, otherwise.
    """
    arrays = _all_arrays(path)
    try:
        description = json.loads(arrays["description"].tobytes())
        fingerprint, origin = description["data_fingerprint"], description["benchmark"]
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(path, "is no prepared file of this program") from error
    if fingerprint != benchmark.data_fingerprint():
        raise _unusable(
            path,
            f"was prepared from other data ({origin}, {fingerprint}) than benchmark"
            f" {benchmark.name} needs ({benchmark.data_fingerprint()})",
        )
    try:
        data = _assemble(arrays, description, benchmark.test_held_out)
    except (KeyError, TypeError, IndexError) as error:
        raise _lacking(path, error) from error
    fault = _fault(data, benchmark)
    if fault:
        raise _unusable(path, fault)
    return data


def _all_arrays(path: Path) -> dict[str, Any]:
    """All arrays of a prepared file, or of a folder, whose images stay in their file."""
    if not path.is_dir():
        return read_arrays(path, path)
    arrays: dict[str, Any] = read_arrays(path / DESCRIPTION, path)
    try:
        images, train = open_images(path / IMAGES, arrays["checksums"]), len(arrays["train_labels"])
    except (KeyError, TypeError) as error:
        raise _lacking(path, error) from error
    arrays["train_images"] = images.part(0, train)
    arrays["test_images"] = images.part(train, len(images) - train)
    return arrays


def _unusable(path: Path, fault: str) -> DataError:
    return DataError(f"{path} {fault}: delete it and run again, and it will be made anew")


def _lacking(path: Path, error: Exception) -> DataError:
    return _unusable(path, f"lacks a part, or has one of another shape ({error})")


def read_arrays(file: Path, whole: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file, of which errors say that it is damaged, or its folder `whole`.

    Each member's CRC is checked before a byte of it is used.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        return {
            name.removesuffix(".npy"): np.load(io.BytesIO(content), allow_pickle=False)
            for name, content in members.items()
        }
    except FileNotFoundError as error:
        if whole.exists():
            raise _unusable(whole, f"lacks {file.name}") from error
        raise DataError(f"{whole} does not exist: prepare the benchmark first") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise _unusable(whole, f"is damaged ({error})") from error
    except (OSError, RuntimeError) as error:
        raise _unusable(whole, f"cannot be read ({error})") from error


def _assemble(arrays: dict[str, Any], description: dict[str, Any], held_out: bool) -> ImageData:
    return ImageData(
        train_images=arrays["train_images"],
        train_labels=arrays["train_labels"],
        test_images=arrays["test_images"],
        test_labels=arrays["test_labels"],
        class_names=tuple(description["class_names"]),
        half_a=arrays["half_a"] if held_out else stratified_halves(arrays["test_labels"]),
        mean=tuple(description["mean"]),
        std=tuple(description["std"]),
        fingerprint=description["data_fingerprint"],
        difficulty=arrays.get("difficulty"),
        scenarios=Scenarios.of_arrays(arrays),
    )


def _fault(data: ImageData, benchmark: Benchmark) -> str | None:
    """What contradicts the benchmark, as the end of a sentence about the file; None if nothing."""
    splits = {
        "training": (data.train_images, data.train_labels),
        "test": (data.test_images, data.test_labels),
    }
    size = (benchmark.channels, benchmark.resolution, benchmark.resolution)
    for split, (images, labels) in splits.items():
        if str(images.dtype) != "uint8" or str(labels.dtype) != "int64":
            return f"has {split} images of {images.dtype} and labels of {labels.dtype}"
        if images.shape != (*labels.shape, *size):
            return f"has {split} images of shape {images.shape} for labels {labels.shape}"
        if np.any((labels < 0) | (labels >= benchmark.num_classes)):
            return f"has {split} labels outside 0..{benchmark.num_classes - 1}"
    if len(data.class_names) != benchmark.num_classes:
        return f"names {len(data.class_names)} classes, not {benchmark.num_classes}"
    if len(data.train_labels) != benchmark.train_images:
        return f"has {len(data.train_labels)} training images, not {benchmark.train_images}"
    if not np.array_equal(data.counts, benchmark.counts):
        return "has other class counts than its benchmark"
    if (str(data.half_a.dtype), data.half_a.shape) != ("bool", data.test_labels.shape):
        return f"has half_a of {data.half_a.dtype} and shape {data.half_a.shape}"
    hard = data.difficulty
    if hard is not None and (str(hard.dtype), hard.shape) != ("float64", data.train_labels.shape):
        return f"has a difficulty of {hard.dtype} and shape {hard.shape}"
    given, named = data.scenarios, benchmark.folder.scenarios if benchmark.folder else ()
    if (given is None) is bool(named) or (
        given and not given.fit(len(named), len(data.train_labels), len(data.test_labels))
    ):
        return "has other scenarios than its benchmark"
    halves = (data.half_a, ~data.half_a) if benchmark.test_held_out else (slice(None),)
    if any(len(np.unique(data.test_labels[half])) != benchmark.num_classes for half in halves):
        return "has no test image of some class"
    if {len(data.mean), len(data.std)} != {benchmark.channels}:
        return f"has mean and std of other than {benchmark.channels} channels"
    return None
