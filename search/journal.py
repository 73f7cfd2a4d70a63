"""How Optuna's log is written into a run folder: whole lines, by the one process that holds it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from trainer.files import append_whole


def anybody() -> None:
    """Let any process write: for a run that nobody else can know of."""


class RunJournal(JournalFileBackend):
    """Optuna's file of JSON lines without its lock, which a killed writer would leave behind.

    The lease of the run (``search.lease``) has one writer at a time; ``may_write`` raises where
    this process is no longer it.
    """

    def __init__(self, path: Path, may_write: Callable[[], None] = anybody) -> None:
        super().__init__(str(path))
        self.path, self.may_write = path, may_write

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.may_write()
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        append_whole(self.path, "".join(lines).encode(), sync=True)
