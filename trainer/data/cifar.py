"""CIFAR-10 and CIFAR-100, read from the data root or downloaded into it."""

import contextlib
import http.client
import io
import socket
import tarfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.raw import RawImages, Request, in_memory
from trainer.errors import DataError
from trainer.files import remove_abandoned, unfinished

NETWORK_TIMEOUT = 15.0  # seconds without an answer before a download counts as failed


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
        train_labels=np.array(train.targets, dtype=np.int64),
        test_labels=np.array(test.targets, dtype=np.int64),
        class_names=tuple(train.classes),
        portions=in_memory(train.data, test.data),
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
        remove_abandoned(data_root, dataset.base_folder)
        # A folder of our own: two processes must not write one archive at the same time.
        with unfinished(data_root / dataset.base_folder) as scratch, _calm():
            if local:
                extract_archive(archive, scratch)
            else:
                download_and_extract_archive(
                    dataset.url, scratch, filename=dataset.filename, md5=dataset.tgz_md5
                )
            _move_folder(scratch / dataset.base_folder, data_root / dataset.base_folder)
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
