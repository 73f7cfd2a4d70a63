"""Files of JSON lines that grow by whole lines: appended to, read, and mended after a kill.

Those of the record are numbered, and have a checksum each.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spaces.errors import UserError
from trainer.files import append_whole, is_file

MOST_LINES, LONGEST_LINE = 1_000_000, 2**24
TAIL = len(b',"crc":"01234567"}')
"""Bytes of a checksum at the end of a line."""


def append_line(path: Path, content: dict[str, Any], sync: bool = False) -> None:
    """Append one JSON line and hand it to the operating system at once; ``append_whole``'s sync."""
    append_whole(path, json.dumps(content, separators=(",", ":")).encode() + b"\n", sync)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON-lines file, none if it is missing; a torn last line is left out.

    Raises:
        UserError: another line is not a JSON object.
    """
    rows = []
    for number, line in enumerate(finished_lines(path), 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # also where the bytes are no text
            row = None
        if not isinstance(row, dict):
            raise UserError(f"line {number} of {path} is not a JSON object; restore the file.")
        rows.append(row)
    return rows


def finished_lines(path: Path) -> list[bytes]:
    """Return the lines of a file, without newlines, none if it is missing; a torn one is left out.

    Raises:
        UserError: there are too many.
    """
    lines = path.read_bytes().split(b"\n")[:-1] if is_file(path) else []
    return checked_lines(lines, path)


def checked_lines(lines: list[bytes], path: Path) -> list[bytes]:
    """Return lines of a file, after checking how many and how long they are.

    Raises:
        UserError: there are too many, or one is too long.
    """
    longest = max(map(len, lines), default=0)
    if len(lines) > MOST_LINES or longest > LONGEST_LINE:
        raise UserError(
            f"{path} has {len(lines)} lines of up to {longest} bytes; it must have at most "
            f"{MOST_LINES} of {LONGEST_LINE}. Restore the file."
        )
    return lines


def cut_torn_line(path: Path) -> None:
    """Cut an append-only file back to its last newline: a kill can tear the line being written.

    Only for a file that nobody else is writing; a missing one is left so.
    """
    if not is_file(path):
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def checksummed(number: int, kind: str, content: Mapping[str, Any]) -> bytes:
    """Return line ``number`` with a fact of ``kind``, newline included."""
    text = json.dumps({"n": number, kind: content}, separators=(",", ":"), allow_nan=False)
    body = text[:-1].encode()
    return body + tail_of(body) + b"\n"


def tail_of(body: bytes) -> bytes:
    """Return how a line goes on behind its content: with the content's CRC-32."""
    return b',"crc":"%08x"}' % zlib.crc32(body)


def is_whole(line: bytes) -> bool:
    """Tell whether a line, without its newline, has the checksum of its content."""
    return line[-TAIL:] == tail_of(line[:-TAIL])


def whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a record, without newlines; a torn last one is left out.

    Raises:
        UserError: another line is damaged, or there is none. OSError: the file cannot be read.
    """
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        lines.append(rest)  # which the newline alone may be missing of, or more
    bad = [number for number, line in enumerate(lines) if not is_whole(line)]
    torn = bool(rest) or bad == [len(lines) - 1]
    kept = lines[:-1] if torn else lines
    damaged = [number for number in bad if number < len(kept)]
    if damaged or not kept:
        where = f"line {damaged[0] + 1} of {path}" if damaged else f"{path}"
        raise UserError(f"{where} is not as a search writes it; restore the file.")
    return checked_lines(kept, path)


def cut_to_whole_lines(path: Path) -> None:
    """Cut a record back to its last whole line; only for who holds the run.

    Raises:
        UserError: another line than the last is damaged.
    """
    size = sum(len(line) + 1 for line in whole_lines(path))
    if size < path.stat().st_size:
        with path.open("r+b") as file:
            file.truncate(size)
