"""Every named training strategy trains: on some digits, and on some real images."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from training import CPU, DIGITS, digits_data

from spaces import POSTHOC, STRATEGIES
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.execution.loop import train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.prepared import ImageData, load, prepare
from trainer.trial import Trial

VARIANTS = tuple({v for named in STRATEGIES.values() for v in named.strategy.variants})


def share_of_each(labels: np.ndarray, divisor: int) -> np.ndarray:
    """Return the positions of a share of each class, which is one or more."""
    return np.concatenate([np.flatnonzero(labels == c)[::divisor] for c in np.unique(labels)])


def small(benchmark: Benchmark, data: ImageData, divisor: int) -> tuple[Benchmark, ImageData]:
    """Return two epochs on a share of the images of each class."""
    train, test = (share_of_each(x, divisor) for x in (data.train_labels, data.test_labels))
    return benchmark.with_epochs(2), data.subset(train, test)


PLAIN_AT_FIRST = {"ce", "crt", "uniform", "drw", "drs", "progressive_sampling", "tau_norm"}


def assert_each_trains(benchmark: Benchmark, data: ImageData, plain: set[str]) -> None:
    """Check two epochs of every strategy; ``plain`` begin as plain training does."""
    like = Trial.weighted(benchmark, (1.0,) * benchmark.num_classes, 3, "fp32")
    slot = Slot(like, Task(data, benchmark.padding, CPU), variants=VARIANTS)
    first = {}
    for name, named in STRATEGIES.items():
        trial = dataclasses.replace(like, recipe=named.strategy.recipe(data.counts))
        one, two = train(trial, slot.task, slot=slot)  # whose losses are finite
        assert two.profile is not None
        assert len(two.profile) == len(POSTHOC)
        first[name] = one.train_loss
    assert {name for name, loss in first.items() if loss == first["ce"]} == plain


def test_every_strategy_trains_on_digits() -> None:
    assert_each_trains(*small(DIGITS, digits_data(), divisor=4), PLAIN_AT_FIRST)


@pytest.mark.slow
def test_every_strategy_trains_on_real_images(shared_data: Path) -> None:
    benchmark = dataclasses.replace(BENCHMARKS["resnet32-cifar100lt"], network="resnet8")
    data = load(prepare(benchmark, shared_data), benchmark)
    # Half of the classes and more have one image of so few, as the median then has.
    plain = PLAIN_AT_FIRST | {"median_split_effective"}
    assert_each_trains(*small(benchmark, data, divisor=60), plain)
