"""JSON documents of a run folder, read, walked through and written with strange values in them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from search.store.files.jsonl import tail_of

Place: TypeAlias = tuple[str | int, ...]

CANARY = "canary"
"""The file that whatever is executed would make in the working directory."""
_DEEP, _NAN, _INFINITY, _HUGE = "@deep@", "@nan@", "@infinity@", "@huge@"
_RAW = {
    f'"{_DEEP}"': "[" * 20_000 + "]" * 20_000,
    f'"{_NAN}"': "NaN",
    f'"{_INFINITY}"': "-Infinity",
    f'"{_HUGE}"': "9" * 5_000,
}
"""What stands in JSON for a mark that Python's writer cannot write."""
NUMBERS = (
    *(0, 1, -1, 2, 3, 60, 1000, 10**6, 10**9, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**64, 10**30),
    *(0.5, 1.5, -0.0, 100.0, 100.1, 1e-300, 5e-324, 1e-9, 1e9, 1e100, 1e300, 1.7e308, -1e300),
    *(_NAN, _INFINITY, _HUGE),
)
TEXTS = (
    "",
    "x",
    "uniform",
    "#0",
    "#1",
    "cma:optimizer:0",
    "../../elsewhere/file",
    "/etc/passwd",
    "\x1b]0;title\x07",
    "\u202e[bold]x[/red]",
    "\ud800",
    "a" * 100_000,
    f'"""\nopen("{CANARY}", "w")\n"""',
    f"\\\"\\\"\\\"\nopen('{CANARY}', 'w')\n'''",
    f"$(touch {CANARY})",
    f'c__builtin__\nexec\n(S\'open("{CANARY}", "w")\'\ntR.',
)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [0], {"x": 1}, [1] * 20_000, _DEEP)


def walk(content: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield a document and every value in it with where it is, the outer ones first."""
    yield place, content
    parts: Any = ()
    if isinstance(content, dict):
        parts = content.items()
    elif isinstance(content, list):
        parts = enumerate(content)
    for key, part in parts:
        yield from walk(part, (*place, key))


def at(content: Any, place: Place) -> Any:
    """Return the value at a place of a document."""
    for step in place:
        content = content[step]
    return content


def read(path: Path) -> list[Any]:
    """Return the JSON documents in a file: of each line, or the one; of the record, the facts."""
    try:
        text = path.read_bytes()
        lines = text.splitlines() if path.suffix in (".jsonl", ".journal") else [text]
        found = [json.loads(line) for line in lines]
    except (ValueError, OSError, RecursionError):
        return []
    if path.name == "record.jsonl":
        for line in found:
            if isinstance(line, dict):
                line.pop("n", None)
                line.pop("crc", None)
    return found


def write(path: Path, documents: list[Any]) -> None:
    """Write documents as ``read`` gave them; lines of the record get their numbers and seals."""
    written = []
    for number, document in enumerate(documents):
        if path.name == "record.jsonl" and isinstance(document, dict):
            body = _in_json({"n": number, **document})[:-1]
            written.append(body + tail_of(body))
        else:
            written.append(_in_json(document))
    if path.suffix in (".jsonl", ".journal"):
        written.append(b"")
    path.write_bytes(b"\n".join(written))


def _in_json(document: Any) -> bytes:
    text = json.dumps(document, separators=(",", ":"))
    for mark, raw in _RAW.items():
        text = text.replace(mark, raw)
    return text.encode()
