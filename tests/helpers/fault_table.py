"""The table of faults in the documentation, made from what the tests of the faults saw.

python -m pytest -m "slow or not slow" -k "fault or servers" --faults faults.jsonl tests
python tests/helpers/fault_table.py faults.jsonl docs/faults.md
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

FAULTS = (
    "a worker is killed",
    "a node is lost",
    "a preemption notice",
    "the driver is killed",
    "the head is lost",
    "Ray's head is killed, on its own (gcs)",
    "Ray's server on the driver's machine is killed (raylet)",
    "Ctrl-C, at any moment",
    "SIGTERM to all processes of a search at once",
    "the disk is full",
    "the storage is away for a while",
    "the run folder is moved away or deleted",
    "a checkpoint is truncated",
    "the record's last line is torn",
    "the weights make the loss diverge",
    "the GPU's memory is full",
    "the same run is started twice",
    "the clocks of the nodes differ",
)
"""In the order of the table."""
HEADS = ("fault", "what is seen", "what on record is repeated", "what is kept")
BEGIN, END = "<!-- faults: made by tests/helpers/fault_table.py -->\n", "<!-- end of faults -->\n"

Tell = Callable[[str, str, str, str], None]
"""Called with the fault, what was seen on the screen, what was repeated and what was kept."""


def table(rows: list[dict[str, str]]) -> str:
    """Return the table; of several rows about a fault the last counts.

    Raises:
        ValueError: a fault has no row, or a row is about none of the faults.
    """
    found = {row["fault"]: row for row in rows}
    if set(found) != set(FAULTS):
        raise ValueError(f"these faults have no row, or no place: {set(found) ^ set(FAULTS)}")
    lines = [
        [found[fault][head] for head in ("fault", "seen", "repeated", "kept")] for fault in FAULTS
    ]
    cells = [HEADS, ("---",) * len(HEADS), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def put(document: str, rows: list[dict[str, str]]) -> str:
    """Return a document with the table between its marks."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}{table(rows)}{END}", document)


def main(rows: str, document: str) -> None:
    lines = [json.loads(line) for line in Path(rows).read_text().splitlines()]
    Path(document).write_text(put(Path(document).read_text(), lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
