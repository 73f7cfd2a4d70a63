"""Helpers of the tests that train: small tasks, and what must be equal between two trainings."""

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.data.longtail import stratified_halves
from trainer.execution import loop
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.prepared import ImageData, load, prepare
from trainer.results import EpochResult
from trainer.trial import Trial

DIGITS = BENCHMARKS["resnet8-digitslt"]
CPU = torch.device("cpu")
FOREVER = 1e6
"""Seconds without a trial after which an engine in the tests' own process would end it."""


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    yield
    torch.set_num_threads(before)


@functools.cache
def digits_data() -> ImageData:
    with tempfile.TemporaryDirectory() as folder:
        return load(prepare(DIGITS, Path(folder)), DIGITS)


@functools.cache
def digits_task(device: torch.device = CPU) -> Task:
    return Task(digits_data(), DIGITS.padding, device)


def digits_trial(epochs: int = 4, seed: int = 3, precision: str = "fp32", **fields: Any) -> Trial:
    """Return a trial on the digits with uneven weights; ``fields`` change its benchmark."""
    benchmark = dataclasses.replace(DIGITS.with_epochs(epochs), **fields)
    weights = tuple(np.linspace(0.5, 1.5, benchmark.num_classes).tolist())
    return Trial.weighted(benchmark, weights, seed, precision)


def colour_images(random: np.random.Generator, number: int) -> np.ndarray:
    """Return smooth colour images with some noise, uint8 (number, 32, 32, 3)."""
    images = []
    for _ in range(number):
        coarse = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC))
        noise = random.integers(-20, 21, smooth.shape)
        images.append((smooth.astype(np.int64) + noise).clip(0, 255).astype(np.uint8))
    return np.stack(images)


def colour_task(train: int, test: int) -> tuple[Benchmark, ImageData]:
    """Return a benchmark of resnet8 on random colour images in ten classes, and its images."""
    cifar = BENCHMARKS["resnet32-cifar10lt"]
    benchmark = dataclasses.replace(cifar, network="resnet8", batch_size=32, epochs=3)
    random = np.random.default_rng(0)
    images = np.ascontiguousarray(colour_images(random, train + test).transpose(0, 3, 1, 2))
    labels = random.permutation(np.arange(train + test) % 10)
    assert benchmark.mean is not None
    assert benchmark.std is not None
    data = ImageData(
        train_images=images[:train],
        train_labels=labels[:train],
        test_images=images[train:],
        test_labels=labels[train:],
        class_names=tuple("abcdefghij"),
        half_a=stratified_halves(labels[train:]),
        mean=benchmark.mean,
        std=benchmark.std,
        fingerprint="random",
    )
    return benchmark, data


def last_slot(monkeypatch: pytest.MonkeyPatch) -> list[Slot]:
    """Return a list to which ``train`` will add the slot that it makes."""
    made: list[Slot] = []

    class Recorded(Slot):
        def __init__(self, like: Trial, task: Task) -> None:
            super().__init__(like, task)
            made.append(self)

    monkeypatch.setattr(loop, "Slot", Recorded)
    return made


def slot_with(trial: Trial, task: Task) -> Slot:
    """Return a slot that the trial has entered."""
    slot = Slot(trial, task)
    slot.enter(trial)
    return slot


def train_epoch(slot: Slot, number: int, rate: float = 0.1) -> None:
    for _ in slot.epoch(number, rate):
        pass


def momentum(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    state = optimizer.state_dict()["state"]
    return [state[index]["momentum_buffer"] for index in sorted(state)]


def all_numbers(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return parameters, batch-norm statistics and momentum buffers."""
    state = network.state_dict().items()
    numbers = [x for name, x in state if not name.endswith("num_batches_tracked")]
    return [*numbers, *momentum(optimizer)]


def all_equal(left: list[Tensor], right: list[Tensor]) -> bool:
    """Return whether the two lists agree in every bit."""
    return len(left) == len(right) and all(map(torch.equal, left, right))


def without_seconds(results: list[EpochResult]) -> list[dict[str, Any]]:
    return [result.to_dict() | {"seconds": None} for result in results]
