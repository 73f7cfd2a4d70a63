"""Case of the checks: a precision on a device, with a slot and what training in it gives."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_check.stages.smoke.exactness import as_exact
from trainer.benchmarks import Benchmark
from trainer.execution.engine import Engine
from trainer.execution.loop import train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.prepared import ImageData
from trainer.results import EpochResult
from trainer.trial import Trial

COMPANY = (2, 8)
"""Trials beside each other."""
LOSS_TOLERANCE = 0.02

Losses = list[tuple[float | None, float | None, float]]
Finding = tuple[bool, Any]
"""Whether it is as it must be, and what was found."""
Check = Callable[[], Finding]


class Case:
    """One precision on one device, and a slot that is made when it is first needed."""

    def __init__(
        self, benchmark: Benchmark, data: ImageData, precision: str, device: torch.device
    ) -> None:
        self.benchmark, self.precision, self.device = benchmark, precision, device
        self.task = Task(data, benchmark.padding, device)
        self.made: Slot | None = None

    def checks(self) -> dict[str, Check]:
        among = {f"alone equals among {n}": partial(self.equals_among, n) for n in COMPANY}
        return {
            "steps are captured": lambda: self.is_captured(self.slot()),
            "graphs equal single kernels": self.graphs_equal_kernels,
            "a trial repeats bit for bit": self.repeats,
            **among,
            "kernels are as exact as torch's": self.is_exact,
        }

    def trial(self, seed: int = 0) -> Trial:
        weights = (1.0,) * self.benchmark.num_classes
        return Trial.weighted(self.benchmark, weights, seed, self.precision)

    def slot(self) -> Slot:
        self.made = self.made or Slot(self.trial(), self.task)
        return self.made

    def is_captured(self, slot: Slot) -> Finding:
        kinds = {type(getattr(s, "__self__", s)).__name__ for s in slot.steps.values()}
        return self.device.type == "cpu" or kinds == {"CUDAGraph"}, sorted(kinds)

    def is_exact(self) -> Finding:
        if not self.slot().is_fused(self.trial()):
            return True, "torch's operators are used"
        return as_exact(self.benchmark, self.precision, self.device)

    def graphs_equal_kernels(self) -> Finding:
        single = Slot(self.trial(), self.task, graphs=False)
        return equal(*(trained(slot, self.trial()) for slot in (self.slot(), single)))

    def repeats(self) -> Finding:
        return equal(*(trained(self.slot(), self.trial(seed=5)) for _ in range(2)))

    def equals_among(self, number: int) -> Finding:
        """Compare a trial's losses alone in an engine with those among others, the last one."""
        engine = Engine(lambda: Slot(self.trial(), self.task), number)
        trials = [self.trial(seed) for seed in range(number)]
        among = together(engine, trials)[number - 1]
        alone = together(engine, trials[-1:])[number - 1]
        return among == alone, [among, alone]

    def agrees(self, other: "Case") -> Finding:
        """Compare the loss of the first epoch, of one step, with that of another device."""
        losses = []
        for case in (self, other):
            first = next(iter(train(case.trial(), case.task, slot=case.slot())))
            assert first.train_loss is not None
            losses.append(first.train_loss)
        return abs(losses[0] / losses[1] - 1) < LOSS_TOLERANCE, losses


def trained(slot: Slot, trial: Trial) -> tuple[Losses, list[Tensor]]:
    """Return the losses and accuracies of a whole trial in a slot, and its numbers then."""
    losses = figures(list(train(trial, slot.task, slot=slot)))
    numbers = [*slot.network.state_dict().values(), *slot.momenta()]
    return losses, [x.clone() for x in numbers]


def figures(results: list[EpochResult]) -> Losses:
    return [(r.train_loss, r.test_loss, r.score) for r in results]


def equal(left: tuple[Losses, list[Tensor]], right: tuple[Losses, list[Tensor]]) -> Finding:
    same = left[0] == right[0] and all(map(torch.equal, left[1], right[1]))
    return same, [left[0], right[0]]


def together(engine: Engine, trials: list[Trial]) -> dict[int, Losses]:
    """Train the trials side by side and return the losses of each, by its seed."""
    for trial in trials:
        epochs = trial.benchmark.epochs
        engine.begin(trial.seed, trial, None, epochs, epochs)
    history: dict[int, list[EpochResult]] = {trial.seed: [] for trial in trials}
    while engine.jobs:
        for seed, outcome in engine.turn().outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            history[seed].append(outcome)
    return {seed: figures(results) for seed, results in history.items()}
