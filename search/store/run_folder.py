"""Run folder: one object owns every path of it, and reads and writes its files.

Layout of ``runs/NAME/``::

    settings.json           what is searched, and the facts of the benchmark; written once
    attempts.jsonl          of each start: budget, resources, versions, hardware, revision; then, in
                            lines of their own, its cost and each trial's share of a device
    record.jsonl            the trials of every phase, a line for each fact: the record of truth
    trials/KEY.jsonl        every epoch of a trial, one line each (KEY.1.jsonl, KEY.2.jsonl, ... on
                            the second and further benchmarks of a joint search)
    trials/KEY.error.txt    the traceback of a failed trial
    trials/KEY.out.txt      what a function of the user's printed
    checkpoints/KEY/        of trials that are not finished
    best.json, best_weighting.py   the export (best_strategy.py of a strategy)
    report.html             the page that shows the run
    log.txt                 what people were told, and what the libraries had to say
    ray/                    scratch of Ray Tune; may be deleted whenever no search runs
    lock, lease.json        held by the search that writes here
"""

import contextlib
import difflib
import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from search.config.objective import BenchmarkObjective
from search.config.redaction import redacted
from search.stats.scoring import Curve
from search.store.attempts import Attempt, attempt_lines, read_attempts
from search.store.epochs import checked_curve, epochs_in
from search.store.files.containment import check_contained
from search.store.files.jsonl import append_line, cut_torn_line
from search.store.lease import Lease, held
from search.store.manifest import Manifest, read_manifest
from search.store.trials import Row
from spaces.errors import UserError
from spaces.parts.words import number_of
from trainer.files import is_file, is_folder, is_there, patiently, sync, write_atomic
from trainer.own.reports import REPORTS
from trainer.results import EpochResult
from trainer.user_files import named_path

SETTINGS = "settings.json"
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_name(name: str) -> None:
    """Raise UserError unless ``name`` can be the name of a folder on any system."""
    if not RUN_NAME.fullmatch(name):
        raise UserError(
            f"the run's name is {name!r}; use letters, digits, '.', '_' and '-', "
            "beginning with a letter or a digit."
        )


class RunFolderGoneError(OSError):
    """The folder of a run was deleted or moved while its search runs."""


def part_key(key: str, part: int) -> str:
    """Return the name of a trial's part: what it trains on one benchmark of several."""
    return f"{key}.{part}" if part else key


class RunFolder:
    """The folder of one run; creating the object touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = named_path(path)
        check_name(self.path.name or str(path))
        self.settings = self.path / SETTINGS
        self.attempts = self.path / "attempts.jsonl"
        self.record = self.path / "record.jsonl"
        self.trials = self.path / "trials"
        self.checkpoints = self.path / "checkpoints"
        self.log = self.path / "log.txt"
        self.ray = self.path / "ray"
        self.report = self.path / "report.html"
        self.lease: Lease | None = None

    @classmethod
    def named(cls, runs: Path, name: str) -> "RunFolder":
        """Return the folder of run ``name``, which lies directly in ``runs``.

        Raises:
            UserError: the name is not one plain file name.
        """
        check_name(name)
        return cls(runs / name)

    def exists(self) -> bool:
        """Return whether there is a run.

        Raises:
            UserError: the folder is closed to this account.
        """
        try:
            return is_file(self.settings)
        except PermissionError as error:
            raise UserError(
                f"the run folder {self.path} is closed to this account ({error.strerror}); whoever "
                "it belongs to can open it."
            ) from error

    def create(self) -> None:
        """Make the folders.

        Raises:
            UserError: the place cannot be written to, or what is there leads elsewhere.
        """
        if is_folder(self.path):
            check_contained(self.path)
        try:
            for folder in (self.trials, self.checkpoints, self.ray):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"the run folder {self.path} cannot be made: {error}") from error

    @contextlib.contextmanager
    def locked(self, say: Callable[[str], None] = print) -> Iterator[None]:
        """Hold the run for this process; ``say`` tells a person what is waited for.

        Raises:
            UserError: another process holds it.
        """
        with held(self.path, say) as self.lease:
            try:
                yield
            finally:
                self.lease = None

    def may_write(self) -> None:
        """Raise an error if nothing must be written to the run any more.

        Raises:
            RunFolderGoneError: it is not where it was.
            LeaseLostError: another process has taken the run over from this one.
        """
        if self.lease:
            self.check_there()
            self.lease.check()

    def check_there(self) -> None:
        """Raise RunFolderGoneError unless the folders are where ``create`` made them."""
        if not patiently(partial(is_folder, self.trials), self.trials, "read"):  # Tune makes others
            raise RunFolderGoneError(
                f"the run folder {self.path} was deleted or moved while its search ran; put it "
                "back first"
            )

    def write_manifest(self, manifest: Manifest) -> None:
        self.may_write()
        write_atomic(self.settings, json.dumps(manifest.to_dict(), indent=1).encode())

    def read_manifest(self) -> Manifest:
        """Return what settings.json holds, after checking that the folder is safe to be worked in.

        Raises:
            UserError: there is no such run, or the file breaks a rule.
        """
        if not self.exists() and is_there(self.record):
            raise UserError(
                f"{self.path} holds the record of a run but no {self.settings.name}; restore that "
                "file, or search again."
            )
        if not self.exists():
            raise UserError(f"there is no run at {self.path}{other_runs(self.path)}.")
        check_contained(self.path)
        return read_manifest(self.settings)

    def read_attempts(self) -> list[Attempt]:
        """Return all starts, the first one first.

        Raises:
            UserError: none is on record, or one breaks a rule.
        """
        return read_attempts(self.attempts)

    def begin_attempt(self, facts: dict[str, Any]) -> int:
        """Write a line about this start, without passwords, and return its number, from 1."""
        cut_torn_line(self.attempts)
        number = len(attempt_lines(self.attempts)) + 1
        self.add_to_attempt(number, facts)
        return number

    def add_to_attempt(self, number: int, facts: dict[str, Any]) -> None:
        """Write a line about a start, without passwords."""
        self.may_write()
        append_line(self.attempts, redacted({"attempt": number, **facts}), sync=True)

    def make_proof(self, attempt: int) -> Path:
        """Make a file by whose name, which was never there before, workers know this folder."""
        self.ray.mkdir(exist_ok=True)
        proof = self.ray / f"attempt-{attempt}-{secrets.token_hex(8)}"
        proof.touch()
        return proof

    def append_epoch(self, key: str, result: EpochResult) -> None:
        self.may_write()
        append_line(self.epochs_file(key), result.to_dict())

    def sync_epochs(self, key: str) -> None:
        """Make the recorded epochs of trial part ``key`` survive a power cut."""
        for path in (self.epochs_file(key), self.trials):
            patiently(partial(sync, path), path)

    def epochs_file(self, key: str) -> Path:
        return self.trials / f"{key}.jsonl"

    def reopen_epochs(self, key: str, benchmark: BenchmarkObjective) -> list[EpochResult]:
        """Return the recorded epochs of trial part ``key``, to continue them.

        A torn last line is cut off, so only the search that holds the run may call this.

        Raises:
            UserError: as ``read_part``.
        """
        cut_torn_line(self.epochs_file(key))
        return self.read_part(key, benchmark)

    def read_part(self, key: str, benchmark: BenchmarkObjective) -> list[EpochResult]:
        """Return the recorded epochs of trial part ``key``, which trained on ``benchmark``.

        Raises:
            UserError: as ``read_epochs``, or they are not of this benchmark.
        """
        results = self.read_epochs(key)
        if results:
            checked_curve(self.epochs_file(key), results, benchmark)
        return results

    def read_curve(self, row: Row, part: int, benchmark: BenchmarkObjective) -> Curve:
        """Return the evaluated images by epoch of part of a trial that has ended well.

        Raises:
            UserError: as ``read_part``, or they are not those of which the record has a summary.
        """
        key = part_key(row.key, part)
        results, epochs = self.read_epochs(key), row.summaries[part].epochs
        if len(results) != epochs:
            raise UserError(
                f"{self.epochs_file(key)} has {number_of(len(results), 'epoch')}, and the "
                f"record says {epochs}; restore the file."
            )
        return checked_curve(self.epochs_file(key), results, benchmark)

    def read_epochs(self, key: str) -> list[EpochResult]:
        """Return the recorded epochs of trial part ``key``, 1 to n without a gap.

        Raises:
            UserError: a line is no epoch's result, or not the next one's.
        """
        return epochs_in(self.epochs_file(key))

    def write_error(self, key: str, text: str) -> None:
        self.may_write()
        write_atomic(self.trials / f"{key}.error.txt", text.encode())

    def checkpoint_folder(self, key: str) -> Path:
        return self.checkpoints / key

    def saved_epoch(self, key: str) -> int | None:
        """Return the epoch of the newest checkpoint of trial part ``key``, 0 without one.

        None where a function of the user's keeps its own.
        """
        if patiently(partial(is_there, self.checkpoint_folder(key) / REPORTS), self.path, "read"):
            return None
        from trainer.execution.checkpoint import last_saved_epoch  # torch, slow to import

        return last_saved_epoch(self.checkpoint_folder(key))

    def drop_scratch(self) -> None:
        """Delete Ray Tune's scratch, unless the run is gone or another process's by now."""
        with contextlib.suppress(OSError):
            self.may_write()
            shutil.rmtree(self.ray, ignore_errors=True)

    def drop_checkpoints(self, key: str) -> None:
        """Delete the checkpoints of all parts of a trial."""
        for folder in (self.checkpoint_folder(key), *self.checkpoints.glob(f"{key}.*")):
            shutil.rmtree(folder, ignore_errors=True)


def other_runs(path: Path) -> str:
    """Say which run may be meant by a path that is none: around it, in it, or in ``runs``."""
    if is_file(path.parent / SETTINGS):
        return f" (did you mean {str(path.parent)!r}?)"
    if inside := sorted(found.parent.name for found in path.glob(f"*/{SETTINGS}")):
        return f", but there are some in it: {', '.join(inside)}"
    places = (path.parent, Path("runs"))
    known = {f.parent.name: f.parent for place in places for f in place.glob(f"*/{SETTINGS}")}
    close = difflib.get_close_matches(path.name, known, n=1)
    return f" (did you mean {str(known[close[0]])!r}?)" if close else "; give a run's own folder"
