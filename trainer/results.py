"""The results of an epoch of training, and the scores that derive from them."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le, MaxLen

from trainer.benchmarks.metrics import METRICS, score, scores
from trainer.diagnosis.records import ClassLosses, Diagnosis, class_losses_of, diagnosis_of

SHOTS = ("many", "medium", "few")
"""Groups of classes by their training images."""

MANY_SHOT, FEW_SHOT = 100, 20
"""Many-shot classes have more than 100 training images, few-shot fewer than 20 (protocol)."""

FORMER_NAMES = {
    "test_accuracy": "score",
    "best_accuracy": "best_score",
    "last_accuracy": "last_score",
    "last_ten_accuracy": "last_ten_score",
}
"""Keys of records from when accuracy was the only metric -> present ones."""

Images: TypeAlias = Annotated[int, Ge(0), Le(2**53)]
Finite: TypeAlias = Annotated[float, Ge(-1e100), Le(1e100)]
Percent: TypeAlias = Annotated[float, Ge(0), Le(100 + 1e-6)]
"""A mean of hundreds may round up."""
_Classes: TypeAlias = Annotated[tuple[Images, ...], MaxLen(100_000)]
HalfCounts: TypeAlias = tuple[_Classes, _Classes]
"""Numbers of test images, [half A, half B][class]."""

PROFILE_COLUMNS = 3
Profile: TypeAlias = Annotated[
    tuple[Annotated[tuple[Percent | None, ...], MaxLen(PROFILE_COLUMNS)], ...], MaxLen(100)
]
"""For each of ``POSTHOC`` a metric on half A, on half B and on the images that choose, percent,
to ``PROFILE_DIGITS``; None where there are no images."""

PROFILE_DIGITS = 4


@dataclass(frozen=True)
class EpochResult:
    """One finished epoch of one trial.

    Of a training of the user's own, losses, learning rate, predicted images and profile are not
    known, nor correct images where its function reports shares of correct images alone.

    Attributes:
        epoch: 1-based number of the epoch.
        train_loss: mean over the epoch's batches of the loss that they were trained on, weighted
            by batch size; of class weights it is as torch's ``mean`` reduction has it.
        test_loss: mean unweighted cross entropy over all evaluated images.
        learning_rate: used throughout this epoch.
        seconds: wall time of the epoch, evaluation included.
        score: the benchmark's metric on the images that choose (``selection``), percent.
        best_score: highest ``score`` of the epochs so far, percent.
        correct: correctly classified evaluated images, [half A, half B][class], after the
            trial's post-hoc adjustment, as for ``score``.
        predicted: evaluated images that were classified as the class, right or wrong, by half and
            class alike; None in a record from before it was kept.
        profile: the metric after each post-hoc adjustment; None in a record from before it was
            kept.
        diagnosis: of the trial, in the last epoch of its protocol; None in any other.
        class_losses: of a trial that is diagnosed in full.
    """

    epoch: Annotated[int, Ge(1), Le(10**6)]
    train_loss: Finite | None
    test_loss: Finite | None
    learning_rate: Finite | None
    seconds: Annotated[float, Ge(0), Le(10**9)]
    score: Percent
    best_score: Percent
    correct: HalfCounts | None
    predicted: HalfCounts | None = None
    profile: Profile | None = None
    diagnosis: Diagnosis | None = None
    class_losses: ClassLosses | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values of the fields, a diagnosis and losses of classes where there are any."""
        values = dict(vars(self))  # not asdict, which copies every count
        diagnosis, losses = values.pop("diagnosis"), values.pop("class_losses")
        values |= {"diagnosis": diagnosis.to_dict()} if diagnosis else {}
        return values | ({"class_losses": vars(losses)} if losses else {})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "EpochResult":
        data = present_names(data)
        values = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
        for name in ("correct", "predicted"):
            numbers = data.get(name)
            values[name] = None if numbers is None else half_counts(numbers)
        profile = data.get("profile")
        values["profile"] = None if profile is None else tuple(map(tuple, profile))
        values["diagnosis"] = diagnosis_of(data["diagnosis"]) if data.get("diagnosis") else None
        losses = data.get("class_losses")
        values["class_losses"] = class_losses_of(losses) if losses else None
        return cls(**values)


def half_counts(numbers: Sequence[Sequence[int]]) -> HalfCounts:
    """Return numbers (2, C) as tuples."""
    half_a, half_b = numbers
    return tuple(half_a), tuple(half_b)


def present_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record under the present keys: it was written when accuracy was the only metric."""
    return {FORMER_NAMES.get(key, key): value for key, value in data.items()}


def selection(numbers: npt.ArrayLike, test_held_out: bool) -> np.ndarray:
    """Return numbers of evaluated images (..., 2, C), by half, for those that choose: (..., C).

    They are all images, or half A alone where half B is a test set that is held out.
    """
    halves = np.asarray(numbers)
    return np.asarray(halves[..., 0, :] if test_held_out else halves.sum(axis=-2))


def posthoc_profile(
    counts: npt.NDArray[np.int64], images: npt.ArrayLike, metric: str, test_held_out: bool
) -> Profile:
    """Return a metric's profile, from numbers of evaluated images, by half and class (2, C).

    Args:
        counts: for each of G adjustments the correct images, and those predicted as the class,
            (G, 2, 2, C).
        images: all of them, (2, C).
    """
    halves = np.asarray(images)
    splits = [(counts[..., half, :], halves[half]) for half in (0, 1)]
    splits.append((selection(counts, test_held_out), selection(halves, test_held_out)))
    columns = []
    for numbers, there in splits:
        percent = score(metric, numbers[:, 0], numbers[:, 1], there) if there.any() else None
        known = np.full(len(counts), None) if percent is None else percent.round(PROFILE_DIGITS)
        columns.append(known.tolist())
    return tuple(zip(*columns, strict=True))


def shot_groups(counts: Sequence[int]) -> dict[str, np.ndarray]:
    """Return boolean masks (C,) of the many-, medium- and few-shot classes by training count.

    Where a group of the usual limits (more than 100, fewer than 20 images; Liu et al., CVPR 2019)
    would be empty, the classes are split into thirds by rank instead.
    """
    n = np.asarray(counts)
    many, few = n > MANY_SHOT, n < FEW_SHOT
    groups = dict(zip(SHOTS, (many, ~many & ~few, few), strict=True))
    if all(mask.any() for mask in groups.values()) or len(n) < len(groups):
        return groups
    rank = np.argsort(np.argsort(-n, kind="stable"), kind="stable")
    third = rank * 3 // len(n)
    return {name: third == i for i, name in enumerate(groups)}


def summary(
    results: Sequence[EpochResult],
    counts: Sequence[int],
    half_counts: npt.ArrayLike | None,
    test_held_out: bool,
    metric: str = "accuracy",
) -> dict[str, Any]:
    """Return what a trial's epochs amount to: best, last, mean of the last ten, and by class.

    ``metrics`` holds every metric at the best epoch, percent, None where it is not known.
    ``class_accuracy`` is of the images that choose at the best epoch, percent (C,), and ``shots``
    its mean over each shot group; both are empty where images are not on record. ``half_counts``
    are the evaluated images (2, C); of every class, one or more choose; None where only scores of
    ``metric`` are known.
    """
    best = max(results, key=lambda r: (r.score, -r.epoch))
    return {
        "best_score": best.score,
        "best_epoch": best.epoch,
        "last_score": results[-1].score,
        "last_ten_score": float(np.mean([r.score for r in results[-10:]])),
        "epochs": results[-1].epoch,
        "seconds": float(sum(r.seconds for r in results)),
        **at_best_epoch(best, counts, half_counts, test_held_out, metric),
    }


def at_best_epoch(
    best: EpochResult,
    counts: Sequence[int],
    half_counts: npt.ArrayLike | None,
    test_held_out: bool,
    metric: str,
) -> dict[str, Any]:
    """Return metrics, shots and class accuracies of an epoch, as ``summary`` has them."""
    if best.correct is None or half_counts is None:
        metrics = dict.fromkeys(METRICS) | {metric: best.score}
        return {"metrics": metrics, "shots": {}, "class_accuracy": []}
    correct, images = (selection(n, test_held_out) for n in (best.correct, half_counts))
    predicted = None if best.predicted is None else selection(best.predicted, test_held_out)
    known = scores(correct, predicted, images)
    per_class = 100.0 * correct / images
    groups = shot_groups(counts)
    return {
        "metrics": {k: None if v is None else float(v) for k, v in known.items()},
        "shots": {k: float(per_class[m].mean()) for k, m in groups.items() if m.any()},
        "class_accuracy": [float(x) for x in per_class],
    }
