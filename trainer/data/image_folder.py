"""A user's folder of images: which files it holds, and their pixels."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.data.raw import FolderSpec, RawImages, Request
from trainer.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
DECODERS = 4  # threads; decoding releases the GIL, but machines are shared


class _ImageFile(NamedTuple):
    path: Path
    size: int
    modified: int  # nanoseconds


def scan_folder(root: Path, train: str, test: str) -> FolderSpec:
    """List the images of `root` without opening them.

    Classes are the sub-folders of `root/train`, sorted by name, and those of `root/test` must be
    the same. Hidden names and files that are no images (IMAGE_SUFFIXES, in any case) are ignored.
    Raises DataError for a missing folder, an empty class, a single one, or classes that differ.
    """
    splits = _scan_splits(root, train, test)
    train_names, test_names = (set(split) for split in splits)
    if train_names != test_names:
        raise DataError(
            f"the classes in {root / train} and {root / test} differ (only in train:"
            f" {sorted(train_names - test_names)}, only in test:"
            f" {sorted(test_names - train_names)}): give every class a folder in both"
        )
    if len(train_names) < 2:
        raise DataError(f"{root / train} holds one class folder only: a classifier needs two")
    return FolderSpec(
        root=root,
        train=train,
        test=test,
        class_names=tuple(splits[0]),
        train_counts=tuple(len(files) for files in splits[0].values()),
        state=_folder_state(root, splits),
        evaluated_counts=tuple(len(files) for files in splits[1].values()),
    )


def _scan_splits(root: Path, train: str, test: str) -> list[dict[str, list[_ImageFile]]]:
    """The image files of both splits, by class; classes and files sorted by name."""
    return [_scan_split(root / train), _scan_split(root / test)]


def _scan_split(split: Path) -> dict[str, list[_ImageFile]]:
    try:
        names = sorted(
            entry.name
            for entry in os.scandir(split)
            if entry.is_dir() and not entry.name.startswith(".")
        )
        classes = {name: _scan_class(split / name) for name in names}
    except OSError as error:
        raise DataError(
            f"{split} cannot be read ({error.strerror}): it must be a folder that holds one folder"
            " of images per class"
        ) from error
    empty = [name for name, files in classes.items() if not files]
    if empty or not classes:
        where = split / empty[0] if empty else split
        raise DataError(
            f"{where} holds no {'images' if empty else 'class folders'}: put"
            f" {', '.join(IMAGE_SUFFIXES)} files at {split}/<class>/"
            f"{' or remove the empty class everywhere' if empty else ''}"
        )
    return classes


def _scan_class(folder: Path) -> list[_ImageFile]:
    files = []
    for entry in os.scandir(folder):
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix in IMAGE_SUFFIXES and not entry.name.startswith(".") and entry.is_file():
            status = entry.stat()
            files.append(_ImageFile(folder / entry.name, status.st_size, status.st_mtime_ns))
    return sorted(files)


def _folder_state(root: Path, splits: list[dict[str, list[_ImageFile]]]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        for files in split.values():
            for file in files:
                name = os.fsencode(file.path.relative_to(root))
                digest.update(name + f"\0{file.size}\0{file.modified}\n".encode())
    return digest.hexdigest()[:16]


def load_folder(request: Request) -> RawImages:
    """The user's own images, as RGB (alpha is dropped), `resolution` pixels square.

    An image of another size is resized, shorter side to `resolution` (bilinear, antialiased), and
    cropped at the centre.
    """
    folder, resolution = request.folder, request.resolution
    assert folder is not None  # Benchmark checks it
    if scan_folder(folder.root, folder.train, folder.test).state != folder.state:
        raise DataError(f"the images in {folder.root} changed while they were read: run again")
    train, test = _scan_splits(folder.root, folder.train, folder.test)
    train_images, train_labels = _decode_split(train, resolution)
    test_images, test_labels = _decode_split(test, resolution)
    return RawImages(train_images, train_labels, test_images, test_labels, folder.class_names)


def _decode_split(
    classes: dict[str, list[_ImageFile]], resolution: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    paths = [file.path for files in classes.values() for file in files]
    images = np.empty((len(paths), resolution, resolution, 3), dtype=np.uint8)
    with ThreadPoolExecutor(min(DECODERS, os.cpu_count() or 1)) as pool:
        decoded = pool.map(lambda path: _decode(path, resolution), paths)
        for index, image in enumerate(decoded):
            images[index] = image
    counts = [len(files) for files in classes.values()]
    return images, np.repeat(np.arange(len(counts), dtype=np.int64), counts)


def _decode(path: Path, resolution: int) -> NDArray[np.uint8]:
    """One image as uint8 (resolution, resolution, 3)."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"its pixels are {image.mode}, not 8 bits per channel")
            if "transparency" in image.info:
                image.apply_transparency()  # without it, converting a palette warns
            return np.asarray(_fit(image.convert("RGB"), resolution))
    # Decoders meet broken files with whatever they stumble over, SyntaxError included.
    except Exception as error:
        raise DataError(
            f"{path} cannot be read as an image ({error}): replace or remove it"
        ) from error


def _fit(image: "Image.Image", resolution: int) -> "Image.Image":
    """Resize the shorter side to `resolution` and crop the centre."""
    from PIL import Image

    if image.size == (resolution, resolution):
        return image
    scale = resolution / min(image.size)
    width, height = (max(resolution, round(side * scale)) for side in image.size)
    left, top = (width - resolution) // 2, (height - resolution) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return resized.crop((left, top, left + resolution, top + resolution))
