"""What a training yields, what stops it, and what it does not depend on."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

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

from spaces.loss import POSTHOC
from trainer.benchmarks import BENCHMARKS
from trainer.errors import DataError
from trainer.execution import loop
from trainer.execution.augment import normalise
from trainer.execution.checkpoint import last_saved_epoch
from trainer.execution.learner import Learner
from trainer.execution.loop import (
    TrainingError,
    learning_rates,
    save_position,
    train,
    train_by_batches,
)
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.results import (
    EpochResult,
)
from trainer.trial import Trial


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
    ("owner", "name", "error", "kept"),
    (
        (loop, "epoch_result", TrainingError(2, "the test loss is nan"), False),
        (Learner, "take", torch.OutOfMemoryError("CUDA out of memory"), False),
        (Task, "take_batch", DataError("the file cannot be read"), True),
    ),
)
def test_a_trial_that_failed_is_saved_only_where_it_was_between_two_batches(
    owner: Any,
    name: str,
    error: Exception,
    kept: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise error

    trial, slot = digits_trial(2), Slot(digits_trial(2), digits_task())
    work = train_by_batches(slot, trial, tmp_path, save_every=9)
    assert any(item for item in work)
    monkeypatch.setattr(owner, name, fails)
    with pytest.raises(type(error)):
        list(work)
    monkeypatch.undo()
    save_position(slot, tmp_path)
    assert last_saved_epoch(tmp_path) == (1 if kept else 0)
    again, whole = (list(train(trial, digits_task(), folder)) for folder in (tmp_path, None))
    assert without_seconds(again) == without_seconds(whole)


def test_the_largest_seed_trains() -> None:
    assert next(train(digits_trial(1, seed=2**63 - 1), digits_task())).epoch == 1


def test_a_batch_for_more_images_than_there_are_has_all_of_them() -> None:
    sizes = len(digits_data().train_labels), 10**15
    whole, more = (list(train(digits_trial(2, batch_size=n), digits_task())) for n in sizes)
    assert without_seconds(whole) == without_seconds(more)


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
