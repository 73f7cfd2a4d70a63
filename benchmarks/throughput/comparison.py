"""Comparison of a benchmark's arms: medians, spreads, ratios, shares of the floor.

Ratios are taken within a round and then summarized, because what disturbs a machine for minutes
disturbs neighbours alike.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.throughput.arms import Arm
from benchmarks.throughput.floors import Ceilings, Floor, Work, floor_of
from trainer.benchmarks import Benchmark


@dataclass(frozen=True)
class Segment:
    """What an arm did in one round.

    Attributes:
        images_per_second: trained on, by all trials side by side, tests included in the time.
        seconds_per_trial: for the whole protocol, shared among the trials side by side.
        processes: seconds, train_images and test_images of each process.
    """

    images_per_second: float
    seconds_per_trial: float
    processes: list[dict[str, Any]]

    @classmethod
    def of(cls, answers: list[dict[str, Any]], benchmark: Benchmark) -> "Segment":
        speed = sum(answer["train_images"] / answer["seconds"] for answer in answers)
        names = ("seconds", "train_images", "test_images")
        processes = [{name: answer[name] for name in names} for answer in answers]
        return cls(speed, benchmark.train_images * benchmark.epochs / speed, processes)


@dataclass(frozen=True)
class Spread:
    """A few numbers: how many, and where they lie."""

    n: int
    median: float
    low: float
    lower_quartile: float
    upper_quartile: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread | None":
        if not values:
            return None
        low, lower, median, upper, high = np.percentile(values, (0, 25, 50, 75, 100)).tolist()
        return cls(len(values), median, low, lower, upper, high)


@dataclass
class Outcome:
    """An arm's segments so far, by round, or why there are no more.

    Attributes:
        memory: peak GPU memory in bytes, in tensors and held from the driver; empty on the CPU.
        epochs: of every trial in a segment.
    """

    arm: Arm
    failure: str | None = None
    warnings: list[str] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    epochs: int = 0
    segments: dict[int, Segment] = field(default_factory=dict)

    def seconds_per_trial(self) -> Spread | None:
        return Spread.of([segment.seconds_per_trial for segment in self.segments.values()])

    def images_per_second(self) -> Spread | None:
        return Spread.of([segment.images_per_second for segment in self.segments.values()])

    def speedup(self, other: "Outcome") -> Spread | None:
        """Return how many times faster this is than ``other``, over the rounds of both."""
        rounds = [r for r in self.segments if r in other.segments]
        return Spread.of(
            [
                other.segments[r].seconds_per_trial / self.segments[r].seconds_per_trial
                for r in rounds
            ]
        )


@dataclass
class Comparison:
    """The arms of one benchmark.

    Attributes:
        note: what a segment holds, in words.
        ceilings: None where they could not be measured.
    """

    benchmark: Benchmark
    note: str
    work: Work
    ceilings: Ceilings | None
    outcomes: list[Outcome] = field(default_factory=list)

    def references(self) -> list[Outcome]:
        """Return the plain arms that were measured, the fastest first."""
        spreads = [(o.seconds_per_trial(), o) for o in self.outcomes if o.arm.plain]
        found = [(spread.median, i) for i, (spread, _) in enumerate(spreads) if spread]
        return [spreads[i][1] for _, i in sorted(found)]

    def floor(self, precision: str) -> Floor | None:
        return floor_of(self.work, self.ceilings, precision) if self.ceilings else None

    def share_of_floor(self, outcome: Outcome) -> float | None:
        """Return the floor over the median, in percent."""
        spread, floor = outcome.seconds_per_trial(), self.floor(outcome.arm.precision)
        return 100 * floor.seconds / spread.median if spread and floor else None

    def costs_of_reproducibility(self) -> dict[str, Spread]:
        """Return, by the fast arm's label, by how many percent its reproducible twin is slower."""
        by_arm = {outcome.arm: outcome for outcome in self.outcomes}
        costs = {}
        for arm, outcome in by_arm.items():
            if not arm.reproducible and arm.twin() in by_arm:
                ratio = outcome.speedup(by_arm[arm.twin()])
                if ratio:
                    values = [100 * (x - 1) for x in dataclasses.astuple(ratio)[1:]]
                    costs[arm.label] = Spread(ratio.n, *values)
        return costs

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        precisions = dict.fromkeys(outcome.arm.precision for outcome in self.outcomes)
        floors = {p: self.floor(p) for p in precisions}
        return {
            "benchmark": self.benchmark.to_dict(),
            "segment": self.note,
            "work_per_trial": dataclasses.asdict(self.work),
            "floors": {
                p: dataclasses.asdict(f) | {"seconds": f.seconds, "binds": f.binds}
                for p, f in floors.items()
                if f
            },
            "arms": [self.arm_dict(outcome) for outcome in self.outcomes],
            "cost_of_reproducibility_percent": {
                label: dataclasses.asdict(cost)
                for label, cost in self.costs_of_reproducibility().items()
            },
        }

    def arm_dict(self, outcome: Outcome) -> dict[str, Any]:
        def plain(spread: Spread | None) -> dict[str, Any] | None:
            return dataclasses.asdict(spread) if spread else None

        ratios = {o.arm.label: plain(outcome.speedup(o)) for o in self.references()}
        return {
            "label": outcome.arm.label,
            **dataclasses.asdict(outcome),
            "seconds_per_trial": plain(outcome.seconds_per_trial()),
            "images_per_second": plain(outcome.images_per_second()),
            "times_as_fast_as": ratios,
            "share_of_floor_percent": self.share_of_floor(outcome),
        }
