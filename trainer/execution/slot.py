"""A slot trains one trial at a time on a device: fixed tensors, and the course of its epochs.

The steps on batches take no arguments (`trainer/execution/batch_steps.py`), so that a CUDA graph
captured from one once serves every trial that enters the slot.
"""

import json
import time
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spaces.loss import POSTHOC
from spaces.recipe import Variant
from trainer.diagnosis.records import Examined, examined_of
from trainer.execution.batch_steps import BatchSteps
from trainer.execution.epoch_inputs import EpochInputs
from trainer.execution.graphs import Queue, Step, captured
from trainer.execution.learner import Learner, host_copy
from trainer.execution.task import Task
from trainer.models import BatchNorm2d, ResNet
from trainer.results import EpochResult
from trainer.runtime import keep_freed_memory
from trainer.streaming.buffered_task import task_of_slot
from trainer.trial import Trial


class Progress(Enum):
    """What a slot that has no result yet is doing."""

    QUEUED = "a batch was queued"
    WAITING = "everything is queued, and the device or the disk is not done"


class Slot:
    """A learner, the inputs of its epochs and the steps on batches, at fixed addresses.

    Attributes:
        variants: of the training step, that the slot has.
        learner: network and optimizer.
        inputs: of the epoch in progress: its plan, and the numbers of the loss.
        batch_steps: the position in the epoch, its sums, and the steps.
        sequence: of an epoch's batches, each the phase and the number of images.
        steps: by name, such as "train plain 128".
        resumable: whether the trial can go on from what is here: it was brought to its newest
            checkpoint, if there is one, and neither a step nor an epoch has failed since.
        history: results of the trial's finished epochs.
        examined: what the network said after the best of them; None if that was not kept.
        batch: batches of the epoch after them that are queued or done.
        began: when that epoch began, seconds of the performance counter.
    """

    def __init__(
        self,
        like: Trial,
        task: Task,
        graphs: bool = True,
        variants: Sequence[Variant] | None = None,
    ) -> None:
        """Make room for trials that differ from ``like`` in recipe and seed only.

        Args:
            graphs: matters on CUDA devices alone: False runs the steps kernel by kernel.
            variants: of the recipes that may come; None for those of ``like``.
        """
        self.like, self.queue = like, Queue(task.device)
        self.trial, self.resumable = like, False  # until one enters
        if task.device.type == "cpu":
            keep_freed_memory()
        self.variants = tuple(variants or like.recipe.variants)
        pinned = self.queue.stream is not None
        self.task = task = task_of_slot(task, like.benchmark.batch_size, self.variants, pinned)
        tasks = {variant.auxiliary for variant in self.variants} - {"none"}
        self.learner = Learner(like.benchmark, like.seed, task.device, tasks)
        self.network, self.optimizer = self.learner.network, self.learner.optimizer
        self.inputs = EpochInputs(task, self.variants, pinned)
        steps = self.batch_steps = BatchSteps(like, task, self.learner, self.inputs, self.variants)
        self.totals = steps.totals
        self.read, self.read_losses, self.read_said = (
            self._readable(x) for x in (self.totals, steps.image_losses, steps.said)
        )
        self.train_sizes, self.test_sizes = steps.train_sizes, steps.test_sizes
        self.sequence = [("train", size) for size in self.train_sizes]
        self.sequence += [("test", size) for size in self.test_sizes]
        self.history: list[EpochResult] = []
        self.examined: Examined | None = None
        self.batch = 0
        self.began = 0.0
        self.steps = self._steps(graphs and self.queue.stream is not None)

    def _readable(self, tensor: Tensor) -> Tensor:
        """Return memory of the host into which a tensor is copied without waiting for a GPU."""
        memory = torch.zeros_like(tensor, device="cpu")
        return memory.pin_memory() if self.queue.stream else memory

    def _steps(self, graphs: bool) -> dict[str, Step]:
        """Return the steps on batches, perhaps as graphs."""
        steps = self.batch_steps.steps()
        if self.queue.stream:  # what was made until now is on another stream
            torch.cuda.synchronize(self.task.device)
        return captured(steps, self.queue, self.rewind) if graphs else steps

    def rewind(self) -> None:
        self.batch_steps.rewind()

    def momenta(self) -> list[Tensor]:
        return self.learner.momenta()

    def configuration(self, trial: Trial) -> str:
        """Return what the numbers of ``trial`` in this slot depend on, for its checkpoints."""
        kernels = "fused" if self.is_fused(trial) else "native" if BatchNorm2d.native else ""
        named = f"-{kernels}" if kernels and self.queue.stream else ""  # alike on the CPU
        return f"{trial.fingerprint()}-{self.task.fingerprint}{named}"

    def is_fused(self, trial: Trial) -> bool:
        """Return whether kernels of our own run in steps of ``trial``, those not compiled."""
        compiled = {*map(str, trial.recipe.variants)} <= self.batch_steps.compiled
        if not isinstance(self.network, ResNet) or compiled or trial.precision == "fp32":
            return False
        return self.network.fuses(self.task.device, *self.task.test_pixels.shape[1:3])

    def enter(self, trial: Trial) -> None:
        """Put ``trial`` at its beginning into the slot."""
        assert (trial.benchmark, trial.precision) == (self.like.benchmark, self.like.precision)
        assert trial.compiled == self.like.compiled
        assert trial.recipe.variants <= {*self.variants}
        self.trial, self.resumable = trial, False
        self.history, self.examined, self.batch = [], None, 0
        self.batch_steps.posthoc.fill_(POSTHOC.index(trial.posthoc))
        self.inputs.enter(trial)
        self.learner.begin(trial.seed)
        epochs = trial.benchmark.epochs
        self.first_retraining_epoch = trial.recipe.first_retraining_epoch(epochs)

    def restore(self, state: dict[str, Any]) -> None:
        """Bring the trial to a saved ``state``."""
        self.learner.restore(state)
        self.history = [EpochResult.from_dict(row) for row in json.loads(state["history"])]
        saved = json.loads(state.get("examined", "null"))
        self.examined = saved and examined_of(saved)
        within, memory = state.get("within"), self.inputs.memory
        if memory:
            memory.restore(state["feedback"])
        if within and "losses" in within:
            self.batch_steps.image_losses.copy_(within["losses"])
        if within:
            self.batch = within["batch"]
            if within.get("test_batch") != self.test_sizes[0]:  # tested by others, or not at all
                self.batch = min(self.batch, len(self.train_sizes))
                self.totals.zero_()
                self.batch_steps.train_loss.copy_(within["totals"][0])
            else:
                self.totals.copy_(within["totals"])
                self.batch_steps.said.copy_(within["said"])
            self.began = time.perf_counter() - within["seconds"]

    def state(self) -> dict[str, Any]:
        """Return everything that a bit-exact continuation needs, as copies on the CPU.

        They are complete when the queue has reached its next mark, whatever is queued behind it.
        ``within`` is of the epoch in progress, if one is.
        """
        epoch, batches = len(self.history), len(self.train_sizes)
        tasks = {self.trial.recipe.auxiliary.task} - {"none"}
        return {
            "configuration": self.configuration(self.trial),
            "epoch": epoch,
            **self.learner.state(epoch * batches + min(self.batch, batches), tasks),
            "history": json.dumps([result.to_dict() for result in self.history]),
            "examined": json.dumps(self.examined and self.examined.to_dict()),
            "within": self._within() if self.batch else None,
            **({"feedback": self.inputs.memory.state()} if self.inputs.memory else {}),
        }

    @property
    def reads_losses(self) -> bool:
        """Whether the loss of each training image is read at the end of an epoch."""
        return self.trial.diagnosed or self.inputs.memory is not None

    def _within(self) -> dict[str, Any]:
        seconds = time.perf_counter() - self.began
        within = {"batch": self.batch, "totals": host_copy(self.totals), "seconds": seconds}
        within |= {"said": host_copy(self.batch_steps.said), "test_batch": self.test_sizes[0]}
        if self.reads_losses:
            within["losses"] = host_copy(self.batch_steps.image_losses)
        return within

    def epoch(self, number: int, rate: float) -> Iterator[Progress]:
        """Train and test epoch ``number`` (1-based) from ``batch`` on, yielding between batches.

        When it ends, ``outcome`` has the results.
        """
        self.queue.mark()
        if not self.batch:
            self.began = time.perf_counter()
            self.totals.zero_()
            if number == self.first_retraining_epoch:
                self.learner.renew_classifier(self.trial.seed)
        self.inputs.stage(number)
        self.learner.rate.fill_(rate)
        test = len(self.train_sizes)
        behind = self.sequence[test if self.batch >= test else 0 : self.batch]
        self.batch_steps.position.fill_(sum(size for _, size in behind))
        self.task.read_ahead(self.inputs.shown, self.sequence, self.batch)
        for phase, size in self.sequence[self.batch :]:
            if self.batch == test:
                self.rewind()
            while not self.task.has_batch():
                yield Progress.WAITING
            self.task.take_batch(phase, size)
            self.step(phase, size)()
            self.queue.mark()
            self.batch += 1
            yield Progress.QUEUED
        self.read.copy_(self.totals, non_blocking=True)
        self.read_said.copy_(self.batch_steps.said, non_blocking=True)
        if self.reads_losses:
            self.read_losses.copy_(self.batch_steps.image_losses, non_blocking=True)
        yield from self.caught_up()
        self.inputs.observe(number, self.read_losses)
        self.batch = 0

    def step(self, phase: str, size: int) -> Step:
        """Return the step of ``sequence`` for the trial in the slot."""
        number = len(self.history) + 1
        variant = self.trial.recipe.variant_at(number, self.trial.benchmark.epochs)
        return self.steps[f"{phase} {variant if phase == 'train' else variant.head} {size}"]

    def caught_up(self) -> Iterator[Progress]:
        """Yield until the device has done what was queued for it before."""
        self.queue.mark()
        while not self.queue.reached():
            yield Progress.WAITING

    def outcome(self) -> tuple[float, float, np.ndarray]:
        """Return mean training loss, mean test loss, and counts of test images.

        The counts are int64 (G, 2, 2 halves, C), for each of ``POSTHOC``: correct ones, then those
        predicted as the class.
        """
        train, test = (float(x) for x in self.read[:2])
        counts = self.read[2:].numpy().astype(np.int64).reshape(-1, 2, 2, self.task.num_classes)
        return train / self.task.images, test / self.task.test_images, counts
