"""Which class counts does a user's file hold?

Three forms are read: a JSON list of counts, a JSON object of name to count, and plain text or CSV
with `count` or `name,count` on each line (blank lines and lines with # are left out, and a first
line that ends in "count" is a header).
"""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spaces import WeightingError, check_counts
from trainer.errors import UserError

_COUNT = re.compile(r"[0-9]{1,16}")


class CountsFileError(UserError):
    """A file of class counts that cannot be understood; the sentence names the file and place."""


@dataclass(frozen=True)
class ClassCounts:
    """Positive class counts (C,) in the order of the file, and C different names or None."""

    counts: tuple[int, ...]
    class_names: tuple[str, ...] | None


def read_counts(path: Path) -> ClassCounts:
    """Read the class counts of a file.

    Raises:
        CountsFileError: the file is missing, empty, or one of its entries is not a count.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CountsFileError(f"{path} cannot be read: {error}.") from error
    except UnicodeDecodeError as error:
        raise CountsFileError(f"{path} is not a text file in UTF-8: {error}.") from error
    if path.suffix == ".json" or text.lstrip()[:1] in ("[", "{"):
        return _from_json(path, text)
    return _from_lines(path, text)


def _from_json(path: Path, text: str) -> ClassCounts:
    try:
        # Pairs instead of a dictionary, which would hide a name that appears twice.
        content = json.loads(text, object_pairs_hook=tuple)
    except json.JSONDecodeError as error:
        raise CountsFileError(f"{path}, line {error.lineno}: is not JSON: {error.msg}.") from error
    except (ValueError, RecursionError) as error:
        raise CountsFileError(f"{path} is not JSON: {error}.") from error
    if isinstance(content, tuple) and content:
        names = tuple(str(name) for name, _ in content)
        _check_names(path, names)
        return ClassCounts(_checked(path, [count for _, count in content]), names)
    if isinstance(content, list) and content:
        return ClassCounts(_checked(path, content), None)
    raise CountsFileError(
        f"{path}: must be a JSON list of counts or an object of class name to count, not empty."
    )


def _from_lines(path: Path, text: str) -> ClassCounts:
    counts: list[int] = []
    names: list[str] = []
    header_allowed = True
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        *name, count = _cells(line)
        if header_allowed and count.lower() in ("count", "counts"):
            header_allowed = False
            continue
        header_allowed = False
        if len(name) > 1 or not all(name) or not _COUNT.fullmatch(count) or int(count) == 0:
            raise CountsFileError(
                f"{path}, line {number}: got {line.strip()!r}; "
                "must be a positive integer, or a class name, a comma and a positive integer."
            )
        counts.append(int(count))
        names.extend(name)
        if len(names) not in (0, len(counts)):
            raise CountsFileError(
                f"{path}, line {number}: got {line.strip()!r}; "
                "either every line has a class name or none has."
            )
        if name and name[0] in names[:-1]:
            raise CountsFileError(f"{path}, line {number}: class {name[0]!r} appears twice.")
    if not counts:
        raise CountsFileError(f"{path}: holds no class counts; write one per line.")
    return ClassCounts(_checked(path, counts), tuple(names) or None)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True))]


def _checked(path: Path, counts: list[Any]) -> tuple[int, ...]:
    try:
        return tuple(check_counts(counts).tolist())
    except WeightingError as error:
        raise CountsFileError(f"{path}: {error}.") from error


def _check_names(path: Path, names: tuple[str, ...]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise CountsFileError(f"{path}: class {name!r} appears twice.")
