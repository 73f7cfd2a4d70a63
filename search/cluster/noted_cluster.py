"""The note in which Ray keeps the cluster that this machine is part of, believed if it is ours.

Ray writes it into the temporary folder, where any account can write one, and a cluster that a
search joins can run code as the search's user. Free of Ray.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from search.cluster.session_folder import temporary_folder

MOST_BYTES = 1024
LISTENERS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
"""Sockets of this machine with the accounts that opened them, as Linux lists them."""
LISTENING = "0A"


class ForeignNoteError(Exception):
    """The note is not, or not certainly, this account's; the message says why."""


def note_path() -> Path:
    """Return where ``ray start`` notes the address of the cluster that it made or joined."""
    return temporary_folder()[1] / "ray" / "ray_current_cluster"


def noted_address() -> str | None:
    """Return the address in this account's own note, None if there is no note.

    Raises:
        ForeignNoteError: another account could have written it.
    """
    note = note_path()
    try:
        # No link is followed, and no pipe waited for.
        file = os.open(note, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ForeignNoteError(f"it cannot be opened as a file ({error.strerror})") from error
    try:
        check_own(os.fstat(file), "it", stat.S_ISREG)
        check_own(note.parent.lstat(), f"its folder {note.parent}", stat.S_ISDIR)
        return os.read(file, MOST_BYTES).decode(errors="replace").strip() or None
    finally:
        os.close(file)


def check_own(facts: os.stat_result, name: str, has_type: Callable[[int], bool]) -> None:
    """Raise ForeignNoteError unless a file or folder is of its type and of this account.

    Ray opens the folder to everybody; a file in it that is this account's was written by it.
    """
    if not has_type(facts.st_mode):
        raise ForeignNoteError(f"{name} is a link or of another kind")
    if facts.st_uid != os.getuid():
        raise ForeignNoteError(f"{name} belongs to the account {facts.st_uid}")
    if stat.S_ISREG(facts.st_mode) and facts.st_mode & stat.S_IWOTH:
        raise ForeignNoteError(f"{name} is writable to everybody")


def check_listener(host: str, port: int) -> None:
    """Raise ForeignNoteError if another account listens at an address of this machine.

    Who listens on other machines, and on systems without ``/proc``, is not known here.
    """
    if is_here(host):
        for account in sorted(listening_accounts(port) - {os.getuid()}):
            raise ForeignNoteError(
                f"what listens at {host}:{port} belongs to the account {account}"
            )


def is_here(host: str) -> bool:
    """Return whether a host's address is one of this machine."""
    with contextlib.suppress(OSError):
        for family, kind, protocol, _, (address, *_) in socket.getaddrinfo(
            host.strip("[]"), None, type=socket.SOCK_STREAM
        ):
            with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as probe:
                probe.bind((address, 0))
                return True
    return False


def listening_accounts(port: int) -> set[int]:
    """Return the accounts that listen at a port on any address of this machine."""
    accounts = set()
    for table in LISTENERS:
        with contextlib.suppress(FileNotFoundError):
            for line in table.read_text().splitlines()[1:]:
                _, local, _, state, _, _, _, account, *_ = line.split()
                if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
                    accounts.add(int(account))
    return accounts
