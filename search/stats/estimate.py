"""Estimates of what an arm reaches and by how much it differs, with their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from spaces.counts import FloatArray

LEVEL = 0.95
"""Of every interval of a run, and of the set of arms that holds the best one."""


class Unit(StrEnum):
    """What the value of a run counts."""

    PERCENT = "percent"
    """Accuracy on one benchmark; differences are points."""

    NOISE_SDS = "noise SDs"
    """Mean over benchmarks of accuracy / seed-to-seed standard deviation there: only differences
    between arms mean something."""

    @property
    def of_differences(self) -> str:
        """What differences are counted in, in words."""
        return "points" if self is Unit.PERCENT else str(self)

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that there can be."""
        return (0.0, 100.0) if self is Unit.PERCENT else (-math.inf, math.inf)


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, in the unit of what is estimated."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: FloatArray) -> Estimate:
        low, high = np.quantile(draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        return cls(float(draws.mean()), float(low), float(high))


@dataclass(frozen=True)
class Difference:
    """The winner's true value less that of a control.

    Attributes:
        control: its name.
        points: the difference, points or noise SDs.
        probability: that it is above 0.
    """

    control: str
    points: Estimate
    probability: float


@dataclass(frozen=True)
class Arm:
    """What is known of one arm.

    Attributes:
        seeds: how many fresh seeds it ran with.
        raw_mean: of its runs.
        accuracy: the true one, or whatever the runs' values are.
        probability_best: of all arms.
    """

    name: str
    seeds: int
    raw_mean: float
    accuracy: Estimate
    probability_best: float
