"""What results are, how classes are grouped, and what a training amounts to."""

import json
from dataclasses import replace

import numpy as np
import pytest
from training import (
    digits_data,
    digits_task,
    digits_trial,
)

from trainer.benchmarks import BENCHMARKS
from trainer.benchmarks.metrics import METRICS, score
from trainer.execution.loop import train
from trainer.results import (
    EpochResult,
    shot_groups,
    summary,
)


def result(epoch: int, accuracy: float, correct: tuple[tuple[int, ...], ...]) -> EpochResult:
    half_a, half_b = correct
    return EpochResult(epoch, 1.0, 1.0, 0.1, 2.5, accuracy, accuracy, (half_a, half_b))


def test_shots_are_many_above_100_and_few_below_20() -> None:
    groups = shot_groups([500, 101, 100, 20, 19, 5])
    assert groups["many"].tolist() == [True, True, False, False, False, False]
    assert groups["medium"].tolist() == [False, False, True, True, False, False]
    assert groups["few"].tolist() == [False, False, False, False, True, True]


def test_shots_are_thirds_by_rank_where_a_group_would_be_empty() -> None:
    groups = shot_groups([50, 5000, 60, 4000, 70, 3000])
    assert np.flatnonzero(groups["many"]).tolist() == [1, 3]
    assert np.flatnonzero(groups["medium"]).tolist() == [4, 5]
    assert np.flatnonzero(groups["few"]).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("name", "sizes"),
    (("resnet32-cifar10lt", (4, 3, 3)), ("resnet32-cifar100lt", (35, 35, 30))),
)
def test_shots_of_the_benchmarks(name: str, sizes: tuple[int, ...]) -> None:
    groups = shot_groups(BENCHMARKS[name].counts.tolist())
    assert tuple(int(mask.sum()) for mask in groups.values()) == sizes
    assert np.all(sum(mask.astype(int) for mask in groups.values()) == 1)


def test_two_classes_have_the_shots_that_they_have() -> None:
    groups = shot_groups([500, 5])
    assert {name: mask.tolist() for name, mask in groups.items()} == {
        "many": [True, False],
        "medium": [False, False],
        "few": [False, True],
    }


def test_summary_reports_best_last_and_mean_of_the_last_ten() -> None:
    accuracies = [10.0, 90.0, 20.0, 90.0, *range(30, 39)]
    epochs = [result(i, a, ((i, 0, 0), (0, 0, 1))) for i, a in enumerate(map(float, accuracies), 1)]
    facts = summary(epochs, [200, 50, 10], [[10, 10, 10], [10, 10, 10]], test_held_out=False)
    assert facts["best_score"] == 90.0
    assert facts["best_epoch"] == 2, "the first of equals"
    assert facts["last_score"] == 38.0
    assert facts["last_ten_score"] == pytest.approx((90 + sum(range(30, 39))) / 10)
    assert facts["epochs"] == 13
    assert facts["seconds"] == 13 * 2.5
    assert facts["class_accuracy"] == [10.0, 0.0, 5.0], "at the best epoch"
    assert facts["shots"] == {"many": 10.0, "medium": 0.0, "few": 5.0}
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize(("held_out", "classes"), ((False, [80.0, 50.0]), (True, [100.0, 0.0])))
def test_a_test_set_that_is_held_out_adds_nothing_to_a_summary(
    held_out: bool, classes: list[float]
) -> None:
    one = replace(result(1, 50.0, ((3, 0), (1, 2))), predicted=((5, 0), (1, 3)))
    facts = summary([one], [9, 3], [[3, 2], [2, 2]], held_out)
    assert facts["class_accuracy"] == classes
    assert facts["metrics"]["balanced_accuracy"] == np.mean(classes)
    assert facts["metrics"]["worst_class"] == min(classes)


def test_what_a_record_without_predicted_counts_cannot_say_is_none() -> None:
    facts = summary([result(1, 50.0, ((3, 0), (1, 2)))], [9, 3], [[3, 2], [2, 2]], False)
    assert facts["metrics"]["macro_f1"] is None
    assert facts["metrics"]["balanced_accuracy"] == 65.0


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("held_out", (False, True))
def test_an_epoch_is_scored_by_the_metric_on_the_images_that_choose(
    name: str, held_out: bool
) -> None:
    data, task = digits_data(), digits_task()
    trial = digits_trial(2, metric=name, test_held_out=held_out)
    *_, last = train(trial, task)
    mask = data.half_a if held_out else np.full(len(data.test_labels), True)
    counts = np.bincount(data.test_labels[mask], minlength=10)
    assert last.predicted is not None
    halves = [0] if held_out else [0, 1]
    correct, predicted = (np.array(n)[halves].sum(axis=0) for n in (last.correct, last.predicted))
    assert last.score == score(name, correct, predicted, counts)
    assert last.best_score >= last.score
