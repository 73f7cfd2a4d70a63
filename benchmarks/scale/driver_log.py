"""Log of a simulated cluster's driver: what it does with its time, and what slots lose by it."""

from array import array
from dataclasses import dataclass, field

from benchmarks.overhead.timed_search import resident_bytes
from benchmarks.scale.driver_clock import DriverClock
from benchmarks.scale.simulated_trainable import Training

START, REPORT, END = "start", "train", "end"
"""Kinds of steps: up to the first call that is waited for; a report; a trial's last report.

All others have the names of the calls that came back (``reset``, ``stop``, ``__ray_ready__``).
"""
BEGINS = ("__ray_ready__", "reset")
"""Calls behind which a slot has a trial."""


@dataclass(frozen=True)
class Snapshot:
    """What had come to be by some moment.

    Attributes:
        time: simulated seconds.
        trained: seconds of training of all slots.
        busy: seconds of the driver.
        reports: that the driver had taken up.
        ended: trials.
        memory: of the driver, bytes.
    """

    time: float = 0.0
    trained: float = 0.0
    busy: float = 0.0
    reports: int = 0
    ended: int = 0
    memory: int = 0


@dataclass
class Steps:
    """All steps of one kind."""

    number: int = 0
    seconds: float = 0.0


@dataclass
class DriverLog:
    """Takes down the steps of the driver, each from a call that came back to the next wait.

    Attributes:
        every: trials from one snapshot to the next.
        steps: by kind.
        delays: how long each report waited for the driver, seconds.
        full: when as many trials had begun as there are slots, None before.
        last_begin: when the latest trial began; behind it there was not work for all.
        last_end: when the latest trial ended.
        at_ends: snapshots, in their order.
    """

    clock: DriverClock
    training: Training
    slots: int
    every: int
    steps: dict[str, Steps] = field(default_factory=dict)
    delays: "array[float]" = field(default_factory=lambda: array("f"))
    full: Snapshot | None = None
    last_begin: Snapshot = Snapshot()
    last_end: Snapshot = Snapshot()
    at_ends: list[Snapshot] = field(default_factory=list)
    begun: int = 0
    ended: int = 0
    kind: str = START
    since: float = 0.0

    def step_ends(self) -> None:
        """The driver begins to wait."""
        steps = self.steps.setdefault(self.kind, Steps())
        steps.number += 1
        steps.seconds += self.clock.busy - self.since
        self.since = self.clock.busy

    def step_begins(self, method: str, delay: float) -> None:
        """The driver takes up a call that is done, after a delay."""
        self.kind = method
        if method == REPORT:
            self.delays.append(delay)
        if method in BEGINS:
            self.begun += 1
            self.last_begin = self.snapshot()
            if self.begun == self.slots:
                self.full = self.last_begin

    def trial_ends(self) -> None:
        """This step's report was a trial's last."""
        self.kind = END
        self.ended += 1
        with self.clock.stopped():
            self.last_end = self.snapshot()
        if self.ended % self.every == 0:
            self.at_ends.append(self.last_end)

    def snapshot(self) -> Snapshot:
        now = self.clock.now
        return Snapshot(
            time=now,
            trained=self.training.trained_by(now),
            busy=self.clock.busy,
            reports=len(self.delays),
            ended=self.ended,
            memory=resident_bytes(),
        )
