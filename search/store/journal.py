"""Journal of Optuna in a run folder: whole lines, written by the one process that holds the run."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from trainer.files import append_whole, keep, size_of


def anybody() -> None:
    """Let any process write: for a run that nobody else can know of."""


class RunJournal(JournalFileBackend):
    """Optuna's file of JSON lines without its lock, which a killed writer would leave behind.

    The lease of the run (``search.store.lease``) has one writer at a time; ``may_write`` raises
    where this process is no longer it.
    """

    def __init__(self, path: Path, may_write: Callable[[], None] = anybody) -> None:
        super().__init__(str(path))
        self.path, self.may_write = path, may_write
        self.unsynced: bytes | None = None
        """What the block of ``together`` has written; None outside of one."""

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Wait for the disk once, at the end of the block, and not at each of its writes.

        A power cut before the end may take them back: nothing outside may follow from them yet.
        Blocks may lie in one another; the outermost waits.
        """
        if self.unsynced is not None:
            yield
            return
        start, self.unsynced = size_of(self.path), b""
        try:
            yield
            written = self.unsynced
        finally:
            self.unsynced = None
        if written:
            self.may_write()
            keep(self.path, written, start)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.may_write()
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        data = "".join(lines).encode()
        append_whole(self.path, data, sync=self.unsynced is None)
        if self.unsynced is not None:
            self.unsynced += data
