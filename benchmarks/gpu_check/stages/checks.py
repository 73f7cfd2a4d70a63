"""Stage that checks what the trainer computes on a device: captured, repeated, alone or not."""

import contextlib
import dataclasses
import faulthandler
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_check.context import Context
from benchmarks.gpu_check.stages.exactness import as_exact
from benchmarks.throughput.worker import one_line
from spaces.parts.words import number_of
from trainer.benchmarks import Benchmark
from trainer.execution.engine import Engine
from trainer.execution.loop import train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.prepared import ImageData
from trainer.results import EpochResult
from trainer.runtime import PRECISIONS, configure
from trainer.trial import Trial

IMAGES, TEST_IMAGES = 4 * 128 + 95, 1000
BATCH = 128
EPOCHS = 2
COMPANY = (2, 8)
"""Trials beside each other."""
HUNG_SECONDS = 60.0
LOSS_TOLERANCE = 0.02

Losses = list[tuple[float | None, float | None, float]]
Finding = tuple[bool, Any]
"""Whether it is as it must be, and what was found."""
Check = Callable[[], Finding]


def run(context: Context) -> None:
    """Check each precision, then a loss against the CPU's."""
    benchmark, data = context.images(IMAGES, TEST_IMAGES)
    benchmark = dataclasses.replace(benchmark, epochs=EPOCHS)
    failed = 0
    for precision in PRECISIONS:
        configure(precision, 1)
        checks = Case(benchmark, data, precision, context.device).checks()
        failed += sum(not check(context, f"{precision}: {name}", checks[name]) for name in checks)
    configure("fp32", 1)
    benchmark, data = context.images(BATCH, TEST_IMAGES)  # after further steps, chaos tells
    host, case = (
        Case(benchmark, data, "fp32", device) for device in (torch.device("cpu"), context.device)
    )
    failed += not check(context, "fp32: the loss is the CPU's", lambda: case.agrees(host))
    if failed:
        raise RuntimeError(f"{number_of(failed, 'check')} failed.")


def check(context: Context, name: str, action: Check) -> bool:
    """Put a row about one check and return whether it held; one that hangs ends the process."""
    start = time.perf_counter()
    try:
        with ended_if_hung(context, name):
            held, found = action()
    except Exception as error:  # a finding like others: the next check may hold
        traceback.print_exc()
        held, found = False, one_line(error)
    seconds = round(time.perf_counter() - start, 2)
    context.results.put(check=name, ok=held, seconds=seconds, found=found)
    return held


@contextlib.contextmanager
def ended_if_hung(context: Context, name: str) -> Iterator[None]:
    """End the process, with every thread's stack, if the enclosed code takes too long."""
    limit = HUNG_SECONDS * (10 if context.tiny else 1)

    def end() -> None:
        context.results.put(check=name, ok=False, seconds=limit, found="it hangs")
        faulthandler.dump_traceback(all_threads=True)
        os._exit(3)

    timer = threading.Timer(limit, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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
            "steps are captured": self.is_captured,
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

    def is_captured(self) -> Finding:
        kinds = {type(getattr(s, "__self__", s)).__name__ for s in self.slot().steps.values()}
        return self.device.type == "cpu" or kinds == {"CUDAGraph"}, sorted(kinds)

    def trained(self, slot: Slot, seed: int = 0) -> tuple[Losses, list[Tensor]]:
        """Return the losses and accuracies of a whole trial in the slot, and its numbers then."""
        losses = figures(list(train(self.trial(seed), self.task, slot=slot)))
        numbers = [*slot.network.state_dict().values(), *slot.momenta()]
        return losses, [x.clone() for x in numbers]

    def is_exact(self) -> Finding:
        if not self.slot().is_fused():
            return True, "torch's operators are used"
        return as_exact(self.benchmark, self.precision, self.device)

    def graphs_equal_kernels(self) -> Finding:
        single = Slot(self.trial(), self.task, graphs=False)
        return equal(self.trained(self.slot()), self.trained(single))

    def repeats(self) -> Finding:
        return equal(self.trained(self.slot(), seed=5), self.trained(self.slot(), seed=5))

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


def figures(results: list[EpochResult]) -> Losses:
    return [(r.train_loss, r.test_loss, r.score) for r in results]


def equal(left: tuple[Losses, list[Tensor]], right: tuple[Losses, list[Tensor]]) -> Finding:
    same = left[0] == right[0] and all(map(torch.equal, left[1], right[1]))
    return same, [left[0], right[0]]


def together(engine: Engine, trials: list[Trial]) -> dict[int, Losses]:
    """Train the trials side by side and return the losses of each, by its seed."""
    for trial in trials:
        engine.begin(trial.seed, trial, None, EPOCHS, EPOCHS)
    history: dict[int, list[EpochResult]] = {trial.seed: [] for trial in trials}
    while engine.jobs:
        for seed, outcome in engine.turn().outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            history[seed].append(outcome)
    return {seed: figures(results) for seed, results in history.items()}
