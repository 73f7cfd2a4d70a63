"""What did the runs of an arm reach, beside the official number, and where does it gain?

`accuracies` and `half_split` state numbers that flatter less than the best epoch on all test
images, `gains` says in which classes a weighting gains. Accuracies are percent, differences points.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from search.confirmation import PUBLISHED_SEEDS
from search.estimate import LEVEL, Estimate
from search.ranking import FloatArray
from trainer.results import shot_groups

Curves = Mapping[int, npt.NDArray[np.int64]]
"""Seed index of a run -> its correct test images (epochs, 2, C), by half A and B and by class."""


@dataclass(frozen=True)
class Accuracies:
    """What the runs of one arm reached, means over the runs, percent.

    Attributes:
        runs: how many.
        best: the official number: the best epoch on the whole test set.
        last, last_ten: of the last epoch, and of the last ten, which choose nothing.
        half_a: on half A at the epoch that is the best there.
        half_b: on half B at that same epoch, which half B had no part in choosing.
        seed_42: ``best`` of the run with that seed, which published rows show; None if it is not
            among the runs.
        published_mean: ``best`` over the three published seeds; None if one is missing.
    """

    runs: int
    best: float
    last: float
    last_ten: float
    half_a: float
    half_b: float
    seed_42: float | None
    published_mean: float | None


@dataclass(frozen=True)
class HalfSplit:
    """The weighting and epochs chosen on half A of the test set, and what half B says of them.

    It takes away the luck of test images, in the choice of an epoch and of an arm. The luck of
    seeds it does not take away: a lucky training is lucky on both halves. `verdict` does that.

    Attributes:
        arm: the best on half A.
        accuracies: of that arm's runs; ``half_b`` is the honest one.
        official_arm: the best by the best epoch on the whole test set, and ``official`` its mean.
    """

    arm: str
    accuracies: Accuracies
    official_arm: str
    official: float

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Gains:
    """By how much a weighting's class accuracies exceed those of uniform weights, points.

    Attributes:
        seeds: that both ran with; differences are taken within a seed.
        classes: mean difference of each class, (C,).
        shots: of the many-, medium- and few-shot classes, with t intervals over the seeds. They
            are not corrected for the choice of the weighting.
    """

    seeds: int
    classes: tuple[float, ...]
    shots: dict[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"classes": list(self.classes)}


def accuracies(curves: Curves, half_sizes: npt.ArrayLike) -> Accuracies:
    """Return what the runs of one arm reached.

    Args:
        curves: correct test images (epochs, 2, C) of each run.
        half_sizes: test images in halves A and B of each class, (2, C).

    Raises:
        ValueError: no run, or shapes that do not fit.
    """
    sizes = _sizes(curves, half_sizes)
    rows = []
    for correct in curves.values():
        halves = 100.0 * np.asarray(correct).sum(axis=2) / sizes.sum(axis=1)
        whole = _whole(correct, sizes)
        chosen = halves[int(halves[:, 0].argmax())]
        rows.append((whole.max(), whole[-1], whole[-10:].mean(), chosen[0], chosen[1]))
    best = dict(zip(curves, (float(row[0]) for row in rows), strict=True))
    published = [best[index] for index in range(len(PUBLISHED_SEEDS)) if index in best]
    mean = float(np.mean(published)) if len(published) == len(PUBLISHED_SEEDS) else None
    whole_mean, last, last_ten, half_a, half_b = np.mean(rows, axis=0).tolist()
    return Accuracies(len(rows), whole_mean, last, last_ten, half_a, half_b, best.get(0), mean)


def half_split(arms: Mapping[str, Curves], half_sizes: npt.ArrayLike) -> HalfSplit:
    """Choose the arm and the epoch of each of its runs on half A, and report half B.

    Args:
        arms: the curves of each arm's runs; ties go to the arm that is named first.
        half_sizes: test images in halves A and B of each class, (2, C).

    Raises:
        ValueError: no arm, or as ``accuracies``.
    """
    if not arms:
        raise ValueError("arms: got none; there must be one or more")
    found = {arm: accuracies(curves, half_sizes) for arm, curves in arms.items()}
    chosen = max(found, key=lambda arm: found[arm].half_a)
    official = max(found, key=lambda arm: found[arm].best)
    return HalfSplit(chosen, found[chosen], official, found[official].best)


def gains(
    winner: Curves, uniform: Curves, half_sizes: npt.ArrayLike, counts: Sequence[int]
) -> Gains:
    """Return where a weighting gains over uniform weights, each run at its best epoch.

    Args:
        winner, uniform: curves by seed; seeds that only one of them has are left out.
        half_sizes: test images in halves A and B of each class, (2, C).
        counts: training images per class, (C,).

    Raises:
        ValueError: fewer than two common seeds, or shapes that do not fit.
    """
    common = sorted(winner.keys() & uniform.keys())
    if len(common) < 2:
        raise ValueError(f"seeds: got {len(common)} common ones; must be at least 2")
    sizes = _sizes(winner, half_sizes)
    _sizes(uniform, half_sizes)
    differences = np.array(
        [_best_classes(winner[s], sizes) - _best_classes(uniform[s], sizes) for s in common]
    )
    shots = {
        name: _t_interval(differences[:, mask].mean(axis=1))
        for name, mask in shot_groups(counts).items()
        if mask.any()
    }
    return Gains(len(common), tuple(differences.mean(axis=0).tolist()), shots)


def _sizes(curves: Curves, half_sizes: npt.ArrayLike) -> FloatArray:
    """The half sizes as float64 (2, C), checked against every curve."""
    sizes = np.asarray(half_sizes, dtype=np.float64)
    if not curves:
        raise ValueError("curves: got no run; there must be one or more")
    for correct in curves.values():
        shape = np.shape(correct)
        if len(shape) != 3 or shape[1:] != sizes.shape or not shape[0]:
            raise ValueError(
                f"curve: got shape {shape} for halves {sizes.shape}; must be (epochs, 2, C)"
            )
    return sizes


def _whole(correct: npt.NDArray[np.int64], sizes: FloatArray) -> FloatArray:
    """Accuracy on the whole test set by epoch, percent (epochs,)."""
    return np.asarray(100.0 * np.asarray(correct).sum(axis=(1, 2)) / sizes.sum())


def _best_classes(correct: npt.NDArray[np.int64], sizes: FloatArray) -> FloatArray:
    """Class accuracies at the first epoch of the best whole accuracy, percent (C,)."""
    best = int(_whole(correct, sizes).argmax())
    return np.asarray(100.0 * np.asarray(correct)[best].sum(axis=0) / sizes.sum(axis=0))


def _t_interval(values: FloatArray) -> Estimate:
    mean, error = float(values.mean()), float(stats.sem(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return Estimate(mean, mean - half, mean + half)
