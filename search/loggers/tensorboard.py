"""Logger for TensorBoard: a folder of event files for each trial, in the run folder."""

from __future__ import annotations

import os
import platform
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c
from tensorboardX.summary import scalar, text

from search.loggers.logger import LoggedTrial, Value, metrics_of
from search.store.run_folder import RunFolder
from trainer.files import append_whole
from trainer.results import EpochResult

VERSION = "brain.Event:2"
"""In the first event of every file."""


class TensorBoardLogger:
    """Writes scalars by epoch under ``RUN/tensorboard/TRIAL``.

    Not by tensorboardX's SummaryWriter, which gives events to a thread: once a write has failed
    there, every later call waits without end, and so does the end of the process. It is not told.

    Attributes:
        files: of trials that have not ended, by key.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.root: Path = folder.path / "tensorboard"
        self.files: dict[str, Path] = {}

    def _add(self, key: str, *summaries: Any, step: int = 0) -> None:
        """Append summaries to a trial's file, all of them or nothing."""
        now = time.time()
        events = [Event(wall_time=now, step=step, summary=summary) for summary in summaries]
        if key not in self.files:
            place = self.root / key
            for made in (self.root, place):  # and none above: a run that was deleted stays so
                made.mkdir(exist_ok=True)
            name = f"events.out.tfevents.{now:.0f}.{platform.node()}.{os.getpid()}"
            self.files[key] = place / name
            events.insert(0, Event(wall_time=now, file_version=VERSION))
        append_whole(self.files[key], b"".join(map(framed, events)))

    def epoch(self, trial: LoggedTrial, prefix: str, result: EpochResult) -> None:
        metrics = metrics_of(prefix, result)
        self._add(trial.key, *(scalar(*metric) for metric in metrics.items()), step=result.epoch)

    def ended(self, trial: LoggedTrial, state: str, summary: Mapping[str, float]) -> None:
        said = {"label": trial.label, **trial.parameters, "end": state, **summary}
        self._add(trial.key, text("trial", as_table(said)))
        del self.files[trial.key]

    def concluded(self, summary: Mapping[str, Value]) -> None:
        self._add("verdict", text("verdict", as_table(summary)))

    def close(self) -> None:
        """Nothing is left to write."""


def framed(event: Any) -> bytes:
    """Return an event as it is in a file: its length and itself, each with a checksum behind."""
    content = event.SerializeToString()
    parts = struct.pack("<Q", len(content)), content
    return b"".join(part + struct.pack("<I", masked_crc32c(part)) for part in parts)


def as_table(values: Mapping[str, Value]) -> str:
    """Return names and values as a table of Markdown."""
    rows = [f"| {name} | {str(value).replace('|', '/')} |" for name, value in values.items()]
    return "\n".join(["| | |", "|---|---|", *rows])
