"""Records that somebody changed, with the numbers and checksums of a whole one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.store.files.jsonl import checksummed

Lines = list[tuple[str, Any]]


def lines_of(record: Path) -> Lines:
    """Return the kinds and contents of a record's lines."""
    found = []
    for line in map(json.loads, record.read_text().splitlines()):
        (kind,) = line.keys() - {"n", "crc"}
        found.append((kind, line[kind]))
    return found


def forge(record: Path, change: Callable[[Lines], Lines]) -> None:
    """Write a record anew, with its lines changed."""
    lines = change(lines_of(record))
    record.write_bytes(b"".join(checksummed(n, *line) for n, line in enumerate(lines)))
