"""The folder of sockets and logs of a Ray that a search starts, deleted at its end.

In a folder of its own, so that it can be deleted with the search: other searches and other people's
Rays keep theirs elsewhere. No other account gets into it, or can put another in its place: Ray lays
the code of its workers there, in folders that it opens to everybody. Free of Ray.
"""

import contextlib
import fcntl
import os
import pwd
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
ROOM = SOCKET_BYTES - len(LONGEST)
"""The longest path of a parent folder, in bytes."""
LINGERING = Path("/var/lib/systemd/linger")
"""Has a file for every user whose runtime folder stays when the last login ends."""
OWNER = "owner"
"""A file in the folder that is locked while the search lives, however it ends."""
KEPT_SECONDS = 24 * 3600.0
"""For so long the logs of a search that was killed, or whose Ray failed, stay."""
DELETE_SECONDS = 3.0
"""How long Ray's last processes may go on writing after it has shut down."""
RETRY_SECONDS = 0.1


def temporary_folder() -> tuple[str, Path]:
    """Return what says where temporary files are, and the folder, as Ray finds it."""
    for name in ("RAY_TMPDIR", "TMPDIR"):
        if os.environ.get(name) and not (name == "TMPDIR" and sys.platform == "darwin"):
            return name, Path(os.environ[name]).absolute()
    return "the temporary folder", Path("/tmp")


def parent_folder() -> tuple[str, Path]:
    """Return what says where Ray's own folder shall be, and that place."""
    name, folder = temporary_folder()
    runtime = None if name in os.environ else runtime_folder()
    return ("XDG_RUNTIME_DIR", runtime) if runtime else (name, folder)


def runtime_folder() -> Path | None:
    """Return the user's runtime folder, None if it does not serve.

    It must be the user's alone and short, and outlive the login, which a search may do.
    """
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or ".")
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
        usable = is_private(folder) and (LINGERING / user).exists()
    except (OSError, KeyError):
        return None
    return folder if usable and folder.is_absolute() and fits(folder) else None


def is_private(folder: Path) -> bool:
    """Return whether a path is a folder of this user, no link, that no other account can enter."""
    facts = folder.lstat()
    alone = facts.st_uid == os.getuid() and not stat.S_IMODE(facts.st_mode) & 0o077
    return stat.S_ISDIR(facts.st_mode) and alone


def fits(parent: Path) -> bool:
    return len(os.fsencode(parent)) <= ROOM


def check_parent() -> Path:
    """Return the folder for Ray's own folder.

    Raises:
        UserError: it cannot be written to, Ray's sockets would not fit into it, or another account
            could replace what is in it.
    """
    name, parent = parent_folder()
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise UserError(
            f"{name} is {str(parent)!r}, which is no folder that can be written to, and Ray needs "
            "one for its sockets; set RAY_TMPDIR to one."
        )
    if not fits(parent):
        raise UserError(
            f"{name} is {str(parent)!r}, too long for Ray's sockets in it; set RAY_TMPDIR to a "
            f"folder of at most {ROOM} characters, such as /tmp."
        )
    if reason := exposed(parent):
        raise UserError(
            f"{name} is {str(parent)!r}, where another account could replace the code that Ray "
            f"runs, because {reason}; set RAY_TMPDIR to a folder of your own."
        )
    return parent


def exposed(path: Path) -> str | None:
    """Return how an account besides root and the user could replace what is in a folder."""
    trusted = {0, os.getuid(), os.stat("/").st_uid}  # in a container, root may have another number
    for step in steps(path):
        facts = step.lstat()
        if facts.st_uid not in trusted:
            return f"{str(step)!r} belongs to the account {facts.st_uid}"
        everybody = stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_IWOTH
        if everybody and not facts.st_mode & stat.S_ISVTX:
            return f"{str(step)!r} is writable to everybody and has no sticky bit"
    return None


def steps(path: Path) -> Iterator[Path]:
    """Yield every folder and every link on the way to a folder that exists, itself included."""
    for step in (*reversed(path.parents), path):
        yield step
        if step.is_symlink():
            yield from steps(Path(os.path.realpath(step.parent), os.readlink(step)))


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
    if not is_private(outer):
        outer.rmdir()
        raise UserError(
            f"a folder in {parent} cannot be closed to other accounts, and Ray's own must be; set "
            "RAY_TMPDIR to a folder on another file system."
        )
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
