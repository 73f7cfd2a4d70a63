"""A run that is followed from its folder, whoever writes to it: only what is new is read."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.config.objective import BenchmarkObjective
from search.report.event_lines import run_label
from search.report.page import report_html
from search.results.conclusion import ENDS, Conclusion
from search.store.earlier.journal import JOURNAL
from search.store.epochs import read_epoch
from search.store.lease import HolderView
from search.store.run_folder import RunFolder, part_key
from search.store.stored_run import parts_of, read_run
from search.store.trials import Row, TrialState
from search.store.validation import printable
from spaces.errors import UserError
from trainer.files import is_file, is_folder
from trainer.results import EpochResult
from trainer.user_files import named_path

POLL_SECONDS = 1.0
"""Between looks at the folder."""
PAGE_SECONDS = 3.0
"""At least, between two makings of a page that changes."""
PAGE_SHARE = 20
"""So many times as long as making the page took passes before it is made again."""
TAIL = 200_000
"""Bytes at the end of a file of epochs that are read first for its last line."""


Part = tuple[str, Row, BenchmarkObjective]
"""Key of a trial's part, its trial, and the benchmark that it trains on."""


@dataclass(frozen=True)
class TrialProgress:
    """How far one running trial is; of several benchmarks, on one of them."""

    label: str
    strategy: str
    epoch: int
    length: int
    score: float | None
    best: float | None


@dataclass(frozen=True)
class MadePage:
    """A page as it was made: of which version, and until when it is not made again."""

    version: int
    html: str
    stands_until: float


class FollowedRun:
    """The state of one run, kept up to date by ``look``; safe to be asked from several threads.

    Attributes:
        version: counts the changes of the record.
        progress: what is running, and what has ended, JSON-able.
    """

    def __init__(self, folder: RunFolder) -> None:
        """Read the run once, whole.

        Raises:
            UserError: it is no run, or its files are damaged.
        """
        self.folder = folder
        self._begun = self._settings()
        run = read_run(folder)
        self.manifest, self.record = run.manifest, run.record
        self.version = 1
        self.progress: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._holder = HolderView(folder.path)
        self._looked = 0.0
        self._page: MadePage | None = None
        self._epochs: dict[str, tuple[int, EpochResult | None]] = {}
        self.look()

    @property
    def name(self) -> str:
        return self.folder.path.name

    def look(self) -> dict[str, Any]:
        """Take what is new in the folder and return ``progress``; at most once in a while.

        Raises:
            UserError: the run was deleted, replaced by another, or damaged.
        """
        with self._lock:
            now = time.monotonic()
            if self.progress and now - self._looked < POLL_SECONDS:
                return self.progress
            self._looked, self.progress = now, {}  # after an error it is looked again at once
            try:
                if self._settings() != self._begun:
                    raise UserError(
                        f"{self.folder.path} is gone, or another run by now; load the page again."
                    )
                if self.record.follow():
                    self.version += 1
                self.progress = self._progress()
            except OSError as error:
                raise UserError(f"{self.folder.path} cannot be read any more ({error}).") from error
            return self.progress

    def _settings(self) -> tuple[int, int] | None:
        """What tells the run from another of its name: settings.json is written once."""
        with contextlib.suppress(FileNotFoundError):
            facts = self.folder.settings.stat()
            return facts.st_ino, facts.st_mtime_ns
        return None

    def page(self, live: str) -> str:
        """Return the report as it was when it was last worth making; ``live`` is its script."""
        with self._lock:
            self.look()
            if self._page and self._page.version == self.page_version():
                return self._page.html
            start = time.monotonic()
            html = report_html(Conclusion.of(self.folder, self.record), live)
            end = time.monotonic()
            self._page = MadePage(
                self.version, html, max(PAGE_SECONDS, PAGE_SHARE * (end - start)) + end
            )
            return html

    def page_version(self) -> int:
        """Return which version ``page`` would return now."""
        made = self._page
        return made.version if made and time.monotonic() < made.stands_until else self.version

    def _progress(self) -> dict[str, Any]:
        rows = self.record.rows()
        running = [row for row in rows if row.state == TrialState.RUNNING]
        parts = [part for row in running for part in self._parts(row)]
        ended = {ENDS[s]: sum(r.state == s for r in rows) for s in ENDS if s != TrialState.RUNNING}
        self._epochs = {k: v for k, v in self._epochs.items() if k in {key for key, _, _ in parts}}
        shown = [self._trial(*part) for part in parts]
        held = self._holder.is_held()
        return {
            "name": self.name,
            "benchmarks": [b.name for b in self.manifest.objective.all_benchmarks],
            "ended": ended,
            "unfinished": len(running),
            "held": held,
            "stands": self._standing(len(running), held),
            "running": [vars(trial) for trial in shown],
            "seconds_since": round(max(0.0, time.time() - self._last_change(parts))),
        }

    def _standing(self, unfinished: int, held: bool | None) -> str:
        """Say whether trials run, as far as it can be told, and how a stopped search goes on."""
        if not unfinished:
            return "nothing is running"
        if held is not False:
            return f"{'running' if held else 'unfinished'}: {unfinished}"
        own = self.manifest.benchmarks[0].own
        study = "search.Study(..., folder=...)"
        again = study if own and own.told else "the same command with --resume"
        return f"the search has stopped, unfinished: {unfinished}; {again} goes on"

    def _parts(self, row: Row) -> list[Part]:
        parts = enumerate(parts_of(self.manifest.objective, row.study))
        return [(part_key(row.key, part), row, benchmark) for part, benchmark in parts]

    def _last_change(self, parts: list[Part]) -> float:
        files = [self.folder.record, self.folder.path / JOURNAL]
        files += [self.folder.epochs_file(key) for key, _, _ in parts]
        return max((f.stat().st_mtime for f in files if is_file(f)), default=0.0)

    def _trial(self, key: str, row: Row, benchmark: BenchmarkObjective) -> TrialProgress:
        last, label = self._last_epoch(key), run_label(row.label, row.seed_index)
        several = len(parts_of(self.manifest.objective, row.study)) > 1
        return TrialProgress(
            label=f"{label} on {benchmark.name}" if several else label,
            strategy=row.strategy.describe(),
            epoch=last.epoch if last else 0,
            length=benchmark.epochs,
            score=last.score if last else None,
            best=last.best_score if last else None,
        )

    def _last_epoch(self, key: str) -> EpochResult | None:
        """The last whole line of a trial's epochs, read again only where the file has grown."""
        path = self.folder.epochs_file(key)
        size = path.stat().st_size if is_file(path) else 0
        known = self._epochs.get(key)
        if known and known[0] == size:
            return known[1]
        line = last_line(path, size)
        row = read_epoch(line, f"the last line of {path}") if line else None
        self._epochs[key] = (size, row)
        return row


def last_line(path: Path, size: int) -> bytes:
    """Return the last whole line of a file of so many bytes; nothing where it has none."""
    length = TAIL
    while size:
        with path.open("rb") as file:
            file.seek(max(0, size - length))
            lines = file.read().split(b"\n")[:-1]
        if len(lines) > 1 or length >= size:  # the first may be the end of a line
            return lines[-1] if lines else b""
        length *= 4
    return b""


class FollowedRuns:
    """The runs of a folder, or the one run that the folder is."""

    def __init__(self, path: Path) -> None:
        """Take a run's folder, or a folder of runs.

        Raises:
            UserError: there is no such folder.
        """
        self.path = named_path(path)
        if not is_folder(self.path):
            raise UserError(f"there is no folder {path}; give a run, or a folder of runs.")
        self.single = is_file(self.path / "settings.json")
        self._known: dict[str, FollowedRun] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Return the names of the runs, the latest begun first."""
        if self.single:
            return [self.path.name]
        found = [f for f in self.path.glob("*/settings.json") if f.is_file()]
        found.sort(key=lambda file: -file.stat().st_mtime)
        return [file.parent.name for file in found]

    def run(self, name: str) -> FollowedRun | None:
        """Return a run by its name; None if there is none.

        Raises:
            UserError: its files are damaged.
        """
        if name not in self.names():
            return None
        known = self._known.get(name)
        if known:
            with contextlib.suppress(UserError):  # deleted, replaced or mended: it is read anew
                known.look()
                return known
        with self._lock:
            if self._known.get(name) is known:
                folder = self.path if self.single else self.path / name
                self._known[name] = FollowedRun(RunFolder(folder))
            return self._known[name]

    def listed(self) -> list[dict[str, Any]]:
        """Return how every run stands, or why it cannot be told."""
        rows = []
        for name in self.names():
            try:
                run = self.run(name)
                rows.append(run.look() if run else {"name": name, "error": "it is gone"})
            except UserError as error:
                rows.append({"name": printable(name), "error": printable(str(error))})
        return rows
