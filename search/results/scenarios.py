"""Accuracy by scenario: what arms reach on images of each tag, and where the winner gains there."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.stats.accuracies import t_interval
from search.stats.estimate import Estimate
from spaces.counts import FloatArray
from spaces.parts.words import number_of
from trainer.diagnosis.scenarios import FEW_IMAGES, Scenario
from trainer.results import EpochResult

FEWEST_RUNS = 2
"""In common, for a difference with an interval."""

SHOWN = 5
"""Scenarios that are named together, the largest differences first."""
NORMAL = 1.96
"""Standard deviations of a normal distribution that hold 95 % of it on either side."""

Runs = Mapping[int, Sequence[EpochResult]]
"""Epochs of the runs of an arm, by seed index."""


@dataclass(frozen=True)
class ScenarioGains:
    """By how much the winner's accuracy differs from that of a control, by scenario.

    Attributes:
        control: its name.
        seeds: that both ran with; differences are taken within a seed.
        points: of each scenario, (S,); None where it has no image.
    """

    control: str
    seeds: int
    points: tuple[Estimate | None, ...]


@dataclass(frozen=True)
class ByScenario:
    """The accuracy of arms by scenario, each run at its best epoch.

    Attributes:
        winner: label of the first arm.
        scenarios: of the benchmark, (S,).
        images: of which the accuracies are, of each scenario, (S,).
        arms: label -> mean over its runs, percent, (S,); None where there are no images.
        gains: of the winner over the other arms; empty where too few seeds are common.
    """

    winner: str
    scenarios: tuple[Scenario, ...]
    images: tuple[int, ...]
    arms: dict[str, tuple[float | None, ...]]
    gains: tuple[ScenarioGains, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(scenario.name for scenario in self.scenarios)

    def sentences(self) -> list[str]:
        """Return where the winner gains or loses, where that cannot be told, and who is too few."""
        return [*self.differences(), *self.doubts()]

    def differences(self) -> list[str]:
        """Return where the winner gains or loses, the largest differences of each pair first."""
        said = []
        for gains in self.gains:
            sure = [(n, p) for n, p in self._told(gains) if p.low > 0 or p.high < 0]
            sure.sort(key=lambda told: -abs(told[1].mean))
            said += [self._gain(n, points, gains.control) for n, points in sure[:SHOWN]]
            if len(sure) > SHOWN:
                more = number_of(len(sure) - SHOWN, "more scenario")
                said.append(f"{self.winner} and {gains.control} differ in {more}.")
        return said

    def doubts(self) -> list[str]:
        """Return where the winner cannot be told from the others, and who has too few images."""
        said = []
        for gains in self.gains:
            unsure = [self.names[n] for n, p in self._told(gains) if p.low <= 0 <= p.high]
            if unsure:
                pair = f"{self.winner} and {gains.control}"
                said.append(f"{pair} cannot be told apart on {some(map(repr, unsure))} images.")
        few = [
            f"{n!r} ({k})" for n, k in zip(self.names, self.images, strict=True) if k < FEW_IMAGES
        ]
        if few:
            said.append(f"Too few images, under {FEW_IMAGES}, to say anything of: {some(few)}.")
        return said

    def _told(self, gains: ScenarioGains) -> list[tuple[int, Estimate]]:
        """The scenarios of enough images, and the differences there."""
        told = enumerate(zip(gains.points, self.images, strict=True))
        return [(n, points) for n, (points, k) in told if points and k >= FEW_IMAGES]

    def spread(self) -> str:
        """Return in which scenarios of enough images the winner is least and most accurate."""
        reached = {
            n: percent
            for n, percent in enumerate(self.arms[self.winner])
            if percent is not None and self.images[n] >= FEW_IMAGES
        }
        if not reached:
            return f"No scenario has {FEW_IMAGES} images."
        ends = (min(reached, key=reached.__getitem__), max(reached, key=reached.__getitem__))
        said = (
            f"{reached[n]:.1f} % on {self.names[n]!r} images ({self.images[n]:,})"
            for n in dict.fromkeys(ends)
        )
        return f"{self.winner} reaches {' to '.join(said)}."

    def _gain(self, place: int, points: Estimate, control: str) -> str:
        verb, preposition = ("gains", "over") if points.mean > 0 else ("loses", "against")
        low, high = sorted(map(abs, (points.low, points.high)))
        return (
            f"On {self.names[place]!r} images ({self.images[place]:,}) {self.winner} {verb} "
            f"{abs(points.mean):.1f} points ({low:.1f} to {high:.1f}) {preposition} {control}."
        )

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def by_scenario(
    arms: Mapping[str, Runs], scenarios: tuple[Scenario, ...], halves: Sequence[int] = (0, 1)
) -> ByScenario | None:
    """Return what arms reach by scenario; None where the images have none, or the first no run.

    Args:
        arms: label -> runs at full length, the winner first; those that are not diagnosed are left
            out.
        halves: of the images, whose accuracies they are.
    """
    images = np.array([[s.evaluated[half] for half in halves] for s in scenarios]).sum(1)
    accuracies = {
        label: {
            seed: 100 * np.array(found)[:, list(halves)].sum(1) / np.where(images, images, np.nan)
            for seed, epochs in runs.items()
            if (found := correct(epochs)) and len(found) == len(scenarios)
        }
        for label, runs in arms.items()
    }
    winner = next(iter(arms))
    known = {label: runs for label, runs in accuracies.items() if runs}
    if winner not in known:
        return None
    gains = []
    for label in known:
        common = sorted(known[winner].keys() & known[label].keys())
        if label != winner and len(common) >= FEWEST_RUNS:
            points = np.array([known[winner][s] - known[label][s] for s in common])
            told = tuple(map(difference, points.T, images.tolist()))
            gains.append(ScenarioGains(label, len(common), told))
    means = {label: np.mean([*runs.values()], axis=0).tolist() for label, runs in known.items()}
    return ByScenario(
        winner=winner,
        scenarios=scenarios,
        images=tuple(images.tolist()),
        arms={k: tuple(None if np.isnan(m) else m for m in of) for k, of in means.items()},
        gains=tuple(gains),
    )


def image_luck(percent: float | None, images: int) -> float | None:
    """Return how far an accuracy may be off by the luck of the images, points (95 %).

    That is half the width of the interval of Agresti and Coull (1998).
    """
    if percent is None or not images:
        return None
    n = images + NORMAL**2
    share = (percent / 100 * images + NORMAL**2 / 2) / n
    return 100 * NORMAL * math.sqrt(share * (1 - share) / n)


def some(names: Iterable[str]) -> str:
    """Return the first names, and how many more there are."""
    every = list(names)
    return ", ".join(every[:SHOWN]) + (f" and {n} more" if (n := len(every) - SHOWN) > 0 else "")


def correct(epochs: Sequence[EpochResult]) -> tuple[tuple[int, int], ...] | None:
    """Return the correct images by scenario and half at a run's best epoch; None if not known."""
    diagnosis = epochs[-1].diagnosis if epochs else None
    best = diagnosis.best if diagnosis else None
    return best.scenarios if best else None


def difference(points: FloatArray, images: int) -> Estimate | None:
    """Return a mean over seeds with a t interval, no narrower than an image either way."""
    if not images:
        return None
    found, image = t_interval(points), 100 / images
    low, high = min(found.low, found.mean - image), max(found.high, found.mean + image)
    return Estimate(found.mean, low, high)
