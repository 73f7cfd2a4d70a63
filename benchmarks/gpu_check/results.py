"""File of results: JSON lines, each on disk before the next step begins."""

import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks.throughput.arms import Arm
from spaces.parts.words import number_of

FILE = "results.jsonl"

Row = dict[str, Any]


class Results:
    """Appends rows; several stages may write to the same file."""

    def __init__(self, path: Path, stage: str) -> None:
        self.path, self.stage = path, stage

    def put(self, **fields: Any) -> None:
        line = json.dumps({"stage": self.stage, "time": round(time.time(), 1)} | fields) + "\n"
        with self.path.open("a") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


class Reader:
    """Reads the rows of a file that grows."""

    def __init__(self, path: Path) -> None:
        self.path, self.position = path, path.stat().st_size if path.exists() else 0

    def new_rows(self) -> list[Row]:
        """Return the whole rows since the last call, or since the reader was made."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.position)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self.position += len(whole)
        return rows_of(whole)


def rows_of(content: bytes) -> list[Row]:
    """Return the rows of whole lines; one that a kill tore is left out."""
    rows = []
    for line in content.splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def brief(row: Row, width: int) -> str:
    """Return a row in one line of at most ``width`` characters."""
    if "check" in row:
        found = "ok" if row["ok"] else f"FAILED: {row['found']}"
        text = f"{row['check']}: {found} ({row['seconds']:g} s)"
    elif "arm" in row:
        text = f"{label_of(row)}: {row['seconds_per_trial']:.4g} s per trial, segment "
        text += f"{row['segment']} of {number_of(row['epochs'], 'epoch')}"
    elif "story" in row:
        story = row["story"]
        cpus, torch = number_of(story["cpus"], "CPU"), story["versions"]["torch"]
        text = f"{story['hardware']}, {cpus}, torch {torch}"
    elif "kernels" in row:
        most = [f"{us:.0f} us {times:g}x {name[:40]}" for us, times, name in row["costliest"][:6]]
        text = f"{row['step']}: {row['kernels']} kernels, {row['microseconds']} us; "
        text += "; ".join(most)
    else:
        hidden = ("stage", "time")
        text = "  ".join(f"{name} {told(row[name])}" for name in row if name not in hidden)
    return text if len(text) <= width else text[: width - 3] + "..."


def label_of(row: Row) -> str:
    """Return the name of what a row of seconds per trial is about."""
    label = Arm(**row["arm"]).label
    return label if row["variant"] in ("none", "fast") else f"{label} {row['variant']}"


def told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    return value if isinstance(value, str) else json.dumps(value)
