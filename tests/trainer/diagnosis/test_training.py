"""The diagnosis of a training: it agrees with the scores on record, and a kill changes nothing."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest
from training import CPU, DIGITS, digits_data, digits_task, digits_trial, without_seconds

from spaces import POSTHOC, STRATEGIES, PostHoc
from trainer.diagnosis.records import CONFIDENCE_UNIT, Diagnosis, Examined
from trainer.diagnosis.scenarios import Scenario, Scenarios
from trainer.diagnosis.words import failure_modes, matrix, scenario_sentence
from trainer.execution.loop import save_position, train, train_by_batches
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.results import EpochResult, selection
from trainer.trial import Trial


def trial_of(posthoc: PostHoc = POSTHOC[0], **fields: object) -> Trial:
    like = digits_trial(2, **fields)
    recipe = dataclasses.replace(
        like.recipe, adjustment=posthoc.adjustment, tau_norm=posthoc.tau_norm
    )
    return dataclasses.replace(like, recipe=recipe, diagnosed=True)


@functools.cache
def plain_results() -> list[EpochResult]:
    """Return the epochs of the trial without an adjustment, diagnosed in full."""
    return list(train(trial_of(), digits_task()))


def check(found: Examined, result: EpochResult, held_out: bool) -> None:
    """Check what was examined against the numbers of its epoch."""
    correct = selection(result.correct, held_out)
    assert result.predicted is not None
    assert found.confusion is not None
    cells = matrix(found.confusion, 10)
    assert found.epoch == result.epoch
    assert cells.diagonal().tolist() == correct.tolist()
    assert cells.sum(0).tolist() == selection(result.predicted, held_out).tolist()
    assert cells.sum(1).tolist() == selection(digits_data().half_counts, held_out).tolist()
    assert 100 * np.trace(cells) / cells.sum() == pytest.approx(result.score, rel=1e-12)
    images, hits, units = np.sum([np.sum(bins, axis=0) for bins in found.reliability], axis=0)
    assert (images, hits) == (cells.sum(), np.trace(cells))
    assert 0 < units * CONFIDENCE_UNIT < images


@pytest.mark.parametrize(
    ("posthoc", "held_out"), ((POSTHOC[0], False), (POSTHOC[3], True), (POSTHOC[-1], False))
)
def test_the_trace_of_the_confusion_is_the_accuracy_on_record(
    posthoc: PostHoc, held_out: bool
) -> None:
    trial = trial_of(posthoc, test_held_out=held_out)
    plain = trial == trial_of()
    results = plain_results() if plain else list(train(trial, digits_task()))
    assert [result.diagnosis for result in results[:-1]] == [None]
    diagnosis = results[-1].diagnosis
    assert diagnosis is not None
    assert diagnosis.best is not None
    best = max(results, key=lambda r: (r.score, -r.epoch))
    check(diagnosis.best, best, held_out)
    assert (diagnosis.last is None) is (best is results[-1])
    last = diagnosis.last or diagnosis.best
    check(last, results[-1], held_out)
    if not held_out:
        counts = digits_data().half_counts.sum(0)
        losses = np.array(last.losses, dtype=float)
        assert (losses @ counts) / counts.sum() == pytest.approx(results[-1].test_loss, rel=5e-3)
        for result in results:
            assert result.class_losses is not None
            test = np.array(result.class_losses.test, dtype=float)
            assert (test @ counts) / counts.sum() == pytest.approx(result.test_loss, rel=5e-3)


@pytest.mark.parametrize("name", ("uniform", "two_branch"))
def test_training_losses_by_class_are_kept_and_are_those_of_plain_cross_entropy(name: str) -> None:
    like = trial_of()
    recipe = STRATEGIES[name].strategy.recipe(like.benchmark.counts)
    trial = dataclasses.replace(like, recipe=recipe)
    results = list(train(trial, digits_task()))
    counts = digits_data().counts
    for result in results:
        assert result.class_losses is not None
        train_losses = np.array(result.class_losses.train, dtype=float)
        assert (train_losses > 0).all()
        if name == "uniform":
            mean = (train_losses @ counts) / counts.sum()
            assert mean == pytest.approx(result.train_loss, rel=5e-3)


def test_a_trial_that_is_not_diagnosed_has_a_summary_and_the_same_numbers() -> None:
    trial, whole = trial_of(), plain_results()
    short = list(train(dataclasses.replace(trial, diagnosed=False), digits_task()))
    told, summary = whole[-1].diagnosis, short[-1].diagnosis
    assert told is not None
    assert told.best is not None
    assert summary is not None
    assert summary.best == dataclasses.replace(told.best, confusion=None)
    no = {"confusion": None, "reliability": ()}
    assert summary.last == (told.last and dataclasses.replace(told.last, **no))
    assert all(result.class_losses is None for result in short)
    row, last = (len(json.dumps(r.to_dict(), separators=(",", ":"))) for r in (short[0], short[-1]))
    assert last - row < 0.45 * 4 * row, "what the file of a trial of 4 epochs may grow by"
    no = {"seconds": 0.0, "diagnosis": None, "class_losses": None}
    rows = [dataclasses.replace(r, **no) for r in (*whole, *short)]
    assert rows[:2] == rows[2:]
    assert trial.fingerprint() == dataclasses.replace(trial, diagnosed=False).fingerprint()


@functools.cache
def tagged_task() -> Task:
    """Return the task of the same images with scenarios in two columns."""
    data = digits_data()
    evaluated = np.stack([data.test_labels % 3, 3 + (np.arange(len(data.test_labels)) > 20)])
    train = np.zeros((2, len(data.train_labels)), np.uint8)
    scenarios = Scenarios(("a", "b", "c", "many", "few"), train, evaluated.astype(np.uint8))
    return Task(dataclasses.replace(data, scenarios=scenarios), DIGITS.padding, CPU)


def without_scenarios(result: EpochResult) -> EpochResult:
    """Check the numbers of scenarios in a result, and return it without them."""
    if result.diagnosis is None:
        return result
    plain: list[Examined | None] = []
    for found in (result.diagnosis.best, result.diagnosis.last):
        if found is None:  # the last epoch is the best one
            plain.append(None)
            continue
        assert found.scenarios is not None
        columns = np.array(found.scenarios[:3]), np.array(found.scenarios[3:])
        assert (columns[0].sum(0) == columns[1].sum(0)).all()
        if found.epoch == result.epoch:
            correct = np.array(result.correct)
            assert (columns[0].sum(0) == correct.sum(1)).all()
            by_tag = [correct[:, np.arange(10) % 3 == tag].sum(1) for tag in range(3)]
            assert columns[0].tolist() == np.array(by_tag).tolist()
        plain.append(dataclasses.replace(found, scenarios=None))
    return dataclasses.replace(result, diagnosis=Diagnosis(*plain))


def test_a_kill_in_the_last_epoch_and_scenarios_change_no_number(tmp_path: Path) -> None:
    trial = trial_of()
    whole = plain_results()
    slot = Slot(trial, tagged_task())
    work = train_by_batches(slot, trial, tmp_path, save_every=9)
    assert any(item and item.epoch == 1 for item in work)
    for _ in range(14):  # an epoch has 13 batches to train and 2 to test
        assert next(work) is None
    save_position(slot, tmp_path)
    resumed = list(train(trial, tagged_task(), tmp_path))
    plain = list(map(without_scenarios, resumed))
    assert without_seconds(plain) == without_seconds(whole)
    assert resumed[-1] == EpochResult.from_dict(resumed[-1].to_dict())


def test_failure_modes_are_the_most_frequent_errors_of_each_class() -> None:
    cells = ((0, 0, 5), (0, 1, 2), (0, 2, 3), (1, 1, 4), (2, 0, 1), (2, 2, 9))
    first, second = failure_modes(cells)
    assert (first.true, first.taken_for, first.images, first.of) == (0, 2, 3, 10)
    assert (second.true, second.taken_for, second.share) == (2, 0, 0.1)
    assert first.sentence(None) == "class 0 is taken for class 2 (3 of 10 images)"
    assert second.sentence("abc") == "c is taken for a (1 of 10 images)"


@pytest.mark.parametrize(
    ("held_out", "words"),
    (
        (False, "night 50.0 % (40 images); <b> 60.0 % (5 images, few); fog 0.0 % (1 image, few)"),
        (True, "night 75.0 % (20"),
    ),
)
def test_the_accuracy_by_scenario_is_of_the_images_that_choose(held_out: bool, words: str) -> None:
    scenarios = (
        Scenario("night", 3, (20, 20)),
        Scenario("<b>", 0, (0, 5)),
        Scenario("fog", 0, (0, 1)),
    )
    found = Examined(1, (), (), scenarios=((15, 5), (0, 3), (0, 0)))
    said = scenario_sentence(found, scenarios, held_out)
    assert said.startswith(f"accuracy by scenario: {words}")
    assert ("<b>" in said) is not held_out
