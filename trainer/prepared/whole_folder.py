"""A prepared file or folder appears whole, or not at all: it is written beside, and renamed."""

import shutil
from collections.abc import Callable
from pathlib import Path

from trainer.data.memory import GIB
from trainer.errors import DataError
from trainer.files import remove_abandoned, sync, unfinished, write_atomic

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
        raise unwritable(folder, error) from error


def write_file(file: Path, content: bytes) -> None:
    """Make `file` appear whole; what a killed process left of such a one is removed.

    Another process that makes the same one at the same time does no harm. Raises DataError, and
    leaves nothing behind, if it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(file.parent)
        with unfinished(file) as temporary:
            write_atomic(temporary / file.name, content)
            (temporary / file.name).replace(file)
        sync(file.parent)
    except OSError as error:
        raise unwritable(file, error) from error


def unwritable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path} cannot be written ({error.strerror}): make room or choose a data root that is"
        " writable"
    )


def check_room(folder: Path, size: int) -> None:
    """Raise DataError unless there is room for so many bytes on a folder's disk."""
    free = shutil.disk_usage(folder.parent).free
    if size + SPARE_BYTES > free:
        raise DataError(
            f"{folder} needs {size / GIB:.1f} GiB of its disk, which has {free / GIB:.1f} free:"
            " make room, choose a --data-root on another disk, or lower the resolution"
        )
