"""A user's images in an .npz file: train_images, train_labels, and so for val and test."""

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces.parts.labels import sorted_labels
from trainer.data import pixels
from trainer.data.image_folder import check_unchanged
from trainer.data.image_table import check_names, check_numbers
from trainer.data.listing import (
    SPLITS,
    Classes,
    Found,
    Listing,
    listing_of,
    raw_images,
    share_of,
)
from trainer.data.raw import FolderSpec, RawImages, Request
from trainer.data.reading import digest_of, not_used
from trainer.diagnosis.scenarios import checked_tag
from trainer.errors import DataError

Arrays = dict[str, NDArray[Any]]
Pixels = NDArray[np.uint8]
PARTS = ("images", "labels")
"""The arrays of a split, such as train_images."""
MOST_UNPACKED = 100
"""How many times an .npz file's size its arrays may take; images are rarely compressed so far."""
SMALL_ARRAYS = 2**30  # bytes of arrays that are read however far they are compressed


def scan_arrays(file: Path, val: float | None, scenarios: Sequence[str] = ()) -> FolderSpec:
    """What a benchmark keeps of the images in an .npz file.

    It holds images uint8 (N, H, W) or (N, H, W, C) with 1, 3 or 4 channels, labels (N,) of whole
    numbers or text, and optionally class_names, by label. `val` is as in `scan_table`. Each of
    `scenarios` is the end of the names of arrays of tags, such as lighting of test_lighting (T,).
    Raises DataError for a file that cannot be read, and for arrays of other types and shapes.
    """
    return list_arrays(file, val, scenarios).spec(file)


def list_arrays(file: Path, val: float | None, scenarios: Sequence[str]) -> Listing[Pixels]:
    """The images in an .npz file, by split and class (`scan_arrays`)."""
    arrays = _read(file)
    present = [split for split in SPLITS if f"{split}_images" in arrays]
    share = share_of(file, present, val)
    labels = {split: _labels(file, arrays, split) for split in present}
    names = sorted_labels({label for of_split in labels.values() for label in of_split})
    check_numbers(file, names)
    class_names = _class_names(file, arrays, names)
    check_names(file, class_names)
    index = {name: i for i, name in enumerate(names)}
    splits: dict[str, Classes[Pixels]] = {split: [[] for _ in names] for split in present}
    for split in present:
        tags = _tags(file, arrays, split, scenarios)
        pairs = zip(labels[split], arrays[f"{split}_images"], tags, strict=True)
        for label, image, tagged in pairs:
            content = np.ascontiguousarray(image)
            digest = digest_of(f"{image.shape}".encode() + content.tobytes())
            splits[split][index[label]].append(Found(digest, content, tags=tagged))
    notes, columns = _unused(arrays, present, scenarios), tuple(scenarios)
    return listing_of(class_names, splits, share, file, notes, columns)


def _read(file: Path) -> Arrays:
    try:
        _check_unpacked(file)
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name]) for name in archive.files}
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}): correct its path") from error
    # As decoders of images do, numpy meets broken files with whatever it stumbles over.
    except Exception as error:
        raise DataError(
            f"{file} is no .npz file of plain arrays ({error}): write it with numpy.savez"
        ) from error
    if "train_images" not in arrays:
        raise DataError(
            f"{file} holds {', '.join(arrays) or 'nothing'}, but no train_images: it needs"
            " train_images and train_labels, and may have val_ and test_ of both"
        )
    for split in SPLITS:
        if f"{split}_images" in arrays:
            _check(file, arrays, split)
    return arrays


def _check_unpacked(file: Path) -> None:
    """Raise DataError for a small file that would fill the memory."""
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(SMALL_ARRAYS, MOST_UNPACKED * file.stat().st_size):
        raise DataError(
            f"{file} unpacks to {unpacked:,} bytes, more than {MOST_UNPACKED} times its size: write"
            " it with numpy.savez, uncompressed"
        )


def _check(file: Path, arrays: Arrays, split: str) -> None:
    images, labels = arrays[f"{split}_images"], arrays.get(f"{split}_labels")
    name = f"{split}_images of {images.dtype} and shape {images.shape} in {file}"
    if images.dtype != np.uint8:
        raise DataError(f"{name}: pixels must be uint8, 0..255")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3, 4)):
        raise DataError(
            f"{name}: it must be (N, H, W) or (N, H, W, C) with 1, 3 or 4 channels, the last axis"
        )
    if images.shape[1] * images.shape[2] > pixels.MOST_PIXELS:
        raise DataError(f"{name}: an image may have {pixels.MOST_PIXELS:,} pixels: shrink them")
    if not images.size:
        raise DataError(f"{name}: there must be images of at least one pixel, or no such array")
    if labels is None or labels.shape != images.shape[:1] or labels.dtype.kind not in "iuU":
        found = "there are none" if labels is None else f"{labels.dtype}, {labels.shape}"
        raise DataError(
            f"{name}: {split}_labels must be ({len(images)},), whole numbers or text ({found})"
        )


def _labels(file: Path, arrays: Arrays, split: str) -> list[str]:
    labels: list[str] = arrays[f"{split}_labels"].astype(str).tolist()
    if "" in labels:
        raise DataError(f"{file}: image {labels.index('')} of {split}_labels lacks its label")
    return labels


def _tags(
    file: Path, arrays: Arrays, split: str, scenarios: Sequence[str]
) -> list[tuple[str, ...]]:
    """The tags of each image of a split; without an array they are untagged."""
    images = len(arrays[f"{split}_images"])
    columns = []
    for column in scenarios:
        name = f"{split}_{column}"
        if not any(f"{other}_{column}" in arrays for other in SPLITS):
            raise DataError(
                f"{file}: scenarios names {column!r}, and there is no array {name}, nor of another"
                f" split ({', '.join(arrays)}): correct the name"
            )
        tags = arrays.get(name, np.full(images, ""))
        if column in PARTS or tags.shape != (images,) or tags.dtype.kind not in "biuU":
            raise DataError(
                f"{file}: scenarios names {column!r}, and {name} must be ({images},), text or whole"
                f" numbers, and no images or labels ({tags.dtype}, {tags.shape})"
            )
        cells = enumerate(tags.astype(str).tolist())
        columns.append(
            [
                checked_tag(f"{file}, image {number} of {name},", column, tag)
                for number, tag in cells
            ]
        )
    return list(zip(*columns, strict=True)) if columns else [()] * images


def _class_names(file: Path, arrays: Arrays, labels: list[str]) -> list[str]:
    """The labels, or what class_names calls them."""
    given = arrays.get("class_names")
    if given is None:
        return labels
    if given.dtype.kind != "U" or labels != [str(i) for i in range(given.size)]:
        raise DataError(
            f"{file}: class_names must be text, one for each of the labels 0..C-1 (it has"
            f" {given.size}, and the labels are {', '.join(labels[:9])})"
        )
    names: list[str] = given.ravel().tolist()
    shared = next((name for name, times in Counter(names).items() if times > 1 or not name), None)
    if shared is not None:
        raise DataError(f"{file}: class_names has {shared!r}: give each class a name of its own")
    return names


def _unused(arrays: Arrays, present: Sequence[str], scenarios: Sequence[str]) -> tuple[str, ...]:
    """What is told of the arrays that are not read, as they are of none of the splits."""
    used = {f"{split}_{part}" for split in present for part in (*PARTS, *scenarios)}
    return not_used("arrays ", (name for name in arrays if name not in {"class_names", *used}))


def load_arrays(request: Request) -> RawImages:
    """The images of an .npz file, as RGB, `resolution` pixels square (`pixels.fit`)."""
    spec, resolution = request.folder, request.resolution
    assert spec is not None  # Benchmark checks it
    val = spec.val if isinstance(spec.val, float) else 0.0
    listing = list_arrays(spec.root, val, spec.scenarios)
    check_unchanged(listing, spec)
    return raw_images(listing, lambda image: _decode(image.place, resolution), resolution)


def _decode(image: Pixels, resolution: int) -> Pixels:
    from PIL import Image

    grey = image.ndim == 3 and image.shape[2] == 1
    return pixels.fit(Image.fromarray(image[..., 0] if grey else image), resolution)
