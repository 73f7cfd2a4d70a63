"""What a search must know of the benchmarks it trains on, and how it weighs them up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.ranking import NOISE_SD

Stages = tuple[tuple[int, ...], ...]
"""Epochs that the parts of a trial reach, stage by stage: (S, parts)."""


@dataclass(frozen=True)
class BenchmarkFacts:
    """What a search must know of one benchmark.

    Attributes:
        epochs: of a full-length training.
        counts: training images per class, (C,).
        half_counts: test images per class in halves A and B of the test set, (2, C).
        noise_sd: of the best accuracy between seeds, points; None where it is not known.
    """

    name: str
    epochs: int
    counts: tuple[int, ...]
    half_counts: tuple[tuple[int, ...], tuple[int, ...]]
    noise_sd: float | None = None

    @property
    def test_counts(self) -> tuple[int, ...]:
        """Test images per class, (C,)."""
        return tuple(a + b for a, b in zip(*self.half_counts, strict=True))

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "BenchmarkFacts":
        half_a, half_b = data["half_counts"]
        return cls(
            name=data["name"],
            epochs=data["epochs"],
            counts=tuple(data["counts"]),
            half_counts=(tuple(half_a), tuple(half_b)),
            noise_sd=data["noise_sd"],
        )


@dataclass(frozen=True)
class Facts:
    """The benchmarks of a search, and the one on which its verdict is tried at the end, if any.

    A trial is scored by its best test accuracy in percent. A trial of a joint search, over B
    benchmarks, is scored by the mean over the benchmarks of accuracy / noise SD, so that a point
    counts the more, the less luck there is in it. Less the score of uniform weights, that is the
    mean gain over uniform in units of each benchmark's noise.
    """

    benchmarks: tuple[BenchmarkFacts, ...]
    holdout: BenchmarkFacts | None = None

    @property
    def all_benchmarks(self) -> tuple[BenchmarkFacts, ...]:
        """The benchmarks of the search, then the hold-out."""
        return (*self.benchmarks, self.holdout) if self.holdout else self.benchmarks

    @property
    def joint(self) -> bool:
        return len(self.benchmarks) > 1

    @property
    def epochs(self) -> int:
        """Epochs of a full-length training on the first benchmark, in which rungs are counted."""
        return self.benchmarks[0].epochs

    @property
    def epochs_of_all(self) -> int:
        """Epochs of a full-length trial on all benchmarks together."""
        return sum(benchmark.epochs for benchmark in self.benchmarks)

    @property
    def noise_guess(self) -> float:
        """The standard deviation to expect between the scores of two runs of one weighting."""
        if self.joint:
            return 1 / math.sqrt(len(self.benchmarks))
        return self.benchmarks[0].noise_sd or NOISE_SD

    def score(self, accuracies: Sequence[float]) -> float:
        """Return what accuracies in percent, one per benchmark, are worth."""
        if not self.joint:
            return accuracies[0]
        pairs = zip(accuracies, self.benchmarks, strict=True)
        return sum(a / (b.noise_sd or NOISE_SD) for a, b in pairs) / len(self.benchmarks)

    def stages(self, rungs: Sequence[int]) -> Stages:
        """Return what every benchmark reaches at each rung, and at the end of the trial.

        A rung lies at the same part of the training on all benchmarks, rounded up to an epoch.
        """
        lengths = [benchmark.epochs for benchmark in self.benchmarks]
        shares = [(rung, self.epochs) for rung in rungs]
        reached = [tuple(-(-n * rung // whole) for n in lengths) for rung, whole in shares]
        return (*reached, tuple(lengths))
