"""A slot trains one trial at a time on a device: fixed tensors, and the steps that work on them.

Everything a step reads or writes has a fixed address: the parameters, the epoch's plan, the
learning rate, even the position in the epoch. So a step takes no arguments and reads nothing on
the host, and a CUDA graph captured from it once serves every trial that enters the slot.
"""

import json
import time
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from spaces.loss import POSTHOC
from spaces.recipe import Variant
from trainer.execution.epoch_inputs import EpochInputs
from trainer.execution.graphs import Queue, Step, captured, compiled
from trainer.execution.task import Task
from trainer.models import BatchNorm2d, build
from trainer.results import EpochResult
from trainer.runtime import arithmetic
from trainer.strategies.adjustment import add_counts, log_priors, predictions
from trainer.strategies.loss import general_loss
from trainer.trial import Trial

EVALUATION_BATCH = 500


class Progress(Enum):
    """What a slot that has no result yet is doing."""

    QUEUED = "a batch was queued"
    WAITING = "everything is queued, and the device or the disk is not done"


def batch_sizes(images: int, batch: int) -> list[int]:
    """Return the sizes of an epoch's batches; the last one may be short."""
    return [min(batch, images - start) for start in range(0, images, batch)]


def host_copy(tensor: Tensor) -> Tensor:
    """Return a copy on the CPU; from a GPU it is queued, and its memory is pinned."""
    return tensor.to("cpu", non_blocking=True, copy=True)


class Slot:
    """A network, its optimizer and loss, and the batches' position, at fixed addresses.

    Attributes:
        network: channels_last, without the batch norms' step counters, which nothing reads.
        rate: learning rate, float32 ().
        variants: of the training step, that the slot has.
        inputs: of the epoch in progress: its plan, and the numbers of the loss.
        position: number of images behind in the epoch or the test set, int64 ().
        totals: float64 (2 + 4 * C * G,): sums over images of the training and the test loss, then
            for each of G post-hoc adjustments test images by half and class: correct, and
            predicted as the class.
        sequence: of an epoch's batches, each the phase and the number of images.
        history: results of the trial's finished epochs.
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
            variants: of the recipes that may come; None for those of ``like``'s variant.
        """
        self.like, self.task, device = like, task, task.device
        self.queue = Queue(device)
        self.network = self._network(like.seed).to(device)
        self.variants = tuple(variants or (like.recipe.variant,))
        self.losses = {"plain": self.plain_loss, "general": self.general_loss}
        self.answers = self.batch_answers
        if like.compiled:
            self.losses = {name: compiled(loss) for name, loss in self.losses.items()}
            self.answers = compiled(self.answers)
        self.rate = torch.zeros((), device=device)
        self.optimizer = self._optimizer()
        self.priors = log_priors(task.classes.counts).to(device)
        self.inputs = EpochInputs(task, pinned=self.queue.stream is not None)
        self.position = torch.zeros((), dtype=torch.int64, device=device)
        self.offsets = torch.arange(max(like.benchmark.batch_size, EVALUATION_BATCH), device=device)
        numbers = 2 + len(POSTHOC) * 4 * task.num_classes
        self.totals = torch.zeros(numbers, dtype=torch.float64, device=device)
        self.train_loss, self.test_loss = self.totals[:2]
        self.counts = self.totals[2:].view(len(POSTHOC), 2, -1)
        self.read = torch.zeros_like(self.totals, device="cpu")
        if self.queue.stream:
            self.read = self.read.pin_memory()
        self.train_sizes = batch_sizes(task.images, like.benchmark.batch_size)
        self.test_sizes = batch_sizes(task.test_images, EVALUATION_BATCH)
        self.sequence = [("train", size) for size in self.train_sizes]
        self.sequence += [("test", size) for size in self.test_sizes]
        self.history: list[EpochResult] = []
        self.batch = 0
        self.began = 0.0
        self.steps = self._steps(graphs and self.queue.stream is not None)

    def _network(self, seed: int) -> nn.Module:
        benchmark = self.like.benchmark
        network = build(benchmark.network, benchmark.channels, benchmark.num_classes, seed)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.num_batches_tracked = None
        return network.to(memory_format=torch.channels_last)

    def _optimizer(self) -> torch.optim.SGD:
        benchmark = self.like.benchmark
        optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=benchmark.learning_rate,
            momentum=benchmark.momentum,
            weight_decay=benchmark.weight_decay,
            fused=self.task.device.type == "cuda",  # on the CPU its last bit differs
        )
        for group in optimizer.param_groups:
            group["lr"] = self.rate  # as a tensor, it can change between replays of a graph
        for parameter in self.network.parameters():  # equal to none, but with an address
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return optimizer

    def _steps(self, graphs: bool) -> dict[str, Step]:
        """Return a step for each size of a batch, and of a training batch for each variant.

        They are named ``train plain 128``, ``test 500`` and so on.
        """
        steps: dict[str, Step] = {}
        for loss in (variant.loss for variant in self.variants):
            for size in sorted(set(self.train_sizes), reverse=True):
                steps[f"train {loss} {size}"] = partial(self.train_batch, loss, size)
        for size in sorted(set(self.test_sizes), reverse=True):
            steps[f"test {size}"] = partial(self.test_batch, size)
        if self.queue.stream:  # what was made until now is on another stream
            torch.cuda.synchronize(self.task.device)
        return captured(steps, self.queue, self.rewind) if graphs else steps

    def rewind(self) -> None:
        self.position.zero_()

    def momenta(self) -> list[Tensor]:
        return [self.optimizer.state[p]["momentum_buffer"] for p in self.network.parameters()]

    def configuration(self, trial: Trial) -> str:
        """Return what the numbers of ``trial`` in this slot depend on, for its checkpoints."""
        native = self.queue.stream and BatchNorm2d.native  # on the CPU the numbers are the same
        return f"{trial.fingerprint()}-{self.task.fingerprint}" + ("-native" if native else "")

    def enter(self, trial: Trial) -> None:
        """Put ``trial`` at its beginning into the slot."""
        assert (trial.benchmark, trial.precision) == (self.like.benchmark, self.like.precision)
        assert trial.compiled == self.like.compiled
        assert trial.recipe.variant in self.variants
        self.trial = trial
        self.history, self.batch = [], 0
        self.inputs.enter(trial)
        self._copy_network(self._network(trial.seed).state_dict())
        for buffer in self.momenta():
            buffer.zero_()

    def _copy_network(self, state: dict[str, Tensor]) -> None:
        for name, tensor in self.network.state_dict().items():
            tensor.copy_(state[name])

    def restore(self, state: dict[str, Any]) -> None:
        """Bring the trial to a saved ``state``."""
        self._copy_network(state["network"])
        saved = state["optimizer"]["state"]
        for index, buffer in enumerate(self.momenta()):
            buffer.copy_(saved[index]["momentum_buffer"])
        self.history = [EpochResult.from_dict(row) for row in json.loads(state["history"])]
        within = state.get("within")
        if within:
            self.batch = within["batch"]
            if len(within["totals"]) < len(self.totals):  # from before adjustments were measured
                self.batch = min(self.batch, len(self.train_sizes))
                self.totals.zero_()
                self.train_loss.copy_(within["totals"][0])
            else:
                self.totals.copy_(within["totals"])
            self.began = time.perf_counter() - within["seconds"]

    def state(self) -> dict[str, Any]:
        """Return everything that a bit-exact continuation needs, as copies on the CPU.

        They are complete when the queue has reached its next mark, whatever is queued behind it.
        ``network`` is a complete state dict, batch-norm counters included. ``within`` is of the
        epoch in progress, if one is.
        """
        network = {name: host_copy(x) for name, x in self.network.state_dict().items()}
        epoch, batches = len(self.history), len(self.train_sizes)
        steps = torch.tensor(epoch * batches + min(self.batch, batches))
        for name, module in self.network.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                network[f"{name}.num_batches_tracked"] = steps
        momenta = {i: {"momentum_buffer": host_copy(x)} for i, x in enumerate(self.momenta())}
        return {
            "configuration": self.configuration(self.trial),
            "epoch": epoch,
            "network": network,
            "optimizer": {"state": momenta},
            "history": json.dumps([result.to_dict() for result in self.history]),
            "within": self._within() if self.batch else None,
        }

    def _within(self) -> dict[str, Any]:
        seconds = time.perf_counter() - self.began
        return {"batch": self.batch, "totals": host_copy(self.totals), "seconds": seconds}

    def epoch(self, number: int, rate: float) -> Iterator[Progress]:
        """Train and test epoch ``number`` (1-based) from ``batch`` on, yielding between batches.

        When it ends, ``outcome`` has the results.
        """
        self.queue.mark()
        if not self.batch:
            self.began = time.perf_counter()
        self.inputs.stage(number)
        self.rate.fill_(rate)
        if not self.batch:
            self.totals.zero_()
        test = len(self.train_sizes)
        behind = self.sequence[test if self.batch >= test else 0 : self.batch]
        self.position.fill_(sum(size for _, size in behind))
        for phase, size in self.sequence[self.batch :]:
            if self.batch == test:
                self.rewind()
            self.step(phase, size)()
            self.queue.mark()
            self.batch += 1
            yield Progress.QUEUED
        self.read.copy_(self.totals, non_blocking=True)
        yield from self.caught_up()
        self.batch = 0

    def step(self, phase: str, size: int) -> Step:
        """Return the step of ``sequence`` for the trial in the slot."""
        loss = f" {self.trial.recipe.variant.loss}" if phase == "train" else ""
        return self.steps[f"{phase}{loss} {size}"]

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

    def train_batch(self, kind: str, size: int) -> None:
        """Take one optimizer step, by a loss of ``losses``, on the next images of the plan."""
        self.network.train()
        loss = self.losses[kind](size)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.train_loss += loss.detach() * size
        self.position += size

    def plain_loss(self, size: int) -> Tensor:
        """Return the weighted cross entropy, float32 (), of the plan's next ``size`` images."""
        logits, labels = self.training_logits(size)
        return functional.cross_entropy(logits, labels, weight=self.inputs.terms.weights)

    def general_loss(self, size: int) -> Tensor:
        """Return the general loss, float32 (), of the plan's next ``size`` images."""
        return general_loss(*self.training_logits(size), self.inputs.terms)

    def training_logits(self, size: int) -> tuple[Tensor, Tensor]:
        """Return logits, float32 (size, C), and labels (size,) of the plan's next images."""
        positions = self.position + self.offsets[:size]
        inputs, labels = self.task.training_batch(self.inputs.plan, positions)
        with arithmetic(self.like.precision, self.task.device):
            logits = self.network(inputs)
        return logits.float(), labels

    @torch.no_grad()
    def test_batch(self, size: int) -> None:
        """Evaluate the next ``size`` test images."""
        self.network.eval()
        loss, logits, labels, cells = self.answers(size)
        self.test_loss += loss
        layer = cast(nn.Linear, self.network.linear)
        add_counts(self.counts, predictions(logits, layer, self.priors, POSTHOC), labels, cells)
        self.position += size

    def batch_answers(self, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what the network says of the next ``size`` test images.

        That is the sum of their losses, float32 (), and the logits, float32 (size, C); then their
        labels and their cells, the half * C + class, int64 (size,).
        """
        inputs, labels, cells = self.task.test_batch(self.position + self.offsets[:size])
        with arithmetic(self.like.precision, self.task.device):
            logits = self.network(inputs).float()
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        return loss, logits, labels, cells
