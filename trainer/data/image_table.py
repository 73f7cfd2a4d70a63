"""A user's images that a CSV or Parquet table of `path,label[,split][,difficulty]` names.

A benchmark may name further columns, of tags.
"""

import csv
import io
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spaces.parts.labels import missing_among_numbers, sorted_labels
from trainer.data import pixels
from trainer.data.image_folder import USUAL_NAMES, check_unchanged
from trainer.data.listing import (
    Classes,
    Found,
    Listing,
    listing_of,
    raw_images,
    share_of,
)
from trainer.data.raw import FolderSpec, RawImages, Request
from trainer.data.reading import collected, hash_file, not_used
from trainer.diagnosis.scenarios import checked_tag
from trainer.errors import DataError
from trainer.user_files import expanded, read_text

COLUMNS = ("path", "label", "split", "difficulty")
SPLIT_OF = {name: split for split, names in USUAL_NAMES.items() for name in names}
PARQUET = ".parquet"
LONGEST_NAME = 255
"""Of a class, as of a folder."""
MOST_ROWS = 10_000_000
"""Rows of the longest Parquet table that is read: a few bytes may stand for any number of rows."""


class _Row(NamedTuple):
    path: str
    label: str
    split: str
    difficulty: float | None
    tags: tuple[str, ...]


def scan_table(file: Path, val: float | None, scenarios: Sequence[str] = ()) -> FolderSpec:
    """What a benchmark keeps of the images that a table names, of which every byte is hashed.

    `val` is the share of the training images to set aside for validation, 0 for none; without it
    a share is set aside if the table has neither validation nor test images. `scenarios` are
    columns of tags. Raises DataError for a table that cannot be read, rows that are not whole,
    images that are missing, and columns that are no scenarios.
    """
    return list_table(file, val, scenarios).spec(file)


def list_table(file: Path, val: float | None, scenarios: Sequence[str]) -> Listing[Path]:
    """The images that a table names, by split and class (`scan_table`)."""
    columns = tuple(_normal(name) for name in scenarios)
    names, rows = _read(file, columns)
    present = {row.split for row in rows}
    share = share_of(file, present, val)
    labels = {label: i for i, label in enumerate(sorted_labels({row.label for row in rows}))}
    check_numbers(file, labels)
    check_names(file, labels)
    paths = [file.parent / expanded(row.path) for row in rows]
    digests = collected(hash_file, paths)
    splits: dict[str, Classes[Path]] = {split: [[] for _ in labels] for split in present}
    for row, path, digest in zip(rows, paths, digests, strict=True):
        splits[row.split][labels[row.label]].append(Found(digest, path, row.difficulty, row.tags))
    unused = [name for name in names if name not in {*COLUMNS, *columns}]
    notes = not_used("columns ", unused)
    return listing_of(tuple(labels), splits, share, file, notes, columns)


def check_numbers(file: Path, labels: Collection[str]) -> None:
    """Raise DataError for nan among whole numbers, which programs write for a missing label."""
    if label := missing_among_numbers(labels):
        raise DataError(
            f"{file} has the label {label!r} among whole numbers, as programs write one that is"
            " missing: fill it in, or leave these images out"
        )


def check_names(file: Path, names: Iterable[str]) -> None:
    """Raise DataError for a class whose name is too long, or cannot be printed."""
    for name in names:
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise DataError(
                f"{file} has the class {name[:LONGEST_NAME]!r}: its name must be at most"
                f" {LONGEST_NAME} characters that can be printed: rename it"
            )


def _normal(name: str) -> str:
    return name.strip().lower()


def _read(file: Path, columns: tuple[str, ...]) -> tuple[list[str], list[_Row]]:
    """The names of a table's columns, and its rows, with the tags in `columns`."""
    parquet = file.suffix == PARQUET
    names, lines = (_read_parquet if parquet else _read_csv)(file, columns)
    missing = [name for name in COLUMNS[:2] if name not in names]
    if missing:
        raise DataError(
            f"{file} has the columns {', '.join(names) or 'none'}, but none that is named"
            f" {missing[0]!r}: its first line must be path,label or path,label,split"
        )
    for column in columns:
        if column not in names or column in COLUMNS:
            others = [name for name in names if name not in COLUMNS]
            raise DataError(
                f"scenarios names the column {column!r}, and {file} has"
                f" {', '.join(others) or 'none'} beside those of paths, labels, splits and"
                " difficulty: name one of these"
            )
    rows = [
        _row(file, number, dict(zip(names, line, strict=False)), columns) for number, line in lines
    ]
    if not any(row.split == "train" for row in rows):
        raise DataError(f"{file} names no training images: give some rows the split train")
    return names, rows


def _row(file: Path, number: int, values: dict[str, str], columns: tuple[str, ...]) -> _Row:
    path, label = values.get("path", ""), values.get("label", "")
    split = values.get("split", "train").lower()
    if not path or not label:
        raise DataError(
            f"{file}, row {number}, lacks its {'label' if path else 'path'}: fill it in"
        )
    if split not in SPLIT_OF:
        raise DataError(
            f"{file}, row {number}, has the split {split!r}: it must be train, val or test"
        )
    where = f"{file}, row {number},"
    tags = tuple(checked_tag(where, column, values.get(column, "")) for column in columns)
    hard = values.get("difficulty") if SPLIT_OF[split] == "train" else None
    return _Row(path, label, SPLIT_OF[split], _difficulty(where, hard), tags)


def _difficulty(where: str, value: str | None) -> float | None:
    """The number in a cell; None without a cell."""
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(
            f"{where} has the difficulty {value!r}: it must be a number for every training image,"
            " the higher the harder"
        )
    return number


def _check_once(file: Path, names: Sequence[str], columns: Sequence[str]) -> None:
    """Raise DataError for a column that is read and is there twice."""
    for name in (*COLUMNS, *columns):
        if names.count(name) > 1:
            raise DataError(f"{file} has {names.count(name)} columns {name!r}: keep one of them")


def _read_csv(
    file: Path, columns: tuple[str, ...]
) -> tuple[list[str], Iterator[tuple[int, Sequence[str]]]]:
    text = read_text(file)
    heading = text.split("\n", 1)[0]
    separator = max(",;\t", key=heading.count)
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DataError(f"{file} is not a CSV file ({error}): mend that line") from error
    names = [_normal(name) for name in lines[0]] if lines else []
    _check_once(file, names, columns)
    stripped = ([value.strip() for value in line] for line in lines[1:])
    rows = ((number, line) for number, line in enumerate(stripped, 2) if any(line))
    return names, ((number, _fitted(file, number, line, len(names))) for number, line in rows)


def _fitted(file: Path, number: int, cells: list[str], columns: int) -> list[str]:
    """The cells of a row with empty ones for those that are missing. Raises DataError."""
    if any(cells[columns:]):
        raise DataError(
            f"{file}, row {number}, has {len(cells)} cells, and the first line has {columns}: put a"
            " value that holds a separator in quotes"
        )
    return cells + [""] * (columns - len(cells))


def _read_parquet(
    file: Path, columns: tuple[str, ...]
) -> tuple[list[str], Iterator[tuple[int, Sequence[str]]]]:
    try:
        from pyarrow import ArrowException, parquet  # comes with ray[tune]
    except ImportError as error:
        raise DataError(f"{file} needs the package pyarrow: install it, or give a CSV") from error
    try:
        with parquet.ParquetFile(file) as opened:
            every = [_normal(field.name) for field in opened.schema_arrow]
            _check_once(file, every, columns)
            fields = dict(zip(every, opened.schema_arrow, strict=True))
            read = [name for name in dict.fromkeys((*COLUMNS, *columns)) if name in fields]
            for name in read:
                _check_column(file, name, fields[name].type, opened.metadata.num_rows)
            table = opened.read([fields[name].name for name in read])
        values: list[list[Any]] = [table[fields[name].name].to_pylist() for name in read]
    except (OSError, ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as Parquet ({error}): replace it") from error
    names = read + [name for name in fields if name not in read]
    rows = zip(*values, strict=True)
    lines = ([_cell(value) for value in row] for row in rows)
    return names, enumerate(lines, 1)


def _cell(value: Any) -> str:
    """A value of a Parquet column as a CSV has it; empty where it is missing."""
    return "" if value is None or value != value else str(value).strip()  # nan differs from itself


def _check_column(file: Path, name: str, kind: Any, rows: int) -> None:
    """Raise DataError for a Parquet column that holds images or too many rows; reads none."""
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    if types.is_nested(kind) or "binary" in str(kind):
        raise DataError(
            f"{file} has {kind} in the column {name!r}: it must be text; write the images to files"
            " and name these"
        )
    if rows > MOST_ROWS:
        raise DataError(f"{file} has {rows:,} rows, more than {MOST_ROWS:,}: split it")


def load_table(request: Request) -> RawImages:
    """The images that a table names, as RGB, `resolution` pixels square (`pixels.fit`)."""
    spec, resolution = request.folder, request.resolution
    assert spec is not None  # Benchmark checks it
    val = spec.val if isinstance(spec.val, float) else 0.0
    listing = list_table(spec.root, val, spec.scenarios)
    check_unchanged(listing, spec)

    def decode(image: Found[Path]) -> pixels.Pixels:
        return pixels.decode(image.place, resolution, image.digest)

    return raw_images(listing, decode, resolution)
