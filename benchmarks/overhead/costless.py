"""Costless training: made-up accuracy curves in place of epochs, the same every time."""

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from search.config.objective import BenchmarkObjective, Objective
from search.workers.schedule import PartResult, interleave
from search.workers.setup import WorkerSetup
from search.workers.trainable import TrialTrainable
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.provenance import processor
from trainer.results import EpochResult

BENCHMARK = BENCHMARKS["resnet32-cifar100lt"]
"""The longest epochs of all benchmarks: a result has 200 counts."""
TEST_IMAGES = 100
"""Of each class."""
START_SECONDS = 120
PEAK, SPREAD, NOISE = 39.0, 6.0, 0.7
"""Percent: the best weighting's accuracy, what a factor e beside it costs, and trials' noise."""


def facts_of(benchmark: Benchmark) -> Objective:
    half = (TEST_IMAGES // 2,) * benchmark.num_classes
    counts = tuple(benchmark.counts.tolist())
    return Objective((BenchmarkObjective(benchmark.name, benchmark.epochs, counts, (half, half)),))


def final_accuracy(weights: Sequence[float], random: np.random.Generator) -> float:
    """Return the accuracy in percent that a trial comes near to; some ratio of weights is best."""
    steepness = np.log(max(weights) / min(weights))
    value = PEAK - SPREAD * (steepness - 2.5) ** 2 / 4 + random.normal(0.0, NOISE)
    return float(np.clip(value, 5.0, 95.0))


def results_of(weights: Sequence[float], seed: int, epochs: int) -> Iterator[EpochResult]:
    """Yield the results of a trial with these class weights (C,) and this seed."""
    random = np.random.default_rng(seed)
    classes = len(weights)
    final = final_accuracy(weights, random)
    share = 0.01 * final * (1 - np.exp(-5 * np.arange(1, epochs + 1) / epochs))
    halves = random.binomial(TEST_IMAGES // 2, share[:, None, None], (epochs, 2, classes))
    best = 0.0
    for epoch, correct in enumerate(halves, 1):
        accuracy = 100.0 * int(correct.sum()) / (TEST_IMAGES * classes)
        best = max(best, accuracy)
        half_a, half_b = (tuple(half.tolist()) for half in correct)
        yield EpochResult(epoch, 1.0, 2.0, 0.1, 0.0, accuracy, best, (half_a, half_b))


class CostlessTrainable(TrialTrainable):
    """A worker that reports without training, once all workers have started.

    Ray Tune hands a worker that is free to a trial whose own worker is still starting, and gives
    that one up. Trials that end sooner than a worker starts would so keep all but one from ever
    coming up.
    """

    def setup(
        self, config: dict[str, Any], shared: WorkerSetup | None = None, workers: int = 1
    ) -> None:
        super().setup(config, shared)
        assert shared is not None
        (shared.run / f"worker-{os.getpid()}").touch()
        deadline = time.monotonic() + START_SECONDS
        while len(list(shared.run.glob("worker-*"))) < workers and time.monotonic() < deadline:
            time.sleep(0.01)

    def begin(self, config: dict[str, Any]) -> Iterator[PartResult]:
        self.hardware = processor()
        parts = config["parts"]

        def train_part(number: int) -> Iterator[EpochResult]:
            part = parts[number]
            epochs = self.shared.benchmarks[part["benchmark"]].epochs
            return results_of(part["recipe"]["weights"], config["seed"], epochs)

        yield from interleave(self.legs, [part["known_epochs"] for part in parts], train_part)
