"""Files and folders appear whole, or grow by whole pieces, or not at all.

Storage that is away for a while, as network file systems are, is waited for.
"""

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

PATIENCE_SECONDS = 60.0
"""How long storage that does not work is tried again."""
RETRY_SECONDS = 1.0
PASSING = frozenset(
    (
        errno.EIO,
        errno.ESTALE,
        errno.EAGAIN,
        errno.EBUSY,
        errno.ENOLCK,
        errno.ETIMEDOUT,
        errno.ECONNRESET,
        errno.ENOTCONN,
        errno.ESHUTDOWN,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
    )
)
"""Errors that pass when a server is back; a full disk or a missing right does not."""
NOWHERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP, errno.ENAMETOOLONG))
"""Errors that say that there is nothing at a path."""
UNFINISHED = ".unfinished"
"""Suffix of a folder that is being written, and locked meanwhile."""

T = TypeVar("T")

log = logging.getLogger(__name__)


def patiently(action: Callable[[], T], path: Path, use: str = "written") -> T:
    """Do ``action``, by which ``path`` is written or read, again while storage is away.

    It can be repeated. Raises OSError when storage is away for longer than ``PATIENCE_SECONDS``,
    or when it fails otherwise.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    failed = False
    while True:
        try:
            result = action()
        except OSError as error:
            if error.errno not in PASSING or time.monotonic() >= deadline:
                if error.errno is not None and error.filename is None:
                    error.filename = str(path)  # which a file's own methods do not know
                raise
            if not failed:
                log.warning(
                    "%s cannot be %s at the moment (%s); it is tried again for %g seconds.",
                    path,
                    use,
                    error.strerror,
                    PATIENCE_SECONDS,
                )
            failed = True
            time.sleep(RETRY_SECONDS)
        else:
            if failed:
                log.warning("%s can be %s again.", path, use)
            return result


def is_there(path: Path) -> bool:
    """Return whether there is anything at a path.

    Raises OSError when storage does not tell. ``Path.exists`` does so before Python 3.14 alone,
    and says from then on that there is nothing.
    """
    return _mode(path) != 0


def is_file(path: Path) -> bool:
    """Return whether there is a file at a path, and raise as ``is_there`` does."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: Path) -> bool:
    """Return whether there is a folder at a path, and raise as ``is_there`` does."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in NOWHERE:
            return 0
        raise
    except ValueError:  # a zero byte, which no name has
        return 0


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Put `data` at `path` in one step: readers see the old file or the new one, never a part.

    Any number of processes may write the same path; the last one wins. The folder must exist.
    Raises OSError, and leaves nothing behind, when the file cannot be written.
    """
    write_together({path: data})


def write_together(files: Mapping[Path, bytes | memoryview]) -> None:
    """Put files at their paths, each as ``write_atomic`` does, once all of them are written.

    They appear in their order. Raises OSError, and leaves nothing behind, when one cannot be
    written.
    """
    patiently(lambda: _write_together(files), next(iter(files)))


def _write_together(files: Mapping[Path, bytes | memoryview]) -> None:
    # Not mkstemp: its files are private (mode 0600), and these are shared between users.
    temporaries = {
        path: path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp") for path in files
    }
    try:
        for path, temporary in temporaries.items():
            with open(temporary, "xb") as file:
                file.write(files[path])
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in temporaries.items():
            os.replace(temporary, path)
    except BaseException:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in files}:
        sync(folder)  # the new names, which the files' own fsync does not cover


def append_whole(path: Path, data: bytes, sync: bool = False, size: int | None = None) -> None:
    """Append ``data`` to a file, all of it or nothing; one process at a time may do so.

    With ``sync``, it survives a power cut. Where ``size`` is given, in bytes, what is behind was
    left by a write that failed, and is cut off. Raises OSError when it cannot be written.
    """
    if size is None:
        size = patiently(lambda: path.stat().st_size if is_there(path) else 0, path)
    patiently(partial(_append, path, data, size, sync), path)


def _append(path: Path, data: bytes, before: int, sync: bool) -> None:
    with open(path, "ab", buffering=0) as file:
        if file.seek(0, os.SEEK_END) > before:
            file.truncate(before)  # left by a try that failed
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if sync:
                os.fsync(file.fileno())
        except BaseException:
            file.truncate(before)
            raise


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Make a locked folder beside a path, and remove it at the end if it still has its name."""
    unlocked = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
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


def remove_abandoned(parent: Path, name: str = "") -> None:
    """Remove unfinished folders, of names that begin so, whose process was killed.

    Nobody holds their lock.
    """
    for temporary in parent.glob(f".{name}*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(temporary, os.O_RDONLY)
            try:
                if is_locked(descriptor):
                    shutil.rmtree(temporary, ignore_errors=True)
            finally:
                os.close(descriptor)


def is_locked(descriptor: int) -> bool:
    """Return whether a folder could be locked; some file systems of networks cannot lock any."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
