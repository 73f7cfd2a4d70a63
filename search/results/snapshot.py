"""A snapshot of a search that runs: its trials, its best and the time left, JSON-able."""

import time
from dataclasses import dataclass
from typing import Any

from search.config.objective import Objective
from search.results.conclusion import ENDS, Incumbent, incumbent
from search.results.forecast import seconds_left, trials_in_all
from search.session.running import Running
from search.session.search import Search
from search.store.stored_run import parts_of
from search.store.trials import Row

RUNNING = "running"


@dataclass(frozen=True)
class TrialSnapshot:
    """A trial of a search, or a run of a later phase.

    Attributes:
        seed_index: in a later phase, the index of the training seed that its arms share.
        weighting: in symbols.
        state: ``RUNNING``, or one of ``ENDS``.
        epochs: on record, of all parts.
        length: epochs of the whole trial, of all parts.
        batches: done of its epoch in progress, and how many that has, if known.
        scores: of the last epoch of each part that has one, percent; none once it has ended.
        best_scores: of each part that has one, percent.
    """

    key: str
    label: str
    seed_index: int | None
    weighting: str
    state: str
    epochs: int
    length: int
    batches: tuple[int, int] | None
    scores: tuple[float, ...]
    best_scores: tuple[float, ...]


@dataclass(frozen=True)
class Snapshot:
    """A search as it stands.

    Attributes:
        trials: that it has at most, the hold-out's included; None without a limit.
        best: of the search's own trials; None before a full-length one.
        elapsed: seconds since its trials began in this attempt.
        seconds_left: estimated; None while nothing is known.
    """

    objective: Objective
    trials: int | None
    ended: tuple[TrialSnapshot, ...]
    running: tuple[TrialSnapshot, ...]
    best: Incumbent | None
    elapsed: float
    seconds_left: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "benchmarks": [benchmark.name for benchmark in self.objective.all_benchmarks],
            "budget": self.trials,
            "trials": [dict(vars(trial)) for trial in (*self.ended, *self.running)],
            "best": self.best and self.best.to_dict(),
            "elapsed": self.elapsed,
            "seconds_left": self.seconds_left,
        }


class Snapshots:
    """Takes snapshots of a search; an ended trial is looked at once."""

    def __init__(self, search: Search) -> None:
        self.search, self.started = search, time.monotonic()
        self.ended: list[TrialSnapshot] = []

    def take(self) -> Snapshot:
        """Return the search as it stands now."""
        search, elapsed = self.search, time.monotonic() - self.started
        new = search.ended[len(self.ended) :]
        self.ended += [ended_trial(row, search.objective) for row in new]
        return Snapshot(
            objective=search.objective,
            trials=trials_in_all(search),
            ended=tuple(self.ended),
            running=tuple(map(running_trial, search.running.values())),
            best=incumbent(search.standings),
            elapsed=elapsed,
            seconds_left=seconds_left(search, elapsed),
        )


def ended_trial(row: Row, objective: Objective) -> TrialSnapshot:
    """Return the snapshot of a trial that has ended."""
    return TrialSnapshot(
        key=row.key,
        label=row.label,
        seed_index=row.seed_index,
        weighting=row.strategy.describe(),
        state=ENDS[row.state],
        epochs=sum(summary.epochs for summary in row.summaries),
        length=sum(benchmark.epochs for benchmark in parts_of(objective, row.study)),
        batches=None,
        scores=(),
        best_scores=tuple(summary.best_score for summary in row.summaries),
    )


def running_trial(trial: Running) -> TrialSnapshot:
    """Return the snapshot of a running trial."""
    row, last = trial.row, [part[-1] for part in trial.results if part]
    return TrialSnapshot(
        key=row.key,
        label=row.label,
        seed_index=row.seed_index,
        weighting=row.strategy.describe(),
        state=RUNNING,
        epochs=trial.epochs,
        length=trial.length,
        batches=trial.within and trial.within[1:],
        scores=tuple(result.score for result in last),
        best_scores=tuple(result.best_score for result in last),
    )
