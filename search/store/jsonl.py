"""Files of JSON lines that grow by whole lines: appended to, read, and mended after a kill."""

import json
from pathlib import Path
from typing import Any

from spaces.errors import UserError
from trainer.files import append_whole


def append_line(path: Path, content: dict[str, Any]) -> None:
    """Append one JSON line and hand it to the operating system at once."""
    append_whole(path, json.dumps(content).encode() + b"\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON-lines file, none if it is missing; a torn last line is left out.

    Raises:
        UserError: another line is not a JSON object.
    """
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # also where the bytes are no text
            row = None
        if not isinstance(row, dict):
            raise UserError(f"line {number} of {path} is not a JSON object; restore the file.")
        rows.append(row)
    return rows


def cut_torn_line(path: Path) -> None:
    """Cut an append-only file back to its last newline: a kill can tear the line being written.

    Only for a file that nobody else is writing; a missing one is left so.
    """
    if not path.is_file():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
