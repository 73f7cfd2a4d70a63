"""Many trials on one device: slots that are advanced in turn by one thread.

The slots share nothing but the images and the compiled code, so a trial's numbers do not depend
on what runs beside it. On a GPU a turn only queues work, and the slots' streams overlap; a trial
that ends frees its slot for the next one at once.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.execution.loop import advance, epochs
from trainer.execution.slot import Progress, Slot
from trainer.results import EpochResult
from trainer.trial import Trial


@dataclass
class Job:
    """A trial in a slot.

    Attributes:
        until: the trial is held after this epoch.
        epoch: the last one that was handed out.
    """

    slot: Slot
    work: Iterator[EpochResult | Progress]
    until: int
    epoch: int = 0


@dataclass(frozen=True)
class Turn:
    """What came of advancing every trial once.

    Attributes:
        outcomes: (key, result of an epoch, or the exception that ended the trial).
        idle: no trial could be advanced: all are held, or wait for the device or a disk.
        held: all are held: nothing happens until one is allowed to go on, enters or leaves.
    """

    outcomes: list[tuple[Any, EpochResult | Exception]]
    idle: bool
    held: bool


class Engine:
    """``len(slots)`` trials at a time, known by their keys. Not safe for use by several threads."""

    def __init__(self, make_slot: Callable[[], Slot], slots: int) -> None:
        """Make all slots now: while a GPU trains, nothing can be captured on it."""
        self.free = [make_slot() for _ in range(slots)]
        self.jobs: dict[Hashable, Job] = {}

    def begin(
        self, key: Hashable, trial: Trial, folder: Path | None, save_every: int, until: int
    ) -> Slot:
        """Let a trial enter a free slot; it goes on from the newest checkpoint in ``folder``.

        Raises:
            IndexError: no slot is free.
            ValueError: the key is in use.
        """
        if key in self.jobs:
            raise ValueError(f"trial {key!r} is in a slot already; give each trial its own key.")
        slot = self.free.pop(0)
        self.jobs[key] = Job(slot, epochs(slot, trial, folder, save_every), until)
        return slot

    def allow(self, key: Hashable, until: int) -> None:
        """Let the trial go on to the end of epoch ``until``."""
        if key in self.jobs:
            self.jobs[key].until = until

    def leave(self, key: Hashable) -> None:
        """Take the trial out, whatever it is doing; a key that is not here changes nothing."""
        job = self.jobs.pop(key, None)
        if job:
            job.slot.queue.mark()
            job.slot.queue.wait()
            self.free.append(job.slot)

    def turn(self) -> Turn:
        """Advance every trial that is not held by one batch."""
        outcomes: list[tuple[Any, EpochResult | Exception]] = []
        idle = held = True
        for key, job in list(self.jobs.items()):
            if job.epoch >= job.until:
                continue
            held = False
            try:
                item = advance(job.slot, job.work)
            except Exception as error:  # of this trial alone: the others go on
                outcomes.append((key, error))
                self.leave(key)
                continue
            if isinstance(item, EpochResult):
                job.epoch = item.epoch
                outcomes.append((key, item))
                if job.epoch == job.slot.trial.benchmark.epochs:
                    self.leave(key)
            idle = idle and item is Progress.WAITING
        return Turn(outcomes, idle, held)
