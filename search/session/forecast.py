"""How long a search will take: what a few batches, or a short trial on a GPU, say before it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from search.config.budget import CONTROLS, FEWEST_TRIALS, SEEDS_EACH, candidates_for
from search.session.plan import Plan
from search.session.search import Search
from trainer.prepared import ImageData
from trainer.runtime import available_cpus
from trainer.trial import Trial

MEASURE_SECONDS = 1.0
"""Of training batches, per benchmark; one is measured however long it takes."""
LONG_HOURS = 12.0
"""A longer search is told how to see results sooner."""
FEASIBLE_HOURS = 8.0
"""What is offered then takes so long."""
SMALL = "resnet8-digitslt40"


@dataclass(frozen=True)
class Forecast:
    """How long trials take.

    Attributes:
        epoch_seconds: of an epoch of each of the plan's benchmarks, tests included.
        places: trials at a time.
    """

    epoch_seconds: tuple[float, ...]
    places: int

    @classmethod
    def of_gpus(
        cls, speeds: Sequence[float], slots: int, images: Sequence[ImageData], places: int
    ) -> "Forecast":
        """Return it for GPUs, given how many images of each benchmark one trains a second.

        So fast are all ``slots`` of a GPU together.
        """
        pairs = zip(images, speeds, strict=True)
        return cls(tuple(slots * len(data.train_labels) / speed for data, speed in pairs), places)

    def trial_seconds(self, plan: Plan) -> float:
        """Return how long one trial of full length takes."""
        searched = zip(plan.benchmarks, self.epoch_seconds, strict=False)
        return sum(benchmark.epochs * seconds for benchmark, seconds in searched)

    def holdout_seconds(self, plan: Plan) -> float:
        """Return how long all trials on the hold-out take together."""
        if not plan.holdout:
            return 0.0
        runs = SEEDS_EACH * (candidates_for(plan.budget.confirm_runs) + CONTROLS)
        return runs * plan.holdout.epochs * self.epoch_seconds[-1]

    def seconds(self, plan: Plan, search: Search) -> float | None:
        """Return how long all that is left takes, None without a limit in trials."""
        left = epochs_left(search)
        if left is None:
            return None
        trials = left / search.objective.epochs_of_all
        return (trials * self.trial_seconds(plan) + self.holdout_seconds(plan)) / self.places

    def sentences(self, plan: Plan, search: Search) -> list[str]:
        """Return what a person should know before the search begins."""
        trial = self.trial_seconds(plan)
        grounds = f"{said(trial)} a trial, {self.places} at a time"
        left = self.seconds(plan, search)
        if left is None:
            hours = plan.budget.hours
            if hours is None or hours * 3600 >= trial:
                return [f"On this hardware: {grounds}."]
            lines = [f"On this hardware: {grounds}; no trial ends within {hours:g} hours."]
            return [*lines, self.advice(plan, hours)]
        lines = [
            f"On this hardware: {said(left)} if no trial is stopped early ({grounds}, "
            "just measured)."
        ]
        if left > 3600 * LONG_HOURS:
            lines.append(self.advice(plan, FEASIBLE_HOURS))
        return lines

    def advice(self, plan: Plan, hours: float) -> str:
        """Return how to see results within so many hours."""
        trials = min(plan.budget.trials or FEWEST_TRIALS, FEWEST_TRIALS)
        longest = max(benchmark.epochs for benchmark in plan.benchmarks)
        one = sum(self.epoch_seconds[: len(plan.benchmarks)]) * trials / self.places
        epochs = min(longest, max(1, int(3600 * hours / one)))
        elsewhere = "" if plan.resources.gpu else "; or use a machine with a GPU"
        return (
            f"To see results sooner: --trials {trials} --epochs {epochs} takes "
            f"{said(one * epochs)}, --benchmark {SMALL} --trials 32 a few minutes{elsewhere}."
        )


def epochs_left(search: Search) -> float | None:
    """Return the epochs that are still to be trained, None without a limit in trials.

    Trials to come are as long as those that have ended were on average.
    """
    if search.budget.trials is None:
        return None
    whole = search.objective.epochs_of_all
    shares = [row.epochs / search.objective.epochs for row in search.ended if row.in_search]
    usual = whole * sum(shares) / len(shares) if any(shares) else whole
    waiting = max(0, (search.budget.search_trials or 0) - search.search_trials) * usual
    begun = len(search.rows()) - search.search_trials
    waiting += max(0, search.budget.confirm_runs - begun) * whole
    return waiting + sum(t.length - t.progress for t in search.running.values())


def said(seconds: float) -> str:
    """Return a length of time as people say it, in two digits."""
    if seconds < 100:
        return f"about {seconds:.0f} s"
    for unit, length in (("minutes", 60), ("hours", 3600)):
        if seconds < 100 * length or unit == "hours":
            number = seconds / length
            return f"about {number:.{0 if number >= 9.5 else 1}f} {unit}"
    raise AssertionError


def forecast(
    plan: Plan, images: tuple[ImageData, ...], stop: Callable[[], str | None]
) -> Forecast | None:
    """Measure this machine; None where trials train on others or on GPUs, or ``stop`` says so."""
    resources = plan.resources
    if resources.gpu or resources.address is not None:
        return None
    fitting = max(1, available_cpus() // resources.cpus)
    places = min(fitting, resources.concurrent or fitting)
    with threads(resources.cpus):
        seconds = []
        for benchmark, data in zip(plan.all_benchmarks, images, strict=True):
            trial = Trial(benchmark, (1.0,) * benchmark.num_classes, 0, plan.settings.precision)
            if stop():
                return None
            seconds.append(epoch_seconds(trial, data))
    return Forecast(tuple(seconds), places)


def epoch_seconds(trial: Trial, data: ImageData) -> float:
    """Return how long an epoch takes on one of this machine's CPUs, by a few of its batches."""
    import torch  # here, because the length of a run is also shown by commands that train nothing

    from trainer.execution.slot import Slot
    from trainer.execution.task import Task

    slot = Slot(trial, Task(data, trial.benchmark.padding, torch.device("cpu")))
    slot.enter(trial)
    batches = slot.epoch(1, trial.benchmark.learning_rate)
    next(batches)  # the first one sets things up
    begin, most = time.perf_counter(), len(slot.train_sizes) - 1
    for number, _ in enumerate(batches, 1):
        train = (time.perf_counter() - begin) / number
        if train * number >= MEASURE_SECONDS or number >= most:
            break
    slot.rewind()
    begin = time.perf_counter()
    slot.test_batch(slot.test_sizes[0])
    test = time.perf_counter() - begin
    share = slot.task.test_images / slot.test_sizes[0]
    return train * len(slot.train_sizes) + test * share


@contextmanager
def threads(number: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
