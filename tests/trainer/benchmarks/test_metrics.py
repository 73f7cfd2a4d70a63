"""What every metric of a benchmark must hold, and what each one says of a tail that is ignored."""

import numpy as np
import pytest
from sklearn import metrics as reference

from trainer.benchmarks.metrics import METRICS, default_metric, metric_sentence, score


def of_labels(name: str, true: np.ndarray, found: np.ndarray, classes: int) -> float:
    """Return a metric of labels (T,) and of what was found in their place."""
    correct, predicted, counts = (
        np.bincount(labels, minlength=classes) for labels in (true[true == found], found, true)
    )
    value = score(name, correct, predicted, counts)
    assert value is not None
    return float(value)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_metrics_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    true = np.repeat(np.arange(4), (40, 9, 5, 2))
    for noise in (0.1, 0.5, 0.9):
        found = np.where(random.random(len(true)) < noise, random.integers(0, 4, len(true)), true)
        recalls = reference.recall_score(true, found, average=None)
        expected = {
            "accuracy": reference.accuracy_score(true, found),
            "balanced_accuracy": reference.balanced_accuracy_score(true, found),
            "macro_f1": reference.f1_score(true, found, average="macro"),
            "worst_class": min(recalls),
        }
        assert expected.keys() == METRICS.keys()
        for name, share in expected.items():
            assert of_labels(name, true, found, 4) == pytest.approx(100 * share)


def test_predicting_the_head_is_as_good_as_the_metric_says() -> None:
    """60 test images of one class and 4 of the other, all of them called the one."""
    true = np.repeat([0, 1], (60, 4))
    values = {name: of_labels(name, true, np.zeros_like(true), 2) for name in METRICS}
    assert values["accuracy"] == 93.75
    assert values["balanced_accuracy"] == 50.0
    assert values["macro_f1"] == pytest.approx(100 * (120 / 124) / 2)
    assert values["worst_class"] == 0.0


def test_what_is_said_of_a_metric_once_at_the_start() -> None:
    assert metric_sentence("accuracy", "test", [20, 20]) is None
    said = metric_sentence("accuracy", "test", [60, 4])
    assert said is not None
    assert "the classes have 4 to 60 test images each" in said
    assert '"balanced_accuracy" counts all classes alike' in said
    balanced = metric_sentence("balanced_accuracy", "validation", [60, 4])
    assert balanced == (
        "scored by validation balanced accuracy: the mean of the classes' accuracies, to which "
        "every class adds alike; the classes have 4 to 60 validation images each"
    )
    worst = metric_sentence("worst_class", "test", [20, 20])
    assert worst is not None
    assert worst.endswith("the accuracy of the class where it is lowest")


def test_the_default_is_fair_to_every_class() -> None:
    assert default_metric([60, 4]) == "balanced_accuracy"
    assert default_metric([20, 20, 20]) == "accuracy"
