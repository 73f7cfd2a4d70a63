"""A slot of a simulated cluster: what its trials come to, made up or recorded, and its reports."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.overhead.costless import BENCHMARK, facts_of, final_accuracy
from benchmarks.recording.table import Table
from benchmarks.replay.surrogate import Replicates, Surrogate
from search.config.objective import BenchmarkObjective, Objective
from search.workers.reports import Warnings
from search.workers.schedule import PartResult
from search.workers.setup import WorkerSetup
from search.workers.trainable import TrialTrainable
from spaces import gradient_shares
from spaces.counts import FloatArray
from spaces.errors import UserError
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.results import EpochResult

Curve = Callable[[Sequence[float], int], FloatArray]
"""Takes class weights (C,) and a seed; returns the accuracy after each epoch, percent (E,)."""

SPEED_SPREAD = 0.1
"""Trials are up to so much faster or slower than the mean: they share their devices."""


@dataclass
class Moment:
    """The time on whichever worker is being played, in simulated seconds."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class Training:
    """How trials train on the slots of a simulated cluster.

    Attributes:
        seconds: of a full-length trial, on average.
        ahead: an engine trains on up to the next rung while the driver is busy, as on GPUs; else
            a worker trains only when the driver has asked for a report, as on CPUs.
        half_counts: test images per class in halves A and B of the test set, (2, C).
        moment: set to when the worker is called; afterwards, when it is done.
        slots: all that were ever started.
    """

    seconds: float
    ahead: bool
    curve: Curve
    half_counts: tuple[tuple[int, ...], tuple[int, ...]]
    moment: Moment = field(default_factory=Moment)
    slots: list["SimulatedTrainable"] = field(default_factory=list)

    def new_slot(self, **arguments: Any) -> "SimulatedTrainable":
        """Return a slot, as Ray starts the actor with these arguments."""

        class Slot(SimulatedTrainable):
            training = self

        self.slots.append(Slot(**arguments))
        return self.slots[-1]

    def trained_by(self, time: float) -> float:
        """Return for how many seconds all slots together have trained by then."""
        return sum(slot.trained_by(time) for slot in self.slots)


class SimulatedTrainable(TrialTrainable):
    """A worker whose epochs take simulated time; it reports by the rule of a real one.

    Attributes:
        free: when the last epoch that was played ends.
        turn_end: when the engine comes to where it waits for the driver.
        trained: seconds of all epochs that were played.
    """

    training: ClassVar[Training]

    def setup(self, config: dict[str, Any], shared: WorkerSetup | None = None) -> None:
        self.hardware = "simulated"
        self.warnings, self.slots = Warnings(), {}
        self.free = self.trained = 0.0
        self.enter(config)

    def enter(self, config: dict[str, Any]) -> None:
        self.free = self.turn_end = max(self.free, self.training.moment.seconds)
        super().enter(config)

    def begin(self, config: dict[str, Any]) -> Iterator[PartResult]:
        [part] = config["parts"]
        assert not part["known_epochs"]
        curve = self.training.curve(part["recipe"]["weights"], config["seed"])
        random = np.random.default_rng(config["seed"])
        speed = 1 + SPEED_SPREAD * random.uniform(-1, 1)
        seconds = self.training.seconds / len(curve) / speed
        results = self.results_of(curve, seconds, random)
        done = 0
        for leg in self.legs:
            if not self.training.ahead or done:
                self.free = max(self.free, self.training.moment.seconds)
            self.turn_end = self.free + (leg.until - done) * seconds
            while done < leg.until:
                result = next(results)
                self.pass_epoch(result.seconds)
                done += 1
                yield leg.part, result

    def pass_epoch(self, seconds: float) -> None:
        """Let the slot train for one epoch, and the worker hear of it when it is over."""
        moment = self.training.moment
        if not self.training.ahead:
            self.free = max(self.free, moment.seconds)
        self.free += seconds
        self.trained += seconds
        moment.seconds = max(moment.seconds, self.free)

    def results_of(
        self, curve: FloatArray, seconds: float, random: np.random.Generator
    ) -> Iterator[EpochResult]:
        half_a, half_b = self.training.half_counts
        best = 0.0
        for epoch, accuracy in enumerate(curve, 1):
            share = min(1.0, max(0.0, 0.01 * float(accuracy)))
            hits_a, hits_b = random.binomial((half_a, half_b), share)
            tested = 100.0 * float(hits_a.sum() + hits_b.sum()) / (sum(half_a) + sum(half_b))
            best = max(best, tested)
            correct = tuple(hits_a.tolist()), tuple(hits_b.tolist())
            yield EpochResult(epoch, 1.0, 2.0, 0.1, seconds, tested, best, correct)

    def trained_by(self, time: float) -> float:
        """Return for how many seconds this slot has trained by then, whoever knows of it."""
        if self.free > time:
            return self.trained - (self.free - time)
        if self.training.ahead:
            return self.trained + max(0.0, min(time, self.turn_end) - self.free)
        return self.trained


@dataclass(frozen=True)
class World:
    """A benchmark, and what trials on it come to."""

    benchmark: Benchmark
    objective: Objective
    curve: Curve


def made_up() -> World:
    """Return a world in which some ratio of weights is best, and all curves have one shape."""
    shape = 1 - np.exp(-5 * np.arange(1, BENCHMARK.epochs + 1) / BENCHMARK.epochs)

    def curve(weights: Sequence[float], seed: int) -> FloatArray:
        return np.asarray(final_accuracy(weights, np.random.default_rng(seed)) * shape)

    return World(BENCHMARK, facts_of(BENCHMARK), curve)


def recorded(path: Path) -> World:
    """Return the world of a recorded table: its curves, between them, and its noise.

    Raises:
        UserError: the table cannot be read, is too small, or of another benchmark.
    """
    table = Table.load(path)
    name = table.description["benchmark"]
    benchmark = BENCHMARKS.get(name)
    if benchmark is None or benchmark.fingerprint() != table.description["fingerprint"]:
        raise UserError(f"--table is {path}, of another benchmark {name!r} than there is here.")
    surrogate, counts = Surrogate(Replicates.of(table)), table.class_counts

    def curve(weights: Sequence[float], seed: int) -> FloatArray:
        shares = gradient_shares(counts, np.asarray(weights))
        residual = surrogate.residual(np.random.default_rng(seed))
        return np.asarray(surrogate.curves(shares[None])[0] + residual)

    half_a, half_b = table.test_counts.tolist()
    objective = BenchmarkObjective(
        name, benchmark.epochs, tuple(counts.tolist()), (tuple(half_a), tuple(half_b))
    )
    return World(benchmark, Objective((objective,)), curve)
