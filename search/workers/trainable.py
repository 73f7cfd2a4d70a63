"""The trainable on a Ray worker without a GPU trains one trial at a time."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from ray import tune

from search.workers.reports import Warnings, report
from search.workers.schedule import Batches, Part, PartResult, interleave, legs_of, parts_of
from search.workers.setup import WorkerSetup
from trainer import runtime
from trainer.execution.loop import save_position, train_by_batches
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.provenance import device_name
from trainer.results import EpochResult
from trainer.trial import Trial


def load_task(setup: WorkerSetup, index: int, device: torch.device) -> Task:
    """Put the images of a benchmark on the device."""
    return Task(setup.images[index](), setup.benchmarks[index].padding, device)


def template_trial(setup: WorkerSetup, index: int, least_epochs: int = 1) -> Trial:
    """Return a trial for whose like slots are made: of a benchmark, and of at least so long."""
    benchmark = setup.benchmarks[index]
    benchmark = replace(benchmark, epochs=max(least_epochs, benchmark.epochs))
    uniform = (1.0,) * benchmark.num_classes
    return Trial.weighted(benchmark, uniform, 0, setup.precision, setup.compiled)


def save_parts(parts: Sequence[Part], slots: Mapping[int, Slot]) -> None:
    """Save where each part of a trial is that was begun, given the slot of each benchmark."""
    for part in parts:
        slot = slots.get(part.benchmark)
        if slot and slot.trial == part.trial:
            save_position(slot, part.folder)


class TrialTrainable(tune.Trainable):
    """Trains the trial that its config describes; actors are reused, and their slots with them.

    The config is JSON-able: ``key``, ``seed``, and

    - ``parts``, each with the index of its ``benchmark`` in the set-up, the ``recipe`` of its
      strategy there, the folder of its ``checkpoints``, and ``known_epochs``, the number of epochs
      that the driver has on record already;
    - ``stages``, each with an epoch for every part; the last stage has the benchmarks' epochs;
    - ``diagnosed``, as ``trainer.trial.Trial``, False if it is left out.

    In every stage each part in turn is trained up to the stage's epoch; behind it the driver may
    stop the trial. A step is one ``report``; only the loss of the process is an error to Ray.
    """

    def setup(self, config: dict[str, Any], shared: WorkerSetup | None = None) -> None:
        assert shared is not None
        self.shared = shared
        self.hardware: str | None = None
        self.slots: dict[int, Slot] = {}
        os.umask(shared.umask)
        runtime.configure(shared.precision, shared.threads)
        self.warnings = Warnings()
        logging.getLogger("trainer").addHandler(self.warnings)
        self.enter(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.enter(new_config)
        return True

    def enter(self, config: dict[str, Any]) -> None:
        self.legs = legs_of(config)
        self.parts: list[Part] = []
        self.results = self.begin(config)

    def begin(self, config: dict[str, Any]) -> Iterator[PartResult]:
        """Yield the trial's epochs that the driver does not know yet, and all batches."""
        self.shared.check_here()
        device = runtime.select_device(self.shared.device)
        self.hardware = device_name(device)
        self.parts = parts_of(config, self.shared)

        def train_part(number: int) -> Iterator[EpochResult | Batches]:
            part = self.parts[number]
            slot = self.slot(part.benchmark, device)
            work = train_by_batches(slot, part.trial, part.folder, self.shared.save_every)
            return (item or Batches(slot.batch, len(slot.sequence)) for item in work)

        yield from interleave(self.legs, [part.known for part in self.parts], train_part)

    def slot(self, benchmark: int, device: torch.device) -> Slot:
        """Return the worker's slot for a benchmark, made when it is first needed."""
        if benchmark not in self.slots:
            task = load_task(self.shared, benchmark, device)
            like = template_trial(self.shared, benchmark)
            self.slots[benchmark] = Slot(like, task, variants=self.shared.variants)
        return self.slots[benchmark]

    def step(self) -> dict[str, Any]:
        return report(self.results, self.legs, lambda: self.hardware, self.warnings)

    def save_now(self) -> None:
        """Save where the trial is, between two steps.

        Raises:
            CheckpointError: it cannot be written.
        """
        save_parts(self.parts, self.slots)
