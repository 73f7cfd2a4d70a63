"""What an epoch of training reports, and the accuracies that derive from it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MANY_SHOT, FEW_SHOT = 100, 20
"""Many-shot classes have more than 100 training images, few-shot fewer than 20 (protocol)."""

HalfCounts = tuple[tuple[int, ...], tuple[int, ...]]
"""Numbers of test images, [half A, half B][class]."""


@dataclass(frozen=True)
class EpochResult:
    """One finished epoch of one trial.

    Attributes:
        epoch: 1-based number of the epoch.
        train_loss: mean over the epoch's batches of the weighted loss, each batch as torch's
            ``mean`` reduction has it, weighted by batch size.
        test_loss: mean unweighted cross entropy over the test set.
        learning_rate: used throughout this epoch.
        seconds: wall time of the epoch, evaluation included.
        test_accuracy: top-1 on the whole test set, percent.
        best_accuracy: highest ``test_accuracy`` of the epochs so far, percent.
        correct: correctly classified test images, [half A, half B][class].
        predicted: test images that were classified as the class, right or wrong, by half and class
            alike; None in a record from before it was kept.
    """

    epoch: int
    train_loss: float
    test_loss: float
    learning_rate: float
    seconds: float
    test_accuracy: float
    best_accuracy: float
    correct: HalfCounts
    predicted: HalfCounts | None = None

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))  # not asdict, which copies every count

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "EpochResult":
        values = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
        predicted = data.get("predicted")
        values["correct"] = half_counts(data["correct"])
        values["predicted"] = None if predicted is None else half_counts(predicted)
        return cls(**values)


def half_counts(numbers: Sequence[Sequence[int]]) -> HalfCounts:
    """Return numbers (2, C) as tuples."""
    half_a, half_b = numbers
    return tuple(half_a), tuple(half_b)


def class_accuracy(result: EpochResult, test_counts: Sequence[int]) -> np.ndarray:
    """Return each class's test accuracy in percent, float64 of shape (C,)."""
    correct = np.sum(np.asarray(result.correct), axis=0)
    return np.asarray(100.0 * correct / np.asarray(test_counts))


def shot_groups(counts: Sequence[int]) -> dict[str, np.ndarray]:
    """Return boolean masks (C,) of the many-, medium- and few-shot classes by training count.

    Where a group of the usual limits (more than 100, fewer than 20 images; Liu et al., CVPR 2019)
    would be empty, the classes are split into thirds by rank instead.
    """
    n = np.asarray(counts)
    many, few = n > MANY_SHOT, n < FEW_SHOT
    groups = {"many": many, "medium": ~many & ~few, "few": few}
    if all(mask.any() for mask in groups.values()) or len(n) < len(groups):
        return groups
    rank = np.argsort(np.argsort(-n, kind="stable"), kind="stable")
    third = rank * 3 // len(n)
    return {name: third == i for i, name in enumerate(groups)}


def summary(
    results: Sequence[EpochResult], counts: Sequence[int], test_counts: Sequence[int]
) -> dict[str, Any]:
    """Return what a trial's epochs amount to: best, last, mean of the last ten, and shots.

    ``shots`` is the mean class accuracy in percent of each shot group at the best epoch.
    """
    best = max(results, key=lambda r: (r.test_accuracy, -r.epoch))
    per_class = class_accuracy(best, test_counts)
    groups = shot_groups(counts)
    return {
        "best_accuracy": best.test_accuracy,
        "best_epoch": best.epoch,
        "last_accuracy": results[-1].test_accuracy,
        "last_ten_accuracy": float(np.mean([r.test_accuracy for r in results[-10:]])),
        "epochs": results[-1].epoch,
        "seconds": float(sum(r.seconds for r in results)),
        "shots": {k: float(per_class[m].mean()) for k, m in groups.items() if m.any()},
        "class_accuracy": [float(x) for x in per_class],
    }
