"""Containment of a run folder: all that is in it lies in it, so that nothing else is touched.

A folder of somebody else may hold links. Reading through them would show other files of whoever
looks at it, and writing would change them. Only who prepares a folder before it is used is kept out
in this way, not who changes it meanwhile.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from spaces.errors import UserError

MEGABYTE = 2**20
LARGEST = {
    "settings.json": 16 * MEGABYTE,
    "attempts.jsonl": 256 * MEGABYTE,
    "record.jsonl": 256 * MEGABYTE,
    "study.journal": 256 * MEGABYTE,
    "lease.json": MEGABYTE,
}
"""Bytes of files that are read, whole."""
LARGEST_OF_TRIALS = 256 * MEGABYTE
"""Of the epochs of a trial."""
LARGEST_OF_OTHERS = 4096 * MEGABYTE
WRITTEN = (
    *("lock", "log.txt", "best.json", "best_weighting.py", "best_strategy.py"),
    "report.html",
)
FOLDERS = ("trials", "checkpoints", "ray")
OWN = re.compile(r"checkpoints/[^/]+/own/")
"""Where a function of the user's writes, which may link its last checkpoint."""
MOST_ENTRIES = 1_000_000


def check_contained(folder: Path) -> None:
    """Raise UserError if something in ``folder`` leads out of it, or is not what it is to be.

    There are plain files, with a limit to their size, and folders. Links are made by Ray, and by
    functions of users among their own checkpoints.
    """
    inside = os.path.realpath(folder) + os.sep
    for number, entry in enumerate(entries(folder)):
        place = entry.path[len(str(folder)) + 1 :]
        fault = fault_of(entry, place, inside)
        if number >= MOST_ENTRIES:
            fault = f"is one of more than {MOST_ENTRIES} files"
        if fault:
            raise UserError(
                f"{str(folder)!r} cannot be used as a run folder: {place!r} {fault}; take it away."
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


def fault_of(entry: os.DirEntry[str], place: str, inside: str) -> str | None:
    """Return why an entry cannot be trusted, None if it can; ``place`` is its path in the run."""
    room = os.path.dirname(place)
    own = OWN.match(place)
    if entry.is_symlink():
        target = os.path.realpath(entry.path)
        if not (target + os.sep).startswith(inside):
            return f"is a link to {target!r}, outside"
        among_own = own is not None and target.startswith(inside + own[0])
        return None if among_own or place.startswith("ray/") else "is a link"
    is_read = room == "trials" or place in LARGEST
    if entry.is_dir(follow_symlinks=False):
        return "is a folder, not a file" if is_read or place in WRITTEN else None
    try:
        size = entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return None
    if not entry.is_file(follow_symlinks=False):
        return "is neither a file nor a folder"
    if place in FOLDERS:
        return "is a file, not a folder"
    if is_read and not os.access(entry.path, os.R_OK):
        return "cannot be read, by its permissions"
    epochs = room == "trials" and place.endswith(".jsonl")
    largest = LARGEST_OF_TRIALS if epochs else LARGEST.get(place, LARGEST_OF_OTHERS)
    fits = own or size <= largest  # nothing reads what is a function's own
    return None if fits else f"has {size} bytes, and at most {largest} are read"
