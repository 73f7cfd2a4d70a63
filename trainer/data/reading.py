"""Files of images, read in threads: all that are faulty stand in one sentence."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from spaces.validation import shown
from trainer.errors import DataError

THREADS = 4  # decoding and hashing release the GIL, but machines are shared
NAMED = 3
"""How many of several faulty files are named."""
SMALL_FILE = 2**20  # bytes; larger files are hashed piece by piece

Place = TypeVar("Place")
Result = TypeVar("Result")


class FaultyFilesError(DataError):
    """Files that cannot be read, all of which are in ``faults``, and the first few in words."""

    def __init__(self, faults: Sequence[str], rule: str) -> None:
        super().__init__(faulty(faults, rule))
        self.faults = faults


def digest_of(content: bytes | memoryview) -> int:
    """64 bits of a hash over an image's content."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def hash_file(path: Path) -> int:
    """64 bits of a hash over a file. Raises DataError that begins with its name."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would block, a device never end
            raise DataError(f"{path} (it is no regular file)")
        with open(path, "rb") as file:
            content = file.read(SMALL_FILE)
            if len(content) < SMALL_FILE:
                return digest_of(content)
            file.seek(0)
            whole = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=8))
            return int.from_bytes(whole.digest(), "big")
    except OSError as error:
        raise DataError(f"{path} ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{path} (no path holds a zero byte)") from error


def collected(action: Callable[[Place], Result], places: Sequence[Place]) -> list[Result]:
    """`action` of each place, in threads. Raises one FaultyFilesError for all DataErrors."""
    portions = in_portions(action, places, len(places), "cannot be read")
    return [result for some in portions for result in some]


def in_portions(
    action: Callable[[Place], Result], places: Sequence[Place], size: int, rule: str
) -> Iterator[list[Result]]:
    """`action` of each place as `collected` does it, of `size` places at a time.

    After a fault only the others are looked for. The error counts them, names the first few, and
    ends with `rule`, such as "cannot be read".
    """

    def attempt(place: Place) -> Result | DataError:
        try:
            return action(place)
        except DataError as error:
            return error

    faults: list[str] = []
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(places), size):
            outcomes = list(pool.map(attempt, places[start : start + size]))
            faults += [str(outcome) for outcome in outcomes if isinstance(outcome, DataError)]
            if not faults:
                yield [outcome for outcome in outcomes if not isinstance(outcome, DataError)]
    if faults:
        raise FaultyFilesError(faults, rule)


def faulty(faults: Sequence[str], rule: str) -> str:
    """A sentence about files, all counted and the first few named."""
    if len(faults) == 1:
        return f"{faults[0]} {rule}: replace or remove it"
    named = ", ".join(faults[:NAMED]) + (", ..." if len(faults) > NAMED else "")
    return f"{len(faults):,} files {rule}: {named}: replace or remove them"


def not_used(what: str, names: Iterable[str]) -> tuple[str, ...]:
    """What is told of names that stand for nothing that is read; nothing of none.

    Those that are empty, or cannot be printed, are shown as Python writes them.
    """
    named = ", ".join(name if name and name.isprintable() else shown(name) for name in names)
    return (f"{what}not used: {named}",) if named else ()


def left_out(suffixes: Counter[str]) -> str:
    """Files that were not read, by their suffix, such as "left out 3 files (2 .heic, 1 .txt)"."""
    if len(suffixes) == 1:
        kinds = next(iter(suffixes))
    else:
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in suffixes.most_common(9))
        kinds += ", ..." if len(suffixes) > 9 else ""
    total = suffixes.total()
    return f"left out {total:,} file{'s' if total > 1 else ''} ({kinds})"
