"""The folder of sockets and logs of a Ray that a search starts, deleted at its end.

In a folder of its own, so that it can be deleted with the search: other searches and other people's
Rays keep theirs elsewhere. Free of Ray.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from spaces.errors import UserError

PREFIX, INNER = "ray-", "r"
"""Of the folder's name, and the name of the folder within: Ray lets everybody into the one that it
is given, and nobody else can enter the outer one."""
SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
"""The longest path of a Unix socket."""
SESSION = "session_2026-01-01_00-00-00_000000_1234567"
"""A name that Ray gives, with the greatest process number of Linux."""
LONGEST = f"/{PREFIX}12345678/{INNER}/{SESSION}/sockets/plasma_store"
"""What follows the parent folder in the path of Ray's longest socket."""
OWNER = "owner"
"""A file in the folder that is locked while the search lives, however it ends."""
KEPT_SECONDS = 24 * 3600.0
"""For so long the logs of a search that was killed, or whose Ray failed, stay."""
DELETE_SECONDS = 3.0
"""How long Ray's last processes may go on writing after it has shut down."""
RETRY_SECONDS = 0.1


def parent_folder() -> tuple[str, Path]:
    """Return what says where temporary files are, and the folder, as Ray finds it."""
    for name in ("RAY_TMPDIR", "TMPDIR"):
        if os.environ.get(name) and not (name == "TMPDIR" and sys.platform == "darwin"):
            return name, Path(os.environ[name]).absolute()
    return "the temporary folder", Path("/tmp")


def check_parent() -> Path:
    """Return the folder for Ray's own folder.

    Raises:
        UserError: it cannot be written to, or Ray's sockets would not fit into it.
    """
    name, parent = parent_folder()
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise UserError(
            f"{name} is {str(parent)!r}, which is no folder that can be written to, and Ray needs "
            "one for its sockets; set RAY_TMPDIR to one."
        )
    room = SOCKET_BYTES - len(LONGEST)
    if len(os.fsencode(parent)) > room:
        raise UserError(
            f"{name} is {str(parent)!r}, too long for Ray's sockets in it; set RAY_TMPDIR to a "
            f"folder of at most {room} characters, such as /tmp."
        )
    return parent


@contextlib.contextmanager
def session_folder(kept_after: tuple[type[Exception], ...]) -> Iterator[Path]:
    """Yield the path of a folder that Ray may make, and delete it at the end.

    Where one of the exceptions ``kept_after`` ends the block, the folder stays, for the logs in it,
    and the exception has a note that names it. What earlier searches left a day ago is deleted.
    """
    parent = check_parent()
    delete_abandoned(parent)
    try:
        outer = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    except OSError as error:
        raise UserError(
            f"no folder for Ray can be made in {parent} ({error.strerror}); set RAY_TMPDIR to "
            "another."
        ) from error
    folder = outer / INNER
    with (outer / OWNER).open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        try:
            yield folder
        except kept_after as error:
            error.add_note(f"Ray's logs are kept in {logs_in(folder)}.")
            raise
        except BaseException:
            delete(outer)
            raise
        delete(outer)


def logs_in(folder: Path) -> Path:
    """Return where Ray writes its logs, given its folder."""
    return folder / "session_latest" / "logs"


def delete_abandoned(parent: Path) -> None:
    """Delete the folders of this user's searches that have ended, of those begun over a day ago."""
    for outer in parent.glob(f"{PREFIX}*"):
        # What is no such folder has no owner's file, and what is in use is locked.
        with contextlib.suppress(OSError):
            facts = outer.lstat()
            old = time.time() - facts.st_mtime > KEPT_SECONDS
            if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and old:
                with (outer / OWNER).open() as owner:
                    fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(outer, ignore_errors=True)


def delete(folder: Path) -> None:
    """Delete the folder and what processes that are about to end still write there."""
    deadline = time.monotonic() + DELETE_SECONDS
    shutil.rmtree(folder, ignore_errors=True)
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(RETRY_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
