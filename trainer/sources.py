"""Where do the raw images of a data set come from?

Each source is a function `Request -> RawImages`, one row of SOURCES.
"""

import contextlib
import hashlib
import http.client
import io
import os
import socket
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.errors import DataError
from trainer.longtail import select_long_tail

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
DIGITS_TEST_PER_CLASS = 60
DIGITS_TEST_SEED = 0
NETWORK_TIMEOUT = 15.0  # seconds without an answer before a download counts as failed
DECODERS = 4  # threads; decoding releases the GIL, but machines are shared


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
    the same images may be moved elsewhere.
    """

    root: Path
    train: str
    test: str
    class_names: tuple[str, ...]
    train_counts: tuple[int, ...]
    state: str


@dataclass(frozen=True)
class Request:
    """What a source may need to know: where data sets are kept, and for a folder, which and how.

    Only "folder" uses `resolution` (pixels); all others come at their own.
    """

    data_root: Path
    resolution: int
    folder: FolderSpec | None


Source = Callable[[Request], RawImages]


def load_cifar10(request: Request) -> RawImages:
    """CIFAR-10 (Krizhevsky, 2009), downloaded into the data root if it is not there."""
    from torchvision.datasets import CIFAR10

    return _load_cifar(CIFAR10, "CIFAR-10", request.data_root)


def load_cifar100(request: Request) -> RawImages:
    """CIFAR-100 (Krizhevsky, 2009), downloaded into the data root if it is not there."""
    from torchvision.datasets import CIFAR100

    return _load_cifar(CIFAR100, "CIFAR-100", request.data_root)


def _load_cifar(dataset: Any, title: str, data_root: Path) -> RawImages:
    """Read torchvision's `dataset` class after its own md5 checks."""
    folder = data_root / dataset.base_folder
    if not folder.exists():
        _fetch_cifar(dataset, title, data_root)
    with warnings.catch_warnings():
        # The official pickles predate numpy 2, which grumbles about how they store a dtype.
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        try:
            train = dataset(data_root, train=True, download=False)
            test = dataset(data_root, train=False, download=False)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{title} in {folder} is incomplete or damaged ({_damage(dataset, folder, error)}):"
                f" delete that folder and run again, or unpack {dataset.filename} from"
                f" {dataset.url} in {data_root}"
            ) from error
    return RawImages(
        train_images=train.data,
        train_labels=np.array(train.targets, dtype=np.int64),
        test_images=test.data,
        test_labels=np.array(test.targets, dtype=np.int64),
        class_names=tuple(train.classes),
    )


def _damage(dataset: Any, folder: Path, error: Exception) -> str:
    """Which file of a CIFAR folder is to blame for `error`."""
    from torchvision.datasets.utils import check_integrity

    meta = (dataset.meta["filename"], dataset.meta["md5"])
    for name, md5 in (*dataset.train_list, *dataset.test_list, meta):
        if not (folder / name).is_file():
            return f"{name} is missing"
        if not check_integrity(folder / name, md5):
            return f"{name} has the wrong md5 sum"
    return str(error)


def _fetch_cifar(dataset: Any, title: str, data_root: Path) -> None:
    """Make `data_root/base_folder` appear whole, from a local archive or else from the network."""
    from torchvision.datasets.utils import (
        check_integrity,
        download_and_extract_archive,
        extract_archive,
    )

    archive = data_root / dataset.filename
    local = archive.exists()
    if local and not check_integrity(archive, dataset.tgz_md5):
        raise DataError(
            f"{archive} is a partial or damaged download (wrong md5 sum): delete it and run again,"
            f" or replace it by the whole file from {dataset.url}"
        )
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        # A folder of our own: two processes must not write one archive at the same time.
        with tempfile.TemporaryDirectory(dir=data_root, prefix=".cifar-") as scratch, _calm():
            if local:
                extract_archive(archive, scratch)
            else:
                download_and_extract_archive(
                    dataset.url, scratch, filename=dataset.filename, md5=dataset.tgz_md5
                )
            _move_folder(Path(scratch) / dataset.base_folder, data_root / dataset.base_folder)
    except (OSError, RuntimeError, EOFError, *_TRANSFER_ERRORS) as error:
        action = "unpacking its archive" if local else "downloading it"
        raise DataError(
            f"{title} is not in {data_root} and {action} failed ({error}): put"
            f" {dataset.filename} from {dataset.url}, or the folder {dataset.base_folder} that is"
            f" in it, into {data_root}"
        ) from error


_TRANSFER_ERRORS = (tarfile.TarError, http.client.HTTPException, zlib.error)


def _move_folder(folder: Path, target: Path) -> None:
    """Rename, unless another process was faster with the same files."""
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise


@contextlib.contextmanager
def _calm() -> Iterator[None]:
    """No chatter on standard output, and no endless wait for a silent network."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(NETWORK_TIMEOUT)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)


def load_digits(_request: Request) -> RawImages:
    """scikit-learn's 1,797 handwritten digits, 8x8 grey, with 60 test images per class.

    The package carries the images: nothing is downloaded. Values 0..16 become 0..255.
    """
    from sklearn import datasets

    bunch = datasets.load_digits()
    images = np.rint(bunch.images * 255 / 16).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    names = tuple(str(name) for name in bunch.target_names)
    per_class = np.full(len(names), DIGITS_TEST_PER_CLASS, dtype=np.int64)
    test = np.sort(select_long_tail(labels, per_class, DIGITS_TEST_SEED))
    pool = np.setdiff1d(np.arange(len(labels)), test)
    return RawImages(images[pool], labels[pool], images[test], labels[test], names)


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


SOURCES: dict[str, Source] = {
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "digits": load_digits,
    "folder": load_folder,
}
