"""Record of all trials, record.jsonl: the record of truth, one line for each fact.

``baselines`` holds the named strategies that run as controls, ``named`` the others that the space
names, and ``proposals`` the sampler's trials. They are separate studies because a named strategy
need not be a point of the searched space, and a sampler must not be shown trials that lack its
parameters. ``confirmation`` holds the runs of the best strategies and the controls with fresh
seeds, and ``holdout`` those on a benchmark that the search never saw.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search.store.earlier.journal import JOURNAL, carry_over, earlier_lines
from search.store.facts import Drawn, EndWord, Fact, PriorRun, fact_of
from search.store.files.jsonl import checksummed, cut_to_whole_lines, is_whole, whole_lines
from search.store.plan import ConfirmationPlan
from search.store.run_state import RunState
from search.store.trials import (
    BASELINES,
    NAMED_FIRST,
    PROPOSALS,
    FreshRun,
    Row,
    trial_key,
    trial_seed,
)
from spaces import STRATEGIES, Strategy
from spaces.errors import UserError
from trainer.files import append_whole, is_file, is_there, write_atomic

Facts = Sequence[tuple[str, Mapping[str, Any]]]
"""Kinds of facts, each with the content of its line."""
Refusals = Sequence[tuple[Drawn, str]]
"""Draws that the guards refused, and why."""


def anybody() -> None:
    """Let any process write: for a run that nobody else can know of."""


def lines_of(path: Path) -> tuple[list[bytes], str]:
    """Return the lines of a record, without newlines, and what they are called in sentences.

    Where there is none, they are made of the journal of an earlier version, if that is there.
    """
    journal = path.with_name(JOURNAL)
    if is_there(path) or not is_file(journal):
        return whole_lines(path), str(path)
    return earlier_lines(journal), f"the facts in {journal}"


class Record(RunState):
    """The record of one run, and what it says. Only one process may write to it at a time.

    Attributes:
        source: what its lines are called in sentences.
    """

    def __init__(self, path: Path, may_write: Callable[[], None] = anybody) -> None:
        """Read the record in ``path``, which must exist; a torn last line is overlooked.

        ``may_write`` raises an error once another process writes to it.

        Raises:
            UserError: the file cannot be read, is damaged, or is not the record of a search.
        """
        super().__init__()
        self.path, self.may_write = path, may_write
        self.end: int | None = None  # in bytes, where the last write failed
        try:
            lines, self.source = lines_of(path)
            for number, line in enumerate(lines):
                self._take(fact_of(line, number, self.source))
            self.bytes = sum(len(line) + 1 for line in lines)
        except OSError as error:
            raise UserError(
                f"{path} cannot be read as the record of a search ({error}); "
                "restore it, or search under another --name."
            ) from error

    @classmethod
    def create(
        cls,
        path: Path,
        baselines: Iterable[str],
        seed: int,
        may_write: Callable[[], None] = anybody,
        named: Iterable[str] = (),
        prior: Iterable[PriorRun] = (),
    ) -> "Record":
        """Make the record, with named strategies waiting in line; ``seed`` is the run's."""
        content = {"seed": seed, "controls": list(map(waiting, baselines))}
        others = list(map(waiting, named))
        may_write()
        content |= {"named": others} if others else {}
        earlier = list(map(asdict, prior))
        content |= {"prior": earlier} if earlier else {}
        write_atomic(path, checksummed(0, "begun", content))
        return cls(path, may_write)

    @classmethod
    def reopen(cls, path: Path, may_write: Callable[[], None] = anybody) -> "Record":
        """Open for writing after a stop of any kind.

        A torn last line is cut off: the caller holds the run, so nobody else writes.

        Raises:
            UserError: the file is missing, damaged, or not the record of a search.
        """
        may_write()
        if is_file(path):
            cut_to_whole_lines(path)
        else:
            carry_over(path)
        return cls(path, may_write)

    def follow(self) -> bool:
        """Take what another process has put on record since, and tell whether there was anything.

        Raises:
            UserError: the file is gone, or damaged.
        """
        if is_file(self.path.with_name(JOURNAL)) and not is_there(self.path):
            return False  # of an earlier version, which nobody continues before it is carried over
        try:
            with self.path.open("rb") as file:
                file.seek(self.bytes)
                *lines, _ = file.read().split(b"\n")
        except OSError as error:
            raise UserError(f"{self.path} cannot be read any more ({error}).") from error
        for line in lines:
            if not is_whole(line):
                raise UserError(f"line {self.lines + 1} of {self.path} is damaged; restore it.")
            self._take(fact_of(line, self.lines, self.path))
            self.bytes += len(line) + 1
        return bool(lines)

    def write(self, *new: tuple[str, Mapping[str, Any]]) -> None:
        """Put facts on record, all of them or none, with one wait for the disk.

        Raises:
            UserError: a fact breaks a rule. OSError: they cannot be written.
        """
        lines = [checksummed(self.lines + i, *fact) for i, fact in enumerate(new)]
        read = [fact_of(line[:-1], self.lines + i, self.path) for i, line in enumerate(lines)]
        for fact in read:
            self.check(fact, f"what is to be written to {self.path}")
        self.may_write()
        end, self.end = self.end, self.bytes  # what a failed write leaves behind it is cut off
        append_whole(self.path, b"".join(lines), sync=True, size=end)
        self.end = None
        self.bytes += sum(map(len, lines))
        for fact in read:
            self._take(fact)

    def _take(self, fact: Fact) -> None:
        self.take(fact, f"line {self.lines + 1} of {self.path}")

    def next_named(self, seed: int | None = None) -> Row | None:
        """Start the next strategy that waits in line, controls first; None if all were taken.

        ``seed`` is that of its training; of its own where it is None.
        """
        assert self.begun is not None
        for study, line in ((BASELINES, self.begun.controls), (NAMED_FIRST, self.begun.named)):
            number = len(self.trials[study])
            if number < len(line):
                of_training = trial_seed(self.begun.seed, study, number) if seed is None else seed
                return self._start(study, vars(line[number]) | {"seed": of_training})
        return None

    def start(
        self, strategy: Strategy, drawn: Drawn, refused: Refusals = (), seed: int | None = None
    ) -> Row:
        """Start a proposal; ``refused`` are the draws before it, ``seed`` is as in ``next_named``.

        From here on it counts as a trial of the search.
        """
        assert self.begun is not None
        before = self._refusals(refused)
        number = len(self.trials[PROPOSALS]) + len(before)
        if seed is None:
            seed = trial_seed(self.begun.seed, PROPOSALS, number)
        content = {"weighting": strategy.to_dict(), "seed": seed, "drawn": content_of(drawn)}
        return self._start(PROPOSALS, content, before)

    def refuse(self, refused: Refusals) -> None:
        """Note draws that were refused."""
        self.write(*self._refusals(refused))

    def _refusals(self, refused: Refusals) -> Facts:
        first = len(self.trials[PROPOSALS])
        return [
            (
                "refused",
                {"trial": trial_key(PROPOSALS, n), "reason": why, "drawn": content_of(draw)},
            )
            for n, (draw, why) in enumerate(refused, first)
        ]

    def start_run(self, study: str, run: FreshRun) -> Row:
        """Begin a run of a later phase."""
        content = {"name": run.label, "weighting": run.strategy.to_dict(), "seed": run.seed}
        return self._start(study, content | {"seed_index": run.seed_index})

    def _start(self, study: str, content: dict[str, Any], before: Facts = ()) -> Row:
        key = trial_key(study, len(self.trials[study]) + len(before))
        self.write(*before, ("asked", {"trial": key} | content))
        return self.row(key)

    def set_plan(self, plan: ConfirmationPlan) -> None:
        self.write(("plan", plan.to_dict()))

    def report(self, key: str, epoch: int, score: float, stop: bool = False) -> None:
        """Store a trial's score so far at a rung; repeating it changes nothing.

        ``stop``: early stopping ends the trial there. A rung judges a trial once, so that whoever
        continues the run cannot find out again.
        """
        if epoch not in self.trial(key).rungs:
            content = {"trial": key, "epoch": epoch, "score": score}
            self.write(("rung", content | ({"stop": True} if stop else {})))

    def tell(self, key: str, state: EndWord, **facts: Any) -> None:
        """End a running trial; ``facts`` are the rest of ``Ended``, as far as it is known."""
        content = {"trial": key, "state": state}
        self.write(("ended", content | {k: v for k, v in facts.items() if v is not None}))


def content_of(drawn: Drawn) -> dict[str, Any]:
    """Return what a line says of a draw."""
    content = asdict(drawn)
    return {name: part for name, part in content.items() if part or name == "params"}


def waiting(name: str) -> dict[str, Any]:
    """Return what the first line says of a named strategy that waits in line."""
    return {"name": name, "weighting": STRATEGIES[name].strategy.to_dict()}
