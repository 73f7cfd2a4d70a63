"""A folder appears whole, or not at all: it is written beside its place, and renamed."""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from trainer.data.memory import GIB
from trainer.errors import DataError
from trainer.files import sync

UNFINISHED = ".unfinished"
"""Suffix of a folder that is being written, and locked meanwhile."""
SPARE_BYTES = 2**28
"""Of a disk that are left free."""


def write_folder(folder: Path, size: int, fill: Callable[[Path], None]) -> None:
    """Make `folder` appear whole, with what `fill` puts into the folder that it is given.

    Another process that makes the same one at the same time does no harm. Raises DataError, and
    leaves nothing behind, if there is no room for `size` bytes or something cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder.parent)
        check_room(folder, size)
        with unfinished(folder) as temporary:
            fill(temporary)
            sync(temporary)
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise
        sync(folder.parent)
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written ({error.strerror}): make room or choose a data root that"
            " is writable"
        ) from error


def check_room(folder: Path, size: int) -> None:
    """Raise DataError unless there is room for so many bytes on a folder's disk."""
    free = shutil.disk_usage(folder.parent).free
    if size + SPARE_BYTES > free:
        raise DataError(
            f"{folder} needs {size / GIB:.1f} GiB of its disk, which has {free / GIB:.1f} free:"
            " make room, choose a --data-root on another disk, or lower the resolution"
        )


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A locked folder beside another one, which is removed if it still has its name at the end."""
    unlocked = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    temporary = unlocked.with_name(f"{unlocked.name}{UNFINISHED}")
    unlocked.mkdir()
    descriptor = os.open(unlocked, os.O_RDONLY)
    try:
        is_locked(descriptor)
        unlocked.rename(temporary)  # not before: without its lock it would be taken for abandoned
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(descriptor)


def remove_abandoned(parent: Path) -> None:
    """Remove unfinished folders whose process was killed: nobody holds their lock."""
    for temporary in parent.glob(f".*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(temporary, os.O_RDONLY)
            try:
                if is_locked(descriptor):
                    shutil.rmtree(temporary, ignore_errors=True)
            finally:
                os.close(descriptor)


def is_locked(descriptor: int) -> bool:
    """Whether a folder could be locked; some file systems of networks cannot lock any."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
