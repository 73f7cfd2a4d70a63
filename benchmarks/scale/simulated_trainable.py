"""What does a slot of a simulated cluster train, and when does it report?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from search.workers.reports import Warnings
from search.workers.schedule import PartResult
from search.workers.setup import WorkerSetup
from search.workers.trainable import TrialTrainable
from spaces.counts import FloatArray
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
        curve = self.training.curve(part["weights"], config["seed"])
        random = np.random.default_rng(config["seed"])
        speed = 1 + SPEED_SPREAD * random.uniform(-1, 1)
        seconds = self.training.seconds / len(curve) / speed
        results = self.results_of(curve, seconds, random)
        done = 0
        for turn in self.turns:
            if not self.training.ahead or done:
                self.free = max(self.free, self.training.moment.seconds)
            self.turn_end = self.free + (turn.until - done) * seconds
            while done < turn.until:
                result = next(results)
                self.pass_epoch(result.seconds)
                done += 1
                yield turn.part, result

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
