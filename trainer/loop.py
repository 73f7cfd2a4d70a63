"""How a network is trained under the fixed protocol: one generator of per-epoch results."""

import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR

from trainer import checkpoint
from trainer.augment import Augmenter, epoch_plan, normalise
from trainer.benchmarks import Benchmark
from trainer.data import ImageData
from trainer.models import build
from trainer.precision import PRECISIONS, arithmetic
from trainer.results import EpochResult

EVALUATION_BATCH = 500
SCALE_FREE_LOSS = True
"""Multiplying all class weights by a constant changes nothing: ``nn.CrossEntropyLoss(weight=w)``
divides a batch's loss by the batch's sum of weights."""


class TrainingError(Exception):
    """Training cannot go on; ``epoch`` (1-based) is where and the message is why."""

    def __init__(self, epoch: int, reason: str) -> None:
        super().__init__(f"epoch {epoch}: {reason}")
        self.epoch = epoch


@dataclass(frozen=True)
class Trial:
    """One network to train: everything its numbers depend on except the data and the device.

    Attributes:
        benchmark: the protocol, data set and network.
        weights: class weights (C,), finite, non-negative and not all zero; used in float32 as
            they are.
        seed: non-negative; gives the initialisation and every epoch's plan.
        precision: a key of ``PRECISIONS``.
    """

    benchmark: Benchmark
    weights: tuple[float, ...]
    seed: int
    precision: str = "tf32"

    def __post_init__(self) -> None:
        if len(self.weights) != self.benchmark.num_classes:
            raise ValueError(
                f"weights has {len(self.weights)} entries; {self.benchmark.name} has "
                f"{self.benchmark.num_classes} classes."
            )
        if not all(math.isfinite(w) and w >= 0 for w in self.weights):
            raise ValueError(f"weights must be finite and non-negative, got {self.weights}.")
        if not any(self.weights):
            raise ValueError("weights are all zero; at least one must be positive.")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}, must be one of {list(PRECISIONS)}.")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}, must be in 0..2**63-1.")

    def fingerprint(self) -> str:
        """Return the hash that a checkpoint must carry to continue this trial."""
        weights = [float(w).hex() for w in self.weights]
        facts = [self.benchmark.fingerprint(), weights, self.seed, self.precision]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


class Task:
    """A benchmark's images on a device, ready for training and evaluation."""

    def __init__(self, data: ImageData, padding: int, device: torch.device) -> None:
        def here(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device)

        self.device = device
        self.fingerprint = data.fingerprint
        self.augmenter = Augmenter(here(data.train_images), padding)
        self.train_labels = here(data.train_labels)
        self.test_images = here(data.test_images)
        self.test_labels = here(data.test_labels)
        self.mean = torch.tensor(data.mean, dtype=torch.float32, device=device).view(-1, 1, 1)
        self.std = torch.tensor(data.std, dtype=torch.float32, device=device).view(-1, 1, 1)
        half = (~here(data.half_a)).long()
        self.num_classes = len(data.class_names)
        self.half_and_class = half * self.num_classes + self.test_labels


def learning_rates(benchmark: Benchmark) -> list[float]:
    """Return the learning rate of each epoch, made by torch's own cosine annealing."""
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=benchmark.learning_rate)
    scheduler = CosineAnnealingLR(optimizer, T_max=benchmark.epochs)
    rates = []
    for _ in range(benchmark.epochs):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


class Learner:
    """A trial's network, optimizer and loss on a device: the state that lives across epochs."""

    def __init__(self, trial: Trial, task: Task) -> None:
        benchmark = trial.benchmark
        self.trial, self.task = trial, task
        self.network = build(
            benchmark.network, benchmark.channels, benchmark.num_classes, trial.seed
        ).to(task.device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=benchmark.learning_rate,
            momentum=benchmark.momentum,
            weight_decay=benchmark.weight_decay,
        )
        weights = torch.tensor(trial.weights, dtype=torch.float32, device=task.device)
        self.loss = nn.CrossEntropyLoss(weight=weights)

    def train_epoch(self, epoch: int, rate: float) -> float:
        """Train one epoch and return its mean weighted loss."""
        benchmark, task = self.trial.benchmark, self.task
        images = len(task.train_labels)
        plan = epoch_plan(self.trial.seed, epoch, images, benchmark.padding, benchmark.flip)
        plan = plan.to(task.device)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        total = torch.zeros((), dtype=torch.float64, device=task.device)
        for start in range(0, images, benchmark.batch_size):
            stop = min(start + benchmark.batch_size, images)
            inputs = normalise(task.augmenter.batch(plan, start, stop), task.mean, task.std)
            loss = self.step(inputs, task.train_labels[plan.order[start:stop]])
            total += loss * (stop - start)
        return float(total) / images

    def step(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Take one optimizer step and return the batch's loss, detached, on the device."""
        with arithmetic(self.trial.precision, self.task.device):
            logits = self.network(inputs)
        loss: Tensor = self.loss(logits.float(), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def evaluate(self) -> tuple[float, np.ndarray]:
        """Return the mean unweighted test loss and the correct counts, int64 (2 halves, C)."""
        task = self.task
        self.network.eval()
        loss = torch.zeros((), dtype=torch.float64, device=task.device)
        cells = torch.zeros(2 * task.num_classes, dtype=torch.int64, device=task.device)
        for start in range(0, len(task.test_labels), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            labels = task.test_labels[part]
            with arithmetic(self.trial.precision, task.device):
                logits = self.network(normalise(task.test_images[part], task.mean, task.std))
            loss += functional.cross_entropy(logits.float(), labels, reduction="sum")
            hits = (logits.argmax(1) == labels).long()
            cells.index_add_(0, task.half_and_class[part], hits)
        correct = cells.cpu().numpy().reshape(2, task.num_classes)
        return float(loss) / len(task.test_labels), correct

    def state(self, epoch: int, history: list[EpochResult]) -> dict[str, Any]:
        """Return everything that a bit-exact continuation needs."""
        return {
            "configuration": self.configuration(),
            "epoch": epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": json.dumps([result.to_dict() for result in history]),
        }

    def restore(self, state: dict[str, Any]) -> list[EpochResult]:
        """Load ``state`` and return the results of the epochs it has behind it."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        return [EpochResult.from_dict(row) for row in json.loads(state["history"])]

    def configuration(self) -> str:
        return f"{self.trial.fingerprint()}-{self.task.fingerprint}"


def run_epoch(learner: Learner, epoch: int, rate: float, best: float) -> EpochResult:
    """Train and evaluate one epoch.

    Raises:
        TrainingError: the training or the test loss is not finite.
    """
    start = time.perf_counter()
    train_loss = learner.train_epoch(epoch, rate)
    if not math.isfinite(train_loss):
        raise TrainingError(epoch, f"the training loss is {train_loss}; the network diverged.")
    test_loss, correct = learner.evaluate()
    if not math.isfinite(test_loss):
        raise TrainingError(epoch, f"the test loss is {test_loss}; the network diverged.")
    accuracy = 100.0 * int(correct.sum()) / len(learner.task.test_labels)
    half_a, half_b = (tuple(int(x) for x in half) for half in correct)
    return EpochResult(
        epoch=epoch,
        train_loss=train_loss,
        test_loss=test_loss,
        learning_rate=rate,
        seconds=time.perf_counter() - start,
        test_accuracy=accuracy,
        best_accuracy=max(best, accuracy),
        correct=(half_a, half_b),
    )


def train(
    trial: Trial, task: Task, folder: Path | None = None, save_every: int = 10
) -> Iterator[EpochResult]:
    """Yield the result of every epoch of ``trial``, from the first to the last.

    With a ``folder``, progress is saved there every ``save_every`` epochs, before the epoch is
    yielded. Epochs already behind the newest checkpoint are yielded from it without training, and
    training goes on bit-exactly from there.

    Raises:
        TrainingError: the loss is no longer finite.
        CheckpointError: the folder's checkpoints cannot be used, or one cannot be written.
    """
    learner = Learner(trial, task)
    state = checkpoint.newest(folder, learner.configuration()) if folder else None
    history = learner.restore(state) if state else []
    yield from list(history)
    rates = learning_rates(trial.benchmark)
    for epoch in range(len(history) + 1, trial.benchmark.epochs + 1):
        best = history[-1].best_accuracy if history else 0.0
        history.append(run_epoch(learner, epoch, rates[epoch - 1], best))
        if folder and epoch % save_every == 0 and epoch < trial.benchmark.epochs:
            checkpoint.save(folder, epoch, learner.state(epoch, history))
        yield history[-1]
