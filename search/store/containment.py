"""Containment of a run folder: all that is in it lies in it, so that nothing else is touched.

A folder of somebody else may hold links. Reading through them would show other files of whoever
looks at it, and writing would change them. Only who prepares a folder before it is used is kept out
in this way, not who changes it meanwhile.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from spaces.errors import UserError

LARGEST = {"settings.json": 2**26, "attempts.jsonl": 2**28, "best.json": 2**26}
"""Bytes; these are read whole, as are all files."""
LARGEST_OF_OTHERS = 2**32


def check_contained(folder: Path) -> None:
    """Raise UserError if something in ``folder`` leads out of it, or is no plain file or folder."""
    inside = os.path.realpath(folder) + os.sep
    for entry in entries(folder):
        fault = fault_of(entry, inside)
        if fault:
            raise UserError(
                f"{str(folder)!r} cannot be used as a run folder: "
                f"{os.path.relpath(entry.path, folder)!r} {fault}; take it away."
            )


def entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield all that is in a folder and below, without following links.

    Raises:
        UserError: a folder cannot be read.
    """
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for entry in found:
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except FileNotFoundError:
            continue  # a search that runs there has dropped it
        except OSError as error:
            raise UserError(f"the run folder {str(folder)!r} cannot be read: {error}.") from error


def fault_of(entry: os.DirEntry[str], inside: str) -> str | None:
    """Return why an entry cannot be trusted, None if it can."""
    if entry.is_dir(follow_symlinks=False):
        return None
    if entry.is_symlink():
        target = os.path.realpath(entry.path)
        return None if (target + os.sep).startswith(inside) else f"is a link to {target!r}, outside"
    try:
        size = entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return None
    if not entry.is_file(follow_symlinks=False):
        return "is neither a file nor a folder"
    largest = LARGEST.get(entry.name, LARGEST_OF_OTHERS)
    return None if size <= largest else f"has {size} bytes, and at most {largest} are read"
