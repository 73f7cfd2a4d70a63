"""The metrics of a benchmark: what a network's hits and misses, class by class, are worth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Percent = Callable[[Numbers, Numbers, Numbers], Numbers]


def accuracy(correct: Numbers, predicted: Numbers, counts: Numbers) -> Numbers:
    return np.asarray(100.0 * correct.sum(axis=-1) / counts.sum())


def balanced_accuracy(correct: Numbers, predicted: Numbers, counts: Numbers) -> Numbers:
    return np.asarray((100.0 * correct / counts).mean(axis=-1))


def macro_f1(correct: Numbers, predicted: Numbers, counts: Numbers) -> Numbers:
    return np.asarray((200.0 * correct / (counts + predicted)).mean(axis=-1))


def worst_class(correct: Numbers, predicted: Numbers, counts: Numbers) -> Numbers:
    return np.asarray((100.0 * correct / counts).min(axis=-1))


@dataclass(frozen=True)
class Metric:
    """A score of evaluated images in percent, 0 to 100.

    Attributes:
        percent: of correct, predicted (..., C) and counts (C,), all above 0: the score (...).
        words: its name in a sentence.
        formula: by class c: n_c images, k_c of them correct, p_c images predicted as c.
        meaning: what it counts, to follow its name in a sentence.
        uses_predicted: whether p_c is in the formula.
    """

    percent: Percent
    words: str
    formula: str
    meaning: str
    uses_predicted: bool = False


METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        accuracy,
        "accuracy",
        "sum of k_c / sum of n_c",
        "the share of all images that are correct, to which a class adds by its images",
    ),
    "balanced_accuracy": Metric(
        balanced_accuracy,
        "balanced accuracy",
        "mean over c of k_c / n_c",
        "the mean of the classes' accuracies, to which every class adds alike",
    ),
    "macro_f1": Metric(
        macro_f1,
        "macro F1",
        "mean over c of 2 k_c / (n_c + p_c)",
        "the mean of the classes' F1 scores, which images wrongly predicted as the class lower too",
        uses_predicted=True,
    ),
    "worst_class": Metric(
        worst_class,
        "worst-class accuracy",
        "least over c of k_c / n_c",
        "the accuracy of the class where it is lowest",
    ),
}
"""Name in a benchmark -> metric. A class without an evaluated image is left out of each."""


def score(
    name: str, correct: npt.ArrayLike, predicted: npt.ArrayLike | None, counts: npt.ArrayLike
) -> Numbers | None:
    """Return a metric in percent, float64 (...); None if it needs what is not known.

    Args:
        name: a key of ``METRICS``.
        correct: images of each class that were classified correctly, (..., C).
        predicted: images that were classified as each class, (..., C); None if that is not known.
        counts: evaluated images of each class, (C,), not all 0.
    """
    metric, numbers = METRICS[name], np.asarray(counts)
    if predicted is None and metric.uses_predicted:
        return None
    seen = numbers > 0
    hits = np.asarray(correct)[..., seen]
    named = hits if predicted is None else np.asarray(predicted)[..., seen]
    return metric.percent(hits, named, numbers[seen])


def scores(
    correct: npt.ArrayLike, predicted: npt.ArrayLike | None, counts: npt.ArrayLike
) -> dict[str, Numbers | None]:
    """Return every metric in percent (...), as ``score`` does."""
    return {name: score(name, correct, predicted, counts) for name in METRICS}


def metric_sentence(name: str, split: str, counts: Sequence[int]) -> str | None:
    """Return what a person should know of a metric; None where there is nothing unusual.

    Args:
        name: a key of ``METRICS``.
        split: "test" or "validation", as the evaluated images are called.
        counts: of the evaluated images of each class, (C,).
    """
    unequal = len(set(counts)) > 1
    if name == "accuracy" and not unequal:
        return None
    images = f"the classes have {min(counts)} to {max(counts)} {split} images each"
    metric = METRICS[name]
    if name == "accuracy":
        return (
            f"note: {images}, and accuracy hardly counts the smallest; the metric "
            '"balanced_accuracy" counts all classes alike'
        )
    reason = f"; {images}" if unequal else ""
    return f"scored by {split} {metric.words}: {metric.meaning}{reason}"


def default_metric(counts: Sequence[int]) -> str:
    """Return the metric that is fair to every class, for evaluated images of each, (C,).

    Where every class has as many, that is accuracy.
    """
    return "accuracy" if len(set(counts)) == 1 else "balanced_accuracy"
