"""The forecast of a search's length, from a few batches or a short trial on a GPU before it."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.config.budget import CONTROLS, Budget
from search.config.settings import Resources
from search.session.events import EpochReported, Event
from search.session.plan import Plan
from search.session.search import Search
from search.stats.best_arm import SEEDS_EACH
from search.store.trials import HOLDOUT
from trainer.prepared import ImageData
from trainer.runtime import available_cpus, threads
from trainer.trial import Trial

if TYPE_CHECKING:
    from trainer.execution.slot import Slot

MEASURE_SECONDS = 1.0
"""Of training batches, per benchmark; one is measured however long it takes."""


@dataclass(frozen=True)
class Forecast:
    """A forecast of how long trials take.

    Attributes:
        epoch_seconds: of an epoch of each of the plan's benchmarks, tests included; that of the
            hold-out may be missing.
        concurrency: trials at a time.
        slots: trials that share a GPU; 0 on CPUs.
        alone: whether an epoch was timed beside no other trial.
    """

    epoch_seconds: tuple[float, ...]
    concurrency: int
    slots: int = 0
    alone: bool = False

    @classmethod
    def of_gpus(
        cls, speeds: Sequence[float], slots: int, images: Sequence[ImageData], concurrency: int
    ) -> "Forecast":
        """Return it for GPUs, given how many images of each benchmark one trains a second.

        So fast are all ``slots`` of a GPU together.
        """
        pairs = zip(images, speeds, strict=True)
        return cls(
            tuple(slots * len(data.train_labels) / speed for data, speed in pairs),
            concurrency,
            slots,
        )

    def trial_seconds(self, plan: Plan) -> float:
        """Return how long one trial of full length takes."""
        searched = zip(plan.benchmarks, self.epoch_seconds, strict=False)
        return sum(benchmark.epochs * seconds for benchmark, seconds in searched)

    def holdout_seconds(self, plan: Plan, search: Search) -> float:
        """Return how long the trials on the hold-out take together; 0 where that is unknown."""
        if not plan.holdout or len(self.epoch_seconds) < len(plan.all_benchmarks):
            return 0.0
        return holdout_left(search) * plan.holdout.epochs * self.epoch_seconds[-1]

    def seconds(self, plan: Plan, search: Search) -> float | None:
        """Return how long all that is left takes, None without a limit in trials.

        On CPUs it is no shorter than the longest trial that is left; on GPUs few are faster.
        """
        trials = trials_left(search)
        if trials is None:
            return None
        trial = self.trial_seconds(plan)
        seconds = (trials * trial + self.holdout_seconds(plan, search)) / self.concurrency
        return seconds if self.slots else max(seconds, longest_left(search) * trial)

    def gpu_hours(self, seconds: float) -> float | None:
        """Return the GPU-hours of so many seconds of searching; None on CPUs."""
        return seconds * self.concurrency / self.slots / 3600 if self.slots else None

    def trials_within(self, budget: Budget, trial_seconds: float) -> float | None:
        """Return how many trials the hours of a budget are enough for; None without a limit."""
        most = []
        if budget.hours:
            most.append(3600 * budget.hours * self.concurrency / trial_seconds)
        if budget.gpu_hours and self.slots:
            most.append(3600 * budget.gpu_hours * self.slots / trial_seconds)
        return min(most, default=None)


class FirstEpochs:
    """Measures how long an epoch takes by the trials' own, where nothing was measured before.

    The first epoch of each trial is left out, because it sets things up, and so are the runs on a
    hold-out. ``tell`` is called once, with the seconds of an epoch of each benchmark of the search.
    """

    def __init__(self, epochs: Sequence[int], tell: Callable[[tuple[float, ...]], None]) -> None:
        """``epochs`` are those of each benchmark."""
        self.epochs, self.tell = epochs, tell
        self.begun: set[tuple[str, int]] = set()
        self.seconds: dict[int, float] = {}

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if not isinstance(event, EpochReported) or len(self.seconds) == len(self.epochs):
            return
        if event.study == HOLDOUT:
            return
        part = event.part
        if (event.key, part) in self.begun or self.epochs[part] == 1:
            self.seconds.setdefault(part, event.result.seconds)
            if len(self.seconds) == len(self.epochs):
                self.tell(tuple(self.seconds[number] for number in range(len(self.epochs))))
        self.begun.add((event.key, part))


def holdout_left(search: Search) -> int:
    """Return how many trials on the hold-out will begin, 0 without one."""
    if search.objective.holdout is None or not search.budget.confirm_runs:
        return 0
    if search.later.plan is None:
        return SEEDS_EACH * (search.budget.candidates + CONTROLS)
    return len(search.later.holdout_left(search.rows()))


def trials_in_all(search: Search) -> int | None:
    """Return how many trials a search has at most, those on a hold-out too; None without a limit.

    Runs of the confirmation that an earlier plan had are in it.
    """
    if search.budget.search_trials is None:
        return None
    rows, waiting = search.rows(), max(0, search.budget.search_trials - search.search_trials)
    return len(rows) + waiting + search.later.confirmation_left(rows) + holdout_left(search)


def trials_left(search: Search) -> float | None:
    """Return to how many trials of full length all that is left amounts, but for the hold-out's.

    None is returned without a limit.
    """
    left = epochs_left(search)
    return None if left is None else left / search.objective.epochs_of_all


def epochs_left(search: Search) -> float | None:
    """Return the epochs to train, but for the hold-out's; None without a limit in trials.

    Trials to come are as long as those that have ended were on average.
    """
    if search.budget.trials is None:
        return None
    whole = search.objective.epochs_of_all
    shares = [row.epochs / search.objective.epochs for row in search.ended if row.in_search]
    usual = whole * sum(shares) / len(shares) if any(shares) else whole
    waiting = max(0, (search.budget.search_trials or 0) - search.search_trials) * usual
    waiting += search.later.confirmation_left(search.rows()) * whole
    return waiting + sum(t.length - t.progress for t in search.running.values())


def longest_left(search: Search) -> float:
    """Return how much of a trial of full length the longest one that is left takes, but for the
    hold-out's."""
    waiting = (search.budget.search_trials or 0) > search.search_trials
    if waiting or search.later.confirmation_left(search.rows()):
        return 1.0
    left = (trial.length - trial.progress for trial in search.running.values())
    return max(left, default=0) / search.objective.epochs_of_all


def seconds_left(search: Search, elapsed: float) -> float | None:
    """Estimate the rest: as it was expected, then by the batches and the epochs a second.

    ``elapsed`` are the seconds since trials began; None is returned while nothing is known.
    """
    spending, epochs = search.spending, epochs_left(search)
    if epochs is not None and search.objective.holdout:
        epochs += holdout_left(search) * search.objective.holdout.epochs
    if spending.trained_epochs and search.ended:
        pace = spending.trained_epochs / elapsed
    else:
        paces = [trial.pace for trial in search.running.values() if trial.pace]
        pace = sum(paces) * len(search.running) / max(1, len(paces))
    left = spending.expected_seconds
    if pace:
        left = None if epochs is None else epochs / pace
    known = [seconds for seconds in (left, spending.seconds_left()) if seconds is not None]
    return min(known, default=None)


def forecast(
    plan: Plan, images: tuple[ImageData, ...], stop: Callable[[], str | None]
) -> Forecast | None:
    """Measure this machine; None where trials train on others or on GPUs, or ``stop`` says so.

    Nor is a training of the user's own measured, of which its trials tell (``FirstEpochs``).
    """
    resources = plan.resources
    if plan.own or resources.gpu or resources.address is not None:
        return None
    with threads(resources.cpus):
        seconds = []
        for benchmark, data in zip(plan.networks, images, strict=True):
            trial = Trial.weighted(
                benchmark, (1.0,) * benchmark.num_classes, 0, plan.settings.precision
            )
            if stop():
                return None
            seconds.append(epoch_seconds(trial, data))
    return Forecast(tuple(seconds), trials_here(resources), alone=True)


def trials_here(resources: Resources) -> int:
    """Return how many trials this machine runs at a time."""
    fitting = available_cpus() // resources.cpus
    if resources.gpu:
        import torch

        fitting = min(fitting, torch.cuda.device_count()) * (resources.slots or 1)
    return max(1, min(fitting, resources.concurrent or fitting))


def epoch_seconds(trial: Trial, data: ImageData) -> float:
    """Return how long an epoch takes on one of this machine's CPUs, by a few of its batches."""
    import torch  # here, because the length of a run is also shown by commands that train nothing

    from trainer.execution.slot import Progress, Slot
    from trainer.execution.task import Task

    slot = Slot(trial, Task(data, trial.benchmark.padding, torch.device("cpu")))
    slot.enter(trial)
    work = slot.epoch(1, trial.benchmark.learning_rate)
    batches = (item for item in work if item is Progress.QUEUED)
    next(batches)  # the first one sets things up
    begin, others = time.perf_counter(), len(slot.train_sizes) - 1
    for number, _ in enumerate(itertools.islice(batches, others), 1):
        train = (time.perf_counter() - begin) / number
        if train * number >= MEASURE_SECONDS:
            break
    if not others:
        train = step_seconds(slot, "train", slot.train_sizes[0])
    if trial.compiled:
        step_seconds(slot, "test", slot.test_sizes[0])  # the first one is compiled
    test = step_seconds(slot, "test", slot.test_sizes[0])
    share = slot.task.test_images / slot.test_sizes[0]
    return train * len(slot.train_sizes) + test * share


def step_seconds(slot: "Slot", phase: str, size: int) -> float:
    """Return how long a step on a batch takes, by one more of them."""
    slot.rewind()
    begin = time.perf_counter()
    slot.step(phase, size)()
    return time.perf_counter() - begin
