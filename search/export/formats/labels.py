"""Files of training labels, as users write them.

Four forms are read: `.npy` of whole numbers or words, a JSON list, and text with a label, or an
image and its label, on each line. Labels that are all whole numbers are classes from 0; others are
names of classes, in the order of the benchmark's where all of them are its names, else sorted.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.export.class_counts import ClassCounts
from spaces.errors import UserError
from spaces.parts.labels import is_whole_number
from trainer.user_files import read_text

HEADERS = ("label", "labels", "class", "class_name", "target", "category", "y")
"""What the last word of a first line is that is no label, unless it is one further down."""
MOST_CLASSES = 1_000_000
_NUMBER = re.compile(r"[0-9]{1,9}")


class LabelsFileError(UserError):
    """A file of labels that cannot be understood; the sentence names the file and place."""


@dataclass(frozen=True)
class Labels:
    """Labels of N training images of C classes.

    Attributes:
        indices: the class of each image, 0 to C - 1, (N,).
        counts: C counts, of which some may be 0.
        images: what stands before each label, or None.
        header: the line that was taken for one, or None.
    """

    indices: Sequence[int]
    counts: ClassCounts
    images: tuple[str, ...] | None = None
    header: str | None = None

    def describe(self) -> str:
        """One line for people that says what was read."""
        read = f"{len(self.indices)} labels of {len(self.counts.counts)} classes"
        return f"{read}, below the header {self.header!r}" if self.header else read


def read_labels(path: Path, class_names: Sequence[str] | None) -> Labels:
    """Read the labels of a file; ``class_names`` are those of the benchmark.

    Raises:
        UserError: the file is missing or empty, or one of its entries is not a label.
    """
    if path.suffix == ".npy":
        return _labels(path, _from_npy(path), class_names)
    text = read_text(path)
    if path.suffix == ".json" or text.lstrip()[:1] == "[":
        return _labels(path, _from_json(path, text), class_names)
    return _from_lines(path, text, class_names)


def _from_npy(path: Path) -> list[Any]:
    try:
        found = np.load(path, allow_pickle=False)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): correct its path") from error
    except (ValueError, EOFError) as error:
        raise LabelsFileError(
            f"{path} is no array of numbers or words; save one with numpy.save."
        ) from error
    if not isinstance(found, np.ndarray) or found.ndim != 1 or found.dtype.kind not in "iuU":
        raise LabelsFileError(f"{path} must hold one whole number, or one name, for each image.")
    values: list[Any] = found.tolist()
    return values


def _from_json(path: Path, text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabelsFileError(f"{path} is not JSON: {error}.") from error
    if not isinstance(found, list) or not all(
        isinstance(label, int | str) and not isinstance(label, bool) for label in found
    ):
        raise LabelsFileError(f"{path} must be a JSON list of whole numbers, or of names.")
    return found


def _from_lines(path: Path, text: str, class_names: Sequence[str] | None) -> Labels:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    try:
        rows = [next(csv.reader([line], skipinitialspace=True)) for _, line in lines]
    except csv.Error as error:
        raise LabelsFileError(f"{path} is not a file of labels: {error}.") from error
    header, first = None, rows[0][-1].strip() if rows else ""
    if first.lower() in HEADERS and all(row[-1].strip() != first for row in rows[1:]):
        header = lines.pop(0)[1].strip()
        del rows[0]
    for (number, line), row in zip(lines, rows, strict=True):
        if len(row) > 2 or len(row) != len(rows[0]) or not all(cell.strip() for cell in row):
            raise LabelsFileError(
                f"{path}, line {number}: got {line.strip()!r}; every line must be a label, or "
                "every line an image and its label, separated by a comma."
            )
    labels = [row[-1].strip() for row in rows]
    images = tuple(row[0] for row in rows) if rows and len(rows[0]) == 2 else None
    return _labels(path, labels, class_names, images, header)


def _labels(
    path: Path,
    labels: Sequence[int | str],
    class_names: Sequence[str] | None,
    images: tuple[str, ...] | None = None,
    header: str | None = None,
) -> Labels:
    """Count labels of every class, and number the classes."""
    if not labels:
        raise LabelsFileError(f"{path} holds no labels; write one for each image.")
    words = [str(label) for label in labels]
    different = set(words)
    names: tuple[str, ...] | None
    if class_names and different <= {*class_names}:
        names = tuple(class_names)
    elif all(map(_NUMBER.fullmatch, different)):
        names, words = None, [str(int(word)) for word in words]
        largest = max(map(int, words))
        if largest >= MOST_CLASSES:
            raise LabelsFileError(
                f"{path}: the label {largest} is too large to be a number of a class; number the "
                "classes from 0, or write their names."
            )
    else:
        _check_names(path, different)
        names = tuple(sorted(different))
    known = names if names is not None else [*map(str, range(max(map(int, words)) + 1))]
    index_of = {name: index for index, name in enumerate(known)}
    indices = [index_of[word] for word in words]
    counts = np.bincount(indices, minlength=len(known))
    return Labels(indices, ClassCounts(tuple(counts.tolist()), names), images, header)


def _check_names(path: Path, words: set[str]) -> None:
    """Refuse names that cannot be printed, and numbers, whose order as words is another one."""
    if unprintable := sorted(word for word in words if not word.isprintable()):
        raise LabelsFileError(
            f"{path}: the label {unprintable[0]!r} has characters that cannot be printed, such as "
            "tabs; write an image and its label with a comma between them, or a label alone."
        )
    odd = sorted(filter(_is_other_number, words))
    if odd and all(_NUMBER.fullmatch(word) for word in words.difference(odd)):
        raise LabelsFileError(
            f"{path}: the label {odd[0]} is not written as a whole number from 0; number the "
            "classes 0, 1, 2, or write their names."
        )


def _is_other_number(word: str) -> bool:
    """Whether programs write it for a class that is not known, or in a column of broken numbers."""
    return not word.isdecimal() and (word.lower() == "nan" or is_whole_number(word))
