"""Files of class counts, as users write them.

Three forms are read: a JSON list of counts, a JSON object of name to count, and text with a count,
or a name and a count, on each line, separated by a comma, a semicolon or a tab. Blank lines and
lines with # are left out. A first line that ends in a word instead of a number is a header.
"""

import csv
import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spaces import WeightingError, check_counts
from spaces.errors import UserError
from spaces.parts.labels import label_number
from spaces.parts.words import number_of
from trainer.user_files import read_text

_COUNT = re.compile(r"[0-9]{1,16}")
_SEPARATOR = re.compile(r"([,;\t])[\s\"]*[0-9]+[\s\"]*$")
"""The separator before a count at the end of a line, of which the name may hold others."""
_NO_NUMBER = ("nan", "na", "n/a", "null", "none", "inf", "infinity")
"""What programs write for a missing number, which makes a line no header."""
EMPTY_CLASS = (
    "say what a class without images is: --zero-counts ignore, one that cannot occur, or "
    "--zero-counts smallest, one that may"
)


class CountsFileError(UserError):
    """A file of class counts that cannot be understood; the sentence names the file and place."""


@dataclass(frozen=True)
class ClassCounts:
    """Class counts (C,), positive or 0, and C different names or None.

    Names that are all whole numbers are in their order, others in the order of the file.
    `header` is the line that was taken for one, or None.
    """

    counts: tuple[int, ...]
    class_names: tuple[str, ...] | None
    header: str | None = None

    def describe(self) -> str:
        """One line for people that says what was read."""
        number = number_of(len(self.counts), "class count")
        read = f"{number} from {min(self.counts)} to {max(self.counts)}"
        return f"{read}, below the header {self.header!r}" if self.header else read


def read_counts(path: Path, zeros: bool = False) -> ClassCounts:
    """Read the class counts of a file, of which some may be 0 with ``zeros``.

    Raises:
        UserError: the file is missing, empty, or one of its entries is not a count.
    """
    text = read_text(path)
    if path.suffix == ".json" or text.lstrip()[:1] in ("[", "{"):
        found = _from_json(path, text)
    else:
        found = _from_lines(path, text)
    return checked_zeros(path, found, zeros)


def checked_zeros(path: Path, found: ClassCounts, zeros: bool) -> ClassCounts:
    """Return counts of which some are positive, and with ``zeros`` some may be 0.

    Raises:
        CountsFileError: all are 0, or one is without ``zeros``.
    """
    if not any(found.counts):
        raise CountsFileError(f"{path}: every class has 0 images; at least one must have some.")
    if 0 in found.counts and not zeros:
        index = found.counts.index(0)
        name = repr(found.class_names[index]) if found.class_names else index
        raise CountsFileError(f"{path}: class {name} has 0 images; {EMPTY_CLASS}.")
    return found


def _from_json(path: Path, text: str) -> ClassCounts:
    try:
        # Pairs instead of a dictionary, which would hide a name that appears twice.
        content = json.loads(text, object_pairs_hook=tuple)
    except json.JSONDecodeError as error:
        raise CountsFileError(f"{path}, line {error.lineno}: is not JSON: {error.msg}.") from error
    except (ValueError, RecursionError) as error:
        raise CountsFileError(f"{path} is not JSON: {error}.") from error
    if isinstance(content, tuple) and content:
        names = [str(name) for name, _ in content]
        return _class_counts(path, [count for _, count in content], names, None)
    if isinstance(content, list) and content:
        return _class_counts(path, content, [], None)
    raise CountsFileError(
        f"{path}: must be a JSON list of counts or an object of class name to count, not empty."
    )


def _from_lines(path: Path, text: str) -> ClassCounts:
    lines = [
        (number, line)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise CountsFileError(f"{path}: holds no class counts; write one per line.")
    separator = _SEPARATOR.search(lines[-1][1])
    try:
        rows = [_cells(line, separator[1] if separator else ",") for _, line in lines]
    except csv.Error as error:
        raise CountsFileError(f"{path} is not a file of class counts: {error}.") from error
    header = None
    if len(lines) > 1 and _is_word(rows[0][-1]):
        header = lines.pop(0)[1].strip()
        del rows[0]
    for (number, line), row in zip(lines, rows, strict=True):
        problem = _problem(row, len(rows[0]))
        if problem:
            raise CountsFileError(f"{path}, line {number}: got {line.strip()!r}; {problem}.")
    names = [name for *before, _ in rows for name in before]
    return _class_counts(path, [int(row[-1]) for row in rows], names, header)


def _cells(line: str, separator: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
    return [cell.strip() for cell in cells]


def _is_word(cell: str) -> bool:
    """Whether a cell is a word such as count, n or num_images."""
    letters = any(map(str.isalpha, cell)) and not any(map(str.isdigit, cell))
    return letters and cell.lower() not in _NO_NUMBER


def _problem(row: list[str], cells: int) -> str | None:
    """What is wrong with a line, of which the first has so many cells."""
    *name, count = row
    if len(name) > 1 or not all(name) or not _COUNT.fullmatch(count):
        return (
            "must be a positive integer, or a class name and a positive integer, "
            "separated by a comma, a semicolon or a tab"
        )
    if len(row) != cells:
        return "either every line has a class name or none has"
    return None


def _class_counts(
    path: Path, counts: list[Any], names: list[str], header: str | None
) -> ClassCounts:
    """Check the counts and names of a file, and put names that are whole numbers in order."""
    try:
        # Zeros are checked for later, where it is known whether they are allowed.
        zero = [type(count) in (int, float) and count == 0 for count in counts]
        filled = [1 if empty else count for count, empty in zip(counts, zero, strict=True)]
        checked = [0 if z else n for n, z in zip(check_counts(filled).tolist(), zero, strict=True)]
    except WeightingError as error:
        raise CountsFileError(f"{path}: {error}.") from error
    if not names:
        return ClassCounts(tuple(checked), None, header)
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise CountsFileError(f"{path}: class {name!r} appears {times} times.")
    pairs = list(zip(names, checked, strict=True))
    with suppress(ValueError):  # not all of the names are whole numbers
        pairs = sorted(pairs, key=lambda pair: label_number(pair[0]))
    return ClassCounts(tuple(count for _, count in pairs), tuple(name for name, _ in pairs), header)
