"""A running trial, as the driver knows it: its epochs, rungs and last report."""

from dataclasses import dataclass, field
from typing import Any

from search.config.objective import BenchmarkObjective, Objective, Stages
from search.store.trials import HOLDOUT, Row
from trainer.results import EpochResult, summary


@dataclass
class Running:
    """A trial that was handed out and has not ended.

    Attributes:
        benchmarks: what its parts train on.
        stages: epochs that its parts reach at each rung and at the end.
        results: its recorded epochs by part, 1 to n.
        passed: how many rungs have judged it.
        stop: early stopping has ended it.
        losses: of its worker, since its last epoch.
        before: wall seconds and device-hours of its epochs of earlier attempts.
        last_report: as it was sent.
        within: of its epoch in progress, if known: the part, batches done, of how many.
        reported: when it first and last did so in this attempt, seconds of the monotonic clock,
            and its progress then.
        hardware: model name of the GPU or CPU that trained its last epoch, if known.
    """

    row: Row
    benchmarks: tuple[BenchmarkObjective, ...]
    stages: Stages
    results: list[list[EpochResult]] = field(default_factory=list)
    passed: int = 0
    stop: bool = False
    losses: int = 0
    before: tuple[float, float] = (0.0, 0.0)
    hardware: str | None = None
    last_report: str | None = None
    within: tuple[int, int, int] | None = None
    reported: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.results = self.results or [[] for _ in self.benchmarks]

    @classmethod
    def of(cls, row: Row, objective: Objective, rungs: tuple[int, ...]) -> "Running":
        """Return a trial without epochs; ``rungs`` are those of the search, by early stopping."""
        if row.study == HOLDOUT:
            assert objective.holdout is not None
            return cls(row, (objective.holdout,), ((objective.holdout.epochs,),))
        return cls(row, objective.benchmarks, objective.stages(rungs if row.in_search else ()))

    def reached(self, stage: int) -> bool:
        """Whether every part has come to the end of a stage."""
        ends = self.stages[stage]
        return all(len(part) >= end for part, end in zip(self.results, ends, strict=True))

    def scores(self, stage: int) -> list[float]:
        """Return the best score of each part by the end of a stage, percent."""
        ends = self.stages[stage]
        return [part[end - 1].best_score for part, end in zip(self.results, ends, strict=True)]

    def summaries(self) -> list[dict[str, Any]]:
        """Return ``trainer.results.summary`` of each part."""
        return [
            summary(
                part,
                benchmark.counts,
                benchmark.half_counts,
                benchmark.test_held_out,
                benchmark.metric,
            )
            for part, benchmark in zip(self.results, self.benchmarks, strict=True)
        ]

    @property
    def epochs(self) -> int:
        """Epochs on record, of all parts."""
        return sum(map(len, self.results))

    @property
    def progress(self) -> float:
        """Epochs of all parts, the part of the one in progress included."""
        return self.epochs + (self.within[1] / self.within[2] if self.within else 0.0)

    def note_progress(self, now: float) -> None:
        """Keep when it reported, seconds of the monotonic clock."""
        self.reported = [*self.reported[:1], (now, self.progress)]

    @property
    def pace(self) -> float:
        """Epochs a second between its first and its last report, 0 before there are two."""
        if not self.reported:
            return 0.0
        (begin, before), (end, now) = self.reported[0], self.reported[-1]
        return max(0.0, now - before) / (end - begin) if end > begin else 0.0

    @property
    def length(self) -> int:
        """Epochs of the whole trial, of all parts."""
        return sum(self.stages[-1])

    @property
    def seconds(self) -> float:
        """Wall time of the epochs on record."""
        return sum(result.seconds for part in self.results for result in part)
