"""The prepared file of a benchmark holds its images: how it is written, and checked when read.

The prepared file holds the long-tailed training images, the test images, the channels' mean and
standard deviation and a description of itself. It can be copied to a machine that has no
data set: `data_root/prepared/<name>-<data fingerprint>.npz`.
"""

import io
import json
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.benchmarks.benchmark import Benchmark
from trainer.data.longtail import select_long_tail, stratified_halves
from trainer.data.memory import available_memory, check_memory
from trainer.data.raw import RawImages, Request
from trainer.data.sources import SOURCES
from trainer.diagnosis.scenarios import Scenarios
from trainer.errors import DataError
from trainer.files import write_atomic


@dataclass(frozen=True, eq=False)
class ImageData:
    """A benchmark's images, ready to be moved to a device.

    Attributes:
        train_images: uint8 (N, C, H, W), unpadded, contiguous, 0..255.
        train_labels: int64 (N,).
        test_images: uint8 (T, C, H, W), all that is evaluated, validation images included.
        test_labels: int64 (T,).
        class_names: one per label.
        half_a: bool (T,), True for the half of the test set to choose on (longtail), or for the
            validation images where the test set is held out.
        mean, std: one per channel, of pixels scaled to 0..1.
        fingerprint: the benchmark's data fingerprint.
        difficulty: of each training image, (N,), where a user's table gives it.
        scenarios: of all images, where the benchmark names columns of them.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    half_a: NDArray[np.bool_]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    difficulty: NDArray[np.float64] | None = None
    scenarios: Scenarios | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """Training images of each class, int64 (num_classes,)."""
        return np.bincount(self.train_labels, minlength=len(self.class_names)).astype(np.int64)

    @property
    def half_counts(self) -> NDArray[np.int64]:
        """Test images by half, A and B, and class, int64 (2, num_classes)."""
        classes, halves = len(self.class_names), (self.half_a, ~self.half_a)
        return np.stack([np.bincount(self.test_labels[h], minlength=classes) for h in halves])


def prepare(benchmark: Benchmark, data_root: Path) -> Path:
    """The path of the benchmark's prepared file, which is made first if it is missing.

    Several processes may prepare at the same time: each writes the same bytes, atomically.
    Raises DataError when the images are missing, damaged or cannot be written.
    """
    stem = benchmark.name if benchmark.folder else benchmark.dataset
    path = _path(data_root, stem, benchmark.data_fingerprint())
    if path.exists():
        return path
    if benchmark.folder:
        images = sum(benchmark.folder.train_counts) + sum(benchmark.folder.evaluated_counts)
        check_memory(images, benchmark.resolution, available_memory())
    request = Request(data_root, benchmark.resolution, benchmark.folder)
    raw = SOURCES[benchmark.dataset](request)
    content = _pack(benchmark, raw)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror}): make room or choose a data root that is"
            " writable"
        ) from error
    return path


def _path(data_root: Path, stem: str, fingerprint: str) -> Path:
    return data_root / "prepared" / f"{stem}-{fingerprint}.npz"


def _pack(benchmark: Benchmark, raw: RawImages) -> bytes:
    """The bytes of the prepared file; equal input gives equal bytes."""
    if benchmark.imbalance_ratio is None:
        kept = np.arange(len(raw.train_labels))
    else:
        kept = select_long_tail(raw.train_labels, benchmark.counts, benchmark.subset_seed)
    train_images = _channels_first(raw.train_images[kept])
    mean, std = benchmark.mean, benchmark.std
    if mean is None or std is None:
        mean, std = _channel_statistics(train_images)
    description: dict[str, Any] = {
        "benchmark": benchmark.name,
        "data_fingerprint": benchmark.data_fingerprint(),
        "class_names": raw.class_names,
        "mean": mean,
        "std": std,
    }
    extra: dict[str, Any] = {}
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
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        train_images=train_images,
        train_labels=raw.train_labels[kept],
        test_images=_channels_first(raw.test_images),
        test_labels=raw.test_labels,
        description=np.frombuffer(json.dumps(description).encode(), dtype=np.uint8),
        **extra,
    )
    return buffer.getvalue()


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _channel_statistics(
    images: NDArray[np.uint8],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of images (N, C, H, W) scaled to 0..1."""
    mean, std = [], []
    for channel in range(images.shape[1]):
        # From the 256 counts: exact, and without a float copy of all images.
        values = np.bincount(images[:, channel].ravel(), minlength=256) / images[:, channel].size
        levels = np.arange(256) / 255
        mean.append(float(values @ levels))
        std.append(float(np.sqrt(values @ (levels - mean[-1]) ** 2)))
    if min(std) < 1e-6:
        raise DataError(
            "every training pixel of a channel has the same value, so images cannot be normalised:"
            " check the images, or set mean and std in the benchmark's file"
        )
    return tuple(mean), tuple(std)


def load(path: Path, benchmark: Benchmark) -> ImageData:
    """Read a prepared file and check that it is whole and the benchmark's own.

    Raises DataError, naming the file and the remedy, otherwise.
    """
    arrays = _read_arrays(path)
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
    except (KeyError, TypeError) as error:
        raise _unusable(path, f"lacks a part ({error})") from error
    fault = _fault(data, benchmark)
    if fault:
        raise _unusable(path, fault)
    return data


def _unusable(path: Path, fault: str) -> DataError:
    return DataError(f"{path} {fault}: delete it and run again, and it will be made anew")


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file. Each member's CRC is checked before a byte of it is used."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        return {
            name.removesuffix(".npy"): np.load(io.BytesIO(content), allow_pickle=False)
            for name, content in members.items()
        }
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: prepare the benchmark first") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise _unusable(path, f"is damaged ({error})") from error
    except (OSError, RuntimeError) as error:
        raise _unusable(path, f"cannot be read ({error})") from error


def _assemble(
    arrays: dict[str, NDArray[Any]], description: dict[str, Any], held_out: bool
) -> ImageData:
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


def changed_images(benchmark: Benchmark, fingerprint: str, data_root: Path) -> str | None:
    """How the user's images differ from those of an earlier data fingerprint, as a phrase.

    None if they do not, or if a prepared file of either is not there any more.
    """
    prints = (fingerprint, benchmark.data_fingerprint())
    try:
        before, after = (_contents(_path(data_root, benchmark.name, each)) for each in prints)
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


def _contents(path: Path) -> dict[str, NDArray[np.uint64]]:
    """Split and class to the digests of the images there."""
    arrays = _read_arrays(path)
    counts: dict[str, int] = json.loads(arrays["description"].tobytes())["contents"]
    pieces = np.split(arrays["contents"], np.cumsum(list(counts.values()))[:-1])
    return dict(zip(counts, pieces, strict=True))


def _surplus(images: NDArray[np.uint64], others: NDArray[np.uint64]) -> int:
    """How many images, copies counted, are not among the others."""
    return (Counter(images.tolist()) - Counter(others.tolist())).total()
