"""What a training yields, what stops it, what an epoch's plan is, and what results amount to."""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR
from training import (
    CPU,
    DIGITS,
    colour_task,
    digits_data,
    digits_task,
    digits_trial,
    slot_with,
    threads,
    train_epoch,
    without_seconds,
)

from spaces import NAMED, canonical_weights
from spaces.loss import POSTHOC
from spaces.recipe import Recipe
from trainer.benchmarks import BENCHMARKS
from trainer.benchmarks.metrics import METRICS, score
from trainer.execution.augment import EpochPlan, epoch_plan, normalise
from trainer.execution.loop import TrainingError, learning_rates, train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.results import (
    EpochResult,
    shot_groups,
    summary,
)
from trainer.trial import Trial


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threads(1):
        yield


@pytest.fixture(scope="module")
def results() -> list[EpochResult]:
    with threads(1):
        return list(train(digits_trial(6), digits_task()))


def test_epochs_are_consecutive_from_one(results: list[EpochResult]) -> None:
    assert [result.epoch for result in results] == [1, 2, 3, 4, 5, 6]


def test_best_score_is_the_running_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    correct = iter((60, 300, 120, 360))

    def outcome(slot: Slot) -> tuple[float, float, np.ndarray]:
        counts = np.zeros((len(POSTHOC), 2, 2, 10), dtype=np.int64)
        counts[0, 0, 1, 4] = next(correct)
        return 1.0, 1.0, counts

    monkeypatch.setattr(Slot, "outcome", outcome)
    results = list(train(digits_trial(4), digits_task()))
    assert [result.score for result in results] == [10.0, 50.0, 20.0, 60.0]
    assert [result.best_score for result in results] == [10.0, 50.0, 50.0, 60.0]


def test_correct_counts_sum_to_the_accuracy(results: list[EpochResult]) -> None:
    for result in results:
        assert result.score == 100 * np.sum(result.correct) / 600


def test_counts_are_of_the_half_and_the_class() -> None:
    data, task = digits_data(), digits_task()
    slot = slot_with(digits_trial(), task)
    for epoch in (1, 2, 3, 4):
        train_epoch(slot, epoch)
    _, _, ((correct, predicted), *_) = slot.outcome()
    with torch.no_grad():
        images = task.test_pixels.permute(0, 3, 1, 2)
        logits = slot.network.eval()(normalise(images, task.mean, task.std))
    classes = logits.argmax(1).numpy()
    hits = classes == data.test_labels
    for half, mask in enumerate((data.half_a, ~data.half_a)):
        assert np.array_equal(correct[half], np.bincount(classes[mask & hits], minlength=10))
        assert np.array_equal(predicted[half], np.bincount(classes[mask], minlength=10))
    assert correct[0].tolist() != correct[1].tolist()
    assert predicted.sum() == 600 > correct.sum()


@pytest.mark.parametrize(("batch_size", "cancel"), ((1, True), (2, False)))
def test_class_weights_cancel_in_batches_of_one_image(batch_size: int, cancel: bool) -> None:
    benchmark, data = colour_task(train=12, test=10)
    benchmark = replace(benchmark, batch_size=batch_size, epochs=2)
    task = Task(data, benchmark.padding, CPU)
    uneven = tuple(2.0 ** (label % 3) for label in range(10))  # powers of two divide exactly
    trained = [
        without_seconds(list(train(Trial.weighted(benchmark, weights, 3, "fp32"), task)))
        for weights in ((1.0,) * 10, uneven)
    ]
    assert (trained[0] == trained[1]) == cancel


def test_on_equal_class_counts_all_weightings_are_one_trial() -> None:
    named = [name.weighting.weights([60] * 10) for name in NAMED.values()]
    trials = {Trial.weighted(DIGITS, canonical_weights(w), 1) for w in named}
    assert len(named) > len(trials) == 1


def test_training_learns(results: list[EpochResult]) -> None:
    assert results[-1].train_loss < results[0].train_loss / 2
    assert results[-1].best_score > 50


def test_results_survive_json(results: list[EpochResult]) -> None:
    text = json.dumps([result.to_dict() for result in results])
    assert [EpochResult.from_dict(row) for row in json.loads(text)] == results


def test_a_record_without_predicted_counts_is_read(results: list[EpochResult]) -> None:
    row = results[0].to_dict()
    assert row.pop("predicted")
    assert EpochResult.from_dict(row) == replace(results[0], predicted=None)


def test_each_epoch_has_its_learning_rate(results: list[EpochResult]) -> None:
    assert [r.learning_rate for r in results] == learning_rates(DIGITS.with_epochs(6))


@pytest.mark.parametrize("name", [n for n, b in BENCHMARKS.items() if b.schedule == "cosine"])
def test_learning_rates_are_those_of_torch(name: str) -> None:
    benchmark = BENCHMARKS[name]
    network = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=benchmark.learning_rate)
    scheduler = CosineAnnealingLR(optimizer, T_max=benchmark.epochs)
    rates = learning_rates(benchmark)
    for epoch, rate in enumerate(rates):
        assert rate == optimizer.param_groups[0]["lr"]
        cosine = (1 + math.cos(math.pi * epoch / benchmark.epochs)) / 2
        assert rate == pytest.approx(benchmark.learning_rate * cosine, rel=1e-9)
        optimizer.step()
        scheduler.step()
    assert len(rates) == benchmark.epochs


def test_warmed_up_steps_are_those_of_ldam_drw() -> None:
    rates = learning_rates(BENCHMARKS["resnet32-cifar100lt-ldam"])
    assert rates[:6] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1])
    assert [rates[epoch - 1] for epoch in (160, 161, 180, 181, 200)] == pytest.approx(
        [0.1, 0.001, 0.001, 0.00001, 0.00001]
    )
    shortened = BENCHMARKS["resnet32-cifar100lt-ldam"].with_epochs(10)
    assert learning_rates(shortened) == pytest.approx([0.1] * 8 + [0.001, 0.00001])


def test_a_diverging_training_loss_names_epoch_and_reason() -> None:
    with pytest.raises(TrainingError, match="epoch 1: the training loss is nan") as stop:
        list(train(digits_trial(learning_rate=1e30), digits_task()))
    assert stop.value.epoch == 1


def test_a_diverging_test_loss_names_epoch_and_reason() -> None:
    # One batch an epoch: the training loss is taken before the only step.
    trial = digits_trial(learning_rate=1e30, batch_size=512)
    with pytest.raises(TrainingError, match="epoch 1: the test loss is nan"):
        list(train(trial, digits_task()))


def test_epochs_before_a_divergence_are_yielded() -> None:
    training = train(digits_trial(learning_rate=1e3, batch_size=512), digits_task())
    assert next(training).epoch == 1
    with pytest.raises(TrainingError, match="epoch 2"):
        next(training)


@pytest.mark.parametrize(
    ("weights", "rule"),
    (
        ((1.0,) * 9, "weights has 9 entries for 10 classes"),
        ((1.0,) * 9 + (-0.1,), "non-negative"),
        ((1.0,) * 9 + (math.nan,), "must be finite"),
        ((1.0,) * 9 + (math.inf,), "must be finite"),
        ((0.0,) * 10, "all zero"),
    ),
)
def test_a_trial_refuses_bad_weights(weights: tuple[float, ...], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Trial.weighted(DIGITS, weights, seed=0)


def test_a_trial_refuses_a_recipe_for_other_classes() -> None:
    recipe = Recipe((5,) * 9, (1.0,) * 9)
    with pytest.raises(ValueError, match="is for 9 classes; resnet8-digitslt has 10"):
        Trial(DIGITS, recipe, seed=0)


def test_a_trial_refuses_an_adjustment_that_no_test_measures() -> None:
    recipe = replace(digits_trial().recipe, adjustment=0.3)
    with pytest.raises(ValueError, match=r"adjustment=0\.3.* none of the adjustments"):
        Trial(DIGITS, recipe, seed=0)


@pytest.mark.parametrize("seed", (-1, 2**63))
def test_a_trial_refuses_a_seed_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed is {seed}"):
        Trial.weighted(DIGITS, (1.0,) * 10, seed)


def test_a_trial_refuses_an_unknown_precision() -> None:
    with pytest.raises(ValueError, match=r"precision is 'fp16'.*bf16"):
        Trial.weighted(DIGITS, (1.0,) * 10, 0, "fp16")


def test_the_largest_seed_trains() -> None:
    assert next(train(digits_trial(1, seed=2**63 - 1), digits_task())).epoch == 1


def test_equal_trials_have_equal_results(results: list[EpochResult]) -> None:
    again = list(train(digits_trial(6), digits_task()))
    assert without_seconds(again) == without_seconds(results)


def test_the_global_generators_play_no_part(results: list[EpochResult]) -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = list(train(digits_trial(6), digits_task()))
    assert without_seconds(again) == without_seconds(results)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_seed_has_other_results(results: list[EpochResult]) -> None:
    other = next(train(digits_trial(6, seed=4), digits_task()))
    assert other.train_loss != results[0].train_loss


def test_class_weights_change_the_training(results: list[EpochResult]) -> None:
    trial = Trial.weighted(DIGITS.with_epochs(6), (1.0,) * 10, 3, "fp32")
    assert next(train(trial, digits_task())).train_loss != results[0].train_loss


def plan_numbers(plan: EpochPlan) -> list[list[int]]:
    return [x.long().tolist() for x in (plan.order, plan.dy, plan.dx, plan.flip)]


def test_plan_is_a_function_of_seed_and_epoch_alone() -> None:
    first = epoch_plan(1, 2, 500, 4, True)
    np.random.seed(0)
    assert plan_numbers(epoch_plan(1, 2, 500, 4, True)) == plan_numbers(first)
    for seed, epoch in ((2, 1), (1, 3), (2, 2)):
        other = plan_numbers(epoch_plan(seed, epoch, 500, 4, True))
        assert all(a != b for a, b in zip(other, plan_numbers(first), strict=True))


def test_plan_orders_every_image_once() -> None:
    order = epoch_plan(1, 2, 12_406, 4, True).order
    assert torch.equal(order.sort().values, torch.arange(12_406))
    assert not torch.equal(order, torch.arange(12_406))


@pytest.mark.parametrize("padding", (0, 1, 4))
def test_crops_and_flips_are_uniform_and_independent(padding: int) -> None:
    side = 2 * padding + 1
    plan = epoch_plan(1, 2, 40_000, padding, True)
    cells = (plan.dy * side + plan.dx) * 2 + plan.flip.long()
    counts = torch.bincount(cells, minlength=2 * side**2).double()
    assert len(counts) == 2 * side**2
    expected = 40_000 / len(counts)
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    freedom = len(counts) - 1
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)


def test_crops_do_not_follow_the_order() -> None:
    plan = epoch_plan(1, 2, 40_000, 4, True)
    for draw in (plan.dy, plan.dx, plan.flip):
        pair = torch.stack((plan.order.double(), draw.double()))
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.02


def test_plan_without_flips_flips_nothing_and_crops_the_same() -> None:
    with_flips = epoch_plan(1, 2, 500, 4, True)
    without = epoch_plan(1, 2, 500, 4, False)
    assert not without.flip.any()
    assert plan_numbers(without)[:3] == plan_numbers(with_flips)[:3]


def test_plan_is_pinned() -> None:
    """Other values would make every earlier seed's result irreproducible."""
    plan = epoch_plan(42, 1, 8, 4, True)
    assert plan.order.tolist() == [4, 5, 3, 0, 2, 7, 1, 6]
    assert plan.dy.tolist() == [1, 0, 5, 1, 6, 5, 7, 5]
    assert plan.dx.tolist() == [5, 6, 2, 4, 0, 1, 5, 4]
    assert plan.flip.long().tolist() == [0, 0, 1, 1, 1, 0, 1, 0]
    whole = np.array(plan_numbers(epoch_plan(42, 7, 12_406, 4, True)), dtype="<i8")
    assert hashlib.sha256(whole.tobytes()).hexdigest()[:16] == "f40d825eadefb950"


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
