"""Class counts of an own training, from a file or from Python: training and evaluated images."""

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

from spaces.errors import FieldError, UserError
from spaces.parts.words import number_of
from spaces.validation import shown
from trainer.user_files import expanded, read_text

SPLITS = ((), ("test",), ("validation",), ("validation", "test"), ("half_a", "half_b"))
"""Columns of evaluated images that may stand beside the training images."""
NAME, TRAIN = "class", "train"
COLUMNS = (NAME, TRAIN, "validation", "test", "half_a", "half_b")
FORMS = (
    "a header such as 'class,train,test' and a line for each class; the columns are train, class "
    "(optional), and one of: none, test, validation, validation and test, half_a and half_b"
)
T = TypeVar("T")


@dataclass(frozen=True)
class OwnCounts:
    """Numbers of images by class, each (C,), in the order of the labels.

    Attributes:
        evaluated: by split, in the order of ``SPLITS``.
    """

    train: tuple[int, ...]
    evaluated: Mapping[str, tuple[int, ...]]
    class_names: tuple[str, ...] | None = None


def counts_text(given: object, argument: str = "class_counts") -> str | None:
    """Return class counts, as a user gives them, as text: a file's name, or JSON.

    Args:
        given: None if they are not given.
        argument: that errors name.

    Raises:
        UserError: they are neither, or an entry breaks a rule.
    """
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, os.PathLike):
        return str(os.fspath(given))
    try:
        counts = own_counts(given)
    except UserError as error:
        raise FieldError(f"{argument}: {error}") from error
    columns = {TRAIN: counts.train, **counts.evaluated}
    return json.dumps({NAME: counts.class_names} | columns if counts.class_names else columns)


def class_counts_of(text: str, argument: str = "class_counts") -> OwnCounts:
    """Return class counts of ``counts_text``; ``argument`` is what errors name."""
    if not is_json(text):
        return read_own_counts(expanded(text))
    try:
        return own_counts(_from_json(text))
    except (ValueError, RecursionError) as error:  # also of a number of thousands of digits
        raise FieldError(f"{argument} is no JSON: {error}") from error
    except UserError as error:
        raise FieldError(f"{argument}: {error}") from error


def whole_counts(text: str) -> str:
    """Return ``counts_text`` with the whole path of a file."""
    return text if is_json(text) else str(expanded(text).absolute())


def is_json(text: str) -> bool:
    return text.lstrip()[:1] in ("[", "{")


def read_own_counts(path: Path) -> OwnCounts:
    """Read class counts from a file: CSV with a header, one count per line, or JSON.

    Raises:
        UserError: it cannot be read, or an entry breaks a rule; the sentence names the line.
    """
    text = read_text(path)
    try:
        if path.suffix == ".json" or is_json(text):
            return own_counts(_from_json(text))
        return _of_lines(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: is not JSON: {error.msg}.") from error
    except (csv.Error, ValueError) as error:  # also of a number of thousands of digits
        raise UserError(f"{path} is not a file of class counts: {error}.") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply to be class counts.") from error
    except UserError as error:
        raise UserError(f"{path}{', ' if str(error)[:4] == 'line' else ': '}{error}") from error


def _from_json(text: str) -> object:
    """The content of a JSON text. Raises UserError where a name appears twice in an object."""

    def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
        _check_once([name for name, _ in pairs])
        return dict(pairs)

    return json.loads(text, object_pairs_hook=table)


def _check_once(names: Sequence[str]) -> None:
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise UserError(f"{twice!r} appears {names.count(twice)} times; name each once.")


def own_counts(given: object) -> OwnCounts:
    """Return class counts from Python's or JSON's values.

    Args:
        given: counts of training images in the order of the labels, a mapping of class name to
            count, such as pandas' ``value_counts()``, or a mapping of column ("train", "test", ...)
            to counts.

    Raises:
        UserError: something else, or an entry that breaks a rule.
    """
    if isinstance(given, Mapping) and TRAIN in given and not _is_count(given[TRAIN]):
        return _of_columns({str(name): _listed(values, name) for name, values in given.items()})
    if isinstance(given, Mapping):
        return _labelled(own_counts(list(given.values())), tuple(map(str, given)))
    if labels := labels_of(given):
        names = tuple(map(str, labels))
        if not all(map(str.isdigit, names)) and list(names) != sorted(names):
            raise UserError(
                f"class counts: the labels {names[0]!r}, {names[1]!r}, ... are in no order, as "
                "those of value_counts(), so which one is which class is not known; give "
                ".sort_index(), or a dict in the order of the labels."
            )
        return _labelled(own_counts(given.tolist()), names)  # type: ignore[attr-defined]
    return _of_columns({TRAIN: _listed(given, "class counts")})


def labels_of(values: object) -> list[object] | None:
    """Return the labels of a pandas Series; None where they are 0, 1, 2 ..., or there are none."""
    pairs = getattr(values, "items", None)
    if not callable(pairs) or not hasattr(values, "tolist"):
        return None
    names: list[Any] = [name for name, _ in pairs()]  # 1.0, where a label of the column is missing
    labels = [int(x) if isinstance(x, float) and x.is_integer() else x for x in names]
    return None if labels == list(range(len(labels))) else labels


def _listed(values: object, name: object) -> list[Any]:
    if labels_of(values):
        raise UserError(
            f"{name}: the counts have labels of their own, which the columns share; give lists in "
            "the order of the labels, and these as column class."
        )
    if hasattr(values, "tolist"):  # an array or tensor
        values = values.tolist()
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        return list(values)
    raise UserError(
        f"{name}: got {shown(values)}; must be a list of numbers of images, one per class."
    )


def _of_columns(columns: Mapping[str, list[Any]]) -> OwnCounts:
    _check_header(tuple(columns))
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise UserError(f"columns have {sorted(lengths)} entries; give one per class in each.")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return _of_rows([(f"class {label}", row) for label, row in enumerate(rows)], tuple(columns))


def _of_lines(text: str) -> OwnCounts:
    lines = [
        (number, line)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise UserError(f"holds no class counts; write {FORMS}.")
    separator = next((mark for mark in ",;\t" if mark in lines[0][1]), ",")
    cells_of = [(n, next(csv.reader([line], delimiter=separator))) for n, line in lines]
    rows = [(n, [cell.strip() for cell in cells]) for n, cells in cells_of]
    first = rows[0][1]
    if any(cell.lower() in COLUMNS for cell in first):
        header = tuple(cell.lower() for cell in first)
        rows = rows[1:]
    else:  # counts alone, or names and counts
        header = (TRAIN,) if len(first) == 1 else (NAME, TRAIN)
    _check_header(header)
    for number, cells in rows:
        if len(cells) != len(header):
            raise UserError(
                f"line {number}: has {number_of(len(cells), 'column')}, not the {len(header)} of "
                f"{','.join(header)}; write {FORMS}."
            )
    return _of_rows(
        [(f"line {n}", dict(zip(header, cells, strict=True))) for n, cells in rows], header
    )


def _check_header(header: tuple[str, ...]) -> None:
    evaluated = tuple(name for name in header if name not in (NAME, TRAIN))
    known = TRAIN in header and len(set(header)) == len(header)
    if not known or tuple(sorted(evaluated, key=_place)) not in SPLITS:
        raise UserError(f"the columns are {','.join(header)}; write {FORMS}.")


def _place(name: str) -> int:
    return COLUMNS.index(name) if name in COLUMNS else len(COLUMNS)


def _of_rows(rows: Sequence[tuple[str, Mapping[str, Any]]], header: tuple[str, ...]) -> OwnCounts:
    """Check the cells, each with the words for where it stands."""
    numbers = {
        name: tuple(_count(row[name], name, where) for where, row in rows)
        for name in sorted(header, key=_place)
        if name != NAME
    }
    names = tuple(str(row[NAME]) for _, row in rows) if NAME in header else None
    return _labelled(OwnCounts(numbers.pop(TRAIN), numbers), names)


def _labelled(counts: OwnCounts, names: tuple[str, ...] | None) -> OwnCounts:
    """Return counts with names; in the order of the names where all of these are numbers."""
    _check_once(names or ())
    order = list(range(len(counts.train)))
    if names and all(name.isascii() and name.isdigit() for name in names):
        numbers = [name.lstrip("0") for name in names]  # of any length, which ints are not
        order.sort(key=lambda place: (len(numbers[place]), numbers[place]))

    def sorted_(values: Sequence[T]) -> tuple[T, ...]:
        return tuple(values[place] for place in order)

    return OwnCounts(
        sorted_(counts.train),
        {split: sorted_(values) for split, values in counts.evaluated.items()},
        names and sorted_(names),
    )


def _is_count(value: object) -> bool:
    return isinstance(value, Integral | str) and not isinstance(value, bool)


def _count(value: object, name: str, where: str) -> int:
    """Return a number of images, 1 to 2**53."""
    digits = str(value).lstrip("0") if _is_count(value) else ""
    if re.fullmatch("[0-9]{1,16}", digits) and int(digits) <= 2**53:
        return int(digits)
    raise UserError(
        f"{where}: {name} is {shown(value)}; it must be a whole number of images, at least 1."
    )
