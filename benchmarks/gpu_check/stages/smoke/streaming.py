"""Comparison of images that come batch by batch from a file with the same ones on the device."""

import dataclasses
from functools import cached_property
from pathlib import Path

from benchmarks.gpu_check.stages.smoke.case import (
    Case,
    Check,
    Finding,
    equal,
    figures,
    together,
    trained,
)
from benchmarks.gpu_check.stored import stored
from spaces import Auxiliary, Mixing, Strategy
from trainer.execution.engine import Engine
from trainer.execution.loop import train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.prepared import ImageData

STRATEGIES = (
    Strategy(),
    Strategy(mixing=Mixing(0.5)),
    Strategy(mixing=Mixing(0.5), auxiliary=Auxiliary("rotation")),
)
"""They read one, two and three streams of images."""


class Streaming:
    """A slot with the images on the device, and a task that streams them, for all ``STRATEGIES``.

    Attributes:
        trials: of each strategy, whose seed is its number.
    """

    def __init__(self, case: Case, data: ImageData, scratch: Path) -> None:
        self.task = Task(stored(data, scratch), case.benchmark.padding, case.device)
        self.case, counts = case, case.benchmark.counts
        self.trials = [
            dataclasses.replace(case.trial(seed), recipe=strategy.recipe(counts))
            for seed, strategy in enumerate(STRATEGIES)
        ]
        self.variants = [trial.recipe.variant for trial in self.trials]

    def checks(self) -> dict[str, Check]:
        return {
            "streamed steps are captured": lambda: self.case.is_captured(self.streamed),
            "three streams equal images on the device": self.equals_on_device,
            "streamed in two slots equals images on the device": self.equals_in_two_slots,
        }

    def slot(self, task: Task) -> Slot:
        return Slot(self.trials[0], task, variants=self.variants)

    @cached_property
    def whole(self) -> Slot:
        return self.slot(self.case.task)

    @cached_property
    def streamed(self) -> Slot:
        return self.slot(self.task)

    def equals_on_device(self) -> Finding:
        return equal(*(trained(slot, self.trials[-1]) for slot in (self.streamed, self.whole)))

    def equals_in_two_slots(self) -> Finding:
        """Compare an unmixed and a mixed trial beside each other with each on the device."""
        trials, whole = self.trials[:2], self.whole
        among = together(Engine(lambda: self.slot(self.task), len(trials)), trials)
        alone = {t.seed: figures(list(train(t, whole.task, slot=whole))) for t in trials}
        return among == alone, [among, alone]
