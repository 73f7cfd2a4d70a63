"""Accuracies that an arm reached beside the official number, and its gains by class.

`accuracies` and `half_split` state numbers that flatter less than the best epoch on all test
images, `gains` says in which classes a weighting gains. Scores are percent, differences points.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from search.stats.estimate import LEVEL, Estimate
from search.stats.scoring import Curve, Scoring, half_a, half_b
from spaces.counts import FloatArray
from trainer.benchmarks.metrics import METRICS
from trainer.benchmarks.published import PUBLISHED_SEEDS
from trainer.results import shot_groups

Curves = Mapping[int, Curve]
"""Of the runs of an arm, by seed index."""


@dataclass(frozen=True)
class Accuracies:
    """What the runs of one arm reached in the benchmark's metric, means over the runs, percent.

    Attributes:
        runs: how many.
        best: the official number: the best epoch on the images that choose.
        last, last_ten: there, of the last epoch, and of the last ten, which choose nothing.
        half_a: on half A at the epoch that is the best there.
        half_b: on half B at that same epoch, which half B had no part in choosing; both are None
            where the images do not come in halves.
        metrics: every metric at the best epoch, on the images that judge (``Scoring.judging``);
            None where one is not known of a run.
        classes: class accuracies there, (C,); None where they are not known.
        seed_42: ``best`` of the run with that seed, which published rows show; None if it is not
            among the runs.
        published_mean: ``best`` over the three published seeds; None if one is missing.
    """

    runs: int
    best: float
    last: float
    last_ten: float
    half_a: float | None
    half_b: float | None
    metrics: dict[str, float | None]
    classes: tuple[float, ...] | None
    seed_42: float | None
    published_mean: float | None


@dataclass(frozen=True)
class HalfSplit:
    """The weighting and epochs chosen on half A of the images, and what half B says of them.

    It takes away the luck of test images, in the choice of an epoch and of an arm. The luck of
    seeds it does not take away: a lucky training is lucky on both halves. `verdict` does that.

    Attributes:
        arm: the best on half A.
        accuracies: of that arm's runs; ``half_b`` is the honest one.
        official_arm: the best by the official number, and ``official`` its mean.
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

    They are of the images that judge (``Scoring.judging``).

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


def accuracies(curves: Curves, scoring: Scoring) -> Accuracies:
    """Return what the runs of one arm reached.

    Raises:
        ValueError: no run, or curves of another benchmark.
    """
    _check(curves, scoring)
    rows, halves, metrics, classes = [], [], [], []
    for curve in curves.values():
        official = scoring.scores(curve, scoring.choosing)
        rows.append((official.max(), official[-1], official[-10:].mean()))
        best_epoch = scoring.best(curve)
        metrics.append(scoring.metrics(best_epoch, scoring.judging))
        if scoring.has_halves:
            a, b = scoring.scores(curve, half_a), scoring.scores(curve, half_b)
            halves.append((a.max(), b[int(a.argmax())]))
        if (known := scoring.classes(best_epoch, scoring.judging)) is not None:
            classes.append(known)
    best = dict(zip(curves, (float(row[0]) for row in rows), strict=True))
    published = [best[index] for index in range(len(PUBLISHED_SEEDS)) if index in best]
    mean, last, last_ten = np.mean(rows, axis=0).tolist()
    on_a, on_b = np.mean(halves, axis=0).tolist() if halves else (None, None)
    return Accuracies(
        runs=len(rows),
        best=mean,
        last=last,
        last_ten=last_ten,
        half_a=on_a,
        half_b=on_b,
        metrics=mean_metrics(metrics),
        classes=tuple(np.mean(classes, axis=0).tolist()) if classes else None,
        seed_42=best.get(0),
        published_mean=(
            float(np.mean(published)) if len(published) == len(PUBLISHED_SEEDS) else None
        ),
    )


def mean_metrics(runs: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of every metric over runs, percent; None where one is not known of a run."""
    means: dict[str, float | None] = {}
    for name in METRICS:
        known = [value for run in runs if (value := run[name]) is not None]
        means[name] = float(np.mean(known)) if len(known) == len(runs) else None
    return means


def half_split(arms: Mapping[str, Curves], scoring: Scoring) -> HalfSplit:
    """Choose the arm and the epoch of each of its runs on half A, and report half B.

    Args:
        arms: the curves of each arm's runs; ties go to the arm that is named first.
        scoring: of the benchmark.

    Raises:
        ValueError: no arm, images that do not come in halves, or as ``accuracies``.
    """
    if not arms:
        raise ValueError("arms: got none; there must be one or more")
    found = {arm: accuracies(curves, scoring) for arm, curves in arms.items()}
    on_a = {arm: known.half_a for arm, known in found.items() if known.half_a is not None}
    if len(on_a) < len(found):
        raise ValueError("scoring: got images that do not come in halves; they must")
    chosen = max(on_a, key=lambda arm: on_a[arm])
    official = max(found, key=lambda arm: found[arm].best)
    return HalfSplit(chosen, found[chosen], official, found[official].best)


def gains(winner: Curves, uniform: Curves, scoring: Scoring, counts: Sequence[int]) -> Gains:
    """Return where a weighting gains over uniform weights, each run at its best epoch.

    Args:
        winner, uniform: curves by seed; seeds that only one of them has are left out.
        scoring: of the benchmark.
        counts: training images per class, (C,).

    Raises:
        ValueError: fewer than two common seeds, shapes that do not fit, or classes not known.
    """
    common = sorted(winner.keys() & uniform.keys())
    if len(common) < 2:
        raise ValueError(f"seeds: got {len(common)} common ones; must be at least 2")
    _check(winner, scoring)
    _check(uniform, scoring)
    if scoring.half_counts is None:
        raise ValueError("scoring: got no numbers of images by class; they must be known")
    ours, theirs = (
        np.array([scoring.classes(scoring.best(arm[seed]), scoring.judging) for seed in common])
        for arm in (winner, uniform)
    )
    differences = ours - theirs
    shots = {
        name: t_interval(differences[:, mask].mean(axis=1))
        for name, mask in shot_groups(counts).items()
        if mask.any()
    }
    return Gains(len(common), tuple(differences.mean(axis=0).tolist()), shots)


def _check(curves: Curves, scoring: Scoring) -> None:
    if not curves:
        raise ValueError("curves: got no run; there must be one or more")
    for curve in curves.values():
        scoring.check(curve)


def t_interval(values: FloatArray) -> Estimate:
    """Return the mean of values (n,), two or more, with a t interval."""
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    half = float(special.stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * error
    return Estimate(mean, mean - half, mean + half)
