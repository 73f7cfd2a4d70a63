"""What every metric of a benchmark must hold, and what each one says of a tail that is ignored."""

import numpy as np
import pytest
from sklearn import metrics as reference

from trainer.benchmarks.metrics import METRICS, default_metric, metric_sentence, score, scores


def of_labels(name: str, true: np.ndarray, found: np.ndarray, classes: int) -> float:
    """Return a metric of labels (T,) and of what was found in their place."""
    correct, predicted, counts = (
        np.bincount(labels, minlength=classes) for labels in (true[true == found], found, true)
    )
    value = score(name, correct, predicted, counts)
    assert value is not None
    return float(value)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_0_to_100_and_says_what_it_is(name: str) -> None:
    true = np.arange(30) % 3
    assert of_labels(name, true, true, 3) == 100.0
    assert of_labels(name, true, (true + 1) % 3, 3) == 0.0
    metric = METRICS[name]
    assert metric.words
    assert metric.meaning[-1].isalpha(), "it stands within a sentence"
    assert ("p_c" in metric.formula) == metric.uses_predicted


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_many_epochs_is_that_of_each(name: str) -> None:
    random = np.random.default_rng(0)
    counts = np.array([9, 5, 2])
    correct = random.integers(0, counts + 1, (4, 3))
    predicted = correct + random.integers(0, 3, (4, 3))
    together = score(name, correct, predicted, counts)
    assert together is not None
    alone = [score(name, c, p, counts) for c, p in zip(correct, predicted, strict=True)]
    assert together.tolist() == alone


@pytest.mark.parametrize("name", METRICS)
def test_a_class_without_images_is_left_out(name: str) -> None:
    without = score(name, [3, 1], [4, 2], [4, 2])
    assert score(name, [3, 0, 1], [4, 5, 2], [4, 0, 2]) == without


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_unknown_only_if_it_needs_counts_that_are(name: str) -> None:
    value = score(name, [3, 1], None, [4, 2])
    assert (value is None) == METRICS[name].uses_predicted
    assert scores([3, 1], None, [4, 2])[name] == value


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
