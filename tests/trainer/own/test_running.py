"""The running of an own training: what reports may hold, how it stops, and how it goes on."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spaces import Recipe
from trainer.own.reports import REPORTS, ReportError
from trainer.own.running import FunctionError, Running, TrainingStopped
from trainer.own.training import OwnTraining
from trainer.results import EpochResult

Report = Callable[..., None]
RECIPE = Recipe((50, 20), (0.5, 1.5))
PLAIN = OwnTraining("own", "own:train", 3, (50, 20), dataset="photos")
TESTED = OwnTraining("own", "own:train", 3, (50, 20), ((8, 4), (0, 0)))
HALVES = OwnTraining("own", "own:train", 3, (50, 20), ((8, 4), (4, 4)))
HELD_OUT = OwnTraining("own", "own:train", 3, (50, 20), ((8, 4), (4, 4)), test_held_out=True)


class OnDevice:
    """Numbers that numpy does not reach, as those of a tensor on a GPU."""

    def __array__(self) -> None:
        raise TypeError("it is on cuda:0")

    def tolist(self) -> list[int]:
        return [6, 1]


def running(
    function: Callable[..., object], folder: Path, training: OwnTraining = PLAIN
) -> Running:
    return Running(training, function, RECIPE, 7, folder, threads=1)


def results(
    function: Callable[..., object], folder: Path, training: OwnTraining = PLAIN
) -> list[EpochResult]:
    return [r for r in running(function, folder, training).results() if r is not None]


def rising(weights: object, seed: int, report: Report) -> None:
    for epoch in (1, 2, 3):
        report(epoch, accuracy=epoch / 4)


def test_every_reported_epoch_is_a_result_in_percent(tmp_path: Path) -> None:
    found = results(rising, tmp_path)
    assert [(r.epoch, r.score, r.best_score) for r in found] == [
        (1, 25.0, 25.0),
        (2, 50.0, 50.0),
        (3, 75.0, 75.0),
    ]
    assert all(r.correct is None and r.train_loss is None and r.seconds >= 0 for r in found)


def test_a_function_is_given_what_it_names(tmp_path: Path) -> None:
    given: dict[str, Any] = {}

    def train(report: Report, **values: Any) -> None:
        given.update(values)
        rising(None, 0, report)

    results(train, tmp_path)
    checkpoints = given.pop("checkpoints")
    assert checkpoints.is_dir()
    assert checkpoints.is_relative_to(tmp_path)
    assert given == {
        "weights": (0.5, 1.5),
        "recipe": RECIPE,
        "seed": 7,
        "epochs": 3,
        "counts": (50, 20),
        "dataset": "photos",
        "threads": 1,
        "device": "cpu",
    }


@pytest.mark.parametrize(
    ("training", "correct", "score", "kept"),
    (
        (TESTED, [6, 1], 100 * 7 / 12, ((6, 1), (0, 0))),
        (TESTED, OnDevice(), 100 * 7 / 12, ((6, 1), (0, 0))),
        (TESTED, np.array([6.0, 1.0]), 100 * 7 / 12, ((6, 1), (0, 0))),
        (HALVES, [[6, 1], [4, 1]], 100 * 12 / 20, ((6, 1), (4, 1))),
        (HELD_OUT, [[6, 1], [4, 1]], 100 * 7 / 12, ((6, 1), (4, 1))),
    ),
)
def test_correct_images_are_scored_on_those_that_choose(
    training: OwnTraining, correct: object, score: float, kept: object, tmp_path: Path
) -> None:
    def train(weights: object, seed: int, report: Report) -> None:
        for epoch in (1, 2, 3):
            report(epoch, correct=correct)

    last = results(train, tmp_path, training)[-1]
    assert last.score == pytest.approx(score)
    assert last.correct == kept


def reporting(*calls: dict[str, Any]) -> Callable[..., object]:
    def train(weights: object, seed: int, report: Report) -> None:
        for values in calls:
            report(**values)

    return train


@pytest.mark.parametrize(
    ("training", "calls", "sentence"),
    (
        (PLAIN, [{"epoch": 1, "accuracy": 87.5}], "epoch 1: accuracy is 87.5; report the share"),
        (PLAIN, [{"epoch": 1, "accuracy": -0.1}], "epoch 1: accuracy is -0.1; report"),
        (PLAIN, [{"epoch": 1, "accuracy": float("inf")}], "epoch 1: accuracy is inf; report"),
        (PLAIN, [{"epoch": 1, "accuracy": 10**400}], "epoch 1: accuracy is 1000000"),
        (PLAIN, [{"epoch": 1, "accuracy": "0.5"}], "epoch 1: accuracy is '0.5'; report"),
        (PLAIN, [{"epoch": 1, "accuracy": True}], "epoch 1: accuracy is True; report"),
        (PLAIN, [{"epoch": 1, "accuracy": [0.5]}], "epoch 1: accuracy is [0.5]; report"),
        (PLAIN, [{"epoch": 0, "accuracy": 0.5}], "epoch is 0; report whole numbers from 1 to 3"),
        (PLAIN, [{"epoch": 1.5, "accuracy": 0.5}], "epoch is 1.5; report whole numbers"),
        (PLAIN, [{"epoch": True, "accuracy": 0.5}], "epoch is True; report whole numbers"),
        (PLAIN, [{"epoch": 2, "accuracy": 0.5}], "epoch 2 was reported first, but the epoch"),
        (
            PLAIN,
            [{"epoch": 1, "accuracy": 0.5}, {"epoch": 3, "accuracy": 0.5}],
            "epoch 3 was reported after epoch 1; report 1, 2, 3",
        ),
        (
            PLAIN,
            [{"epoch": 1, "accuracy": 0.5}, {"epoch": 1, "accuracy": 0.5}],
            "epoch 1 was reported after epoch 1; report 1, 2, 3",
        ),
        (PLAIN, [{"epoch": 1}], "epoch 1: report accuracy=... alone"),
        (PLAIN, [{"epoch": 1, "correct": [1, 1]}], "epoch 1: report accuracy=... alone"),
        (TESTED, [{"epoch": 1, "accuracy": 0.5}], "epoch 1: report correct=... alone"),
        (
            TESTED,
            [{"epoch": 1, "accuracy": 0.5, "correct": [1, 1]}],
            "epoch 1: report correct=... alone",
        ),
        (TESTED, [{"epoch": 1, "correct": [1]}], "epoch 1: correct has the shape (1,); report a"),
        (TESTED, [{"epoch": 1, "correct": [1, 1.5]}], "epoch 1: correct has numbers that are not"),
        (TESTED, [{"epoch": 1, "correct": [1, np.nan]}], "epoch 1: correct has numbers that are"),
        (TESTED, [{"epoch": 1, "correct": ["a", "b"]}], "epoch 1: correct is no list of numbers"),
        (HALVES, [{"epoch": 1, "correct": [1, 1]}], "epoch 1: correct has the shape (2,); report"),
        (TESTED, [{"epoch": 1, "correct": [9, 1]}], "epoch 1: correct is 9 for class 0, which has"),
        (TESTED, [{"epoch": 1, "correct": [1, -1]}], "epoch 1: correct is -1 for class 1"),
        (PLAIN, [], "own:train returned and reported no epoch; it must call report(epoch, ...)"),
        (
            PLAIN,
            [{"epoch": 1, "accuracy": 0.5}],
            "own:train returned and reported 1 of 3 epochs; it must",
        ),
    ),
)
def test_a_report_that_breaks_a_rule_fails_the_trial_in_one_sentence(
    training: OwnTraining, calls: list[dict[str, Any]], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(FunctionError) as found:
        results(reporting(*calls), tmp_path, training)
    assert found.value.reason.startswith(sentence)
    assert not found.value.diverged


def test_an_accuracy_that_is_no_number_is_a_network_that_diverged(tmp_path: Path) -> None:
    with pytest.raises(FunctionError, match="epoch 1: the accuracy is nan") as found:
        results(reporting({"epoch": 1, "accuracy": np.nan}), tmp_path)
    assert found.value.diverged


@pytest.mark.parametrize(
    "error", (ZeroDivisionError("by\nnothing"), OSError("by"), SystemExit("by"))
)
def test_a_function_that_raises_fails_its_trial_with_a_traceback(
    error: BaseException, tmp_path: Path
) -> None:
    def train(weights: object, seed: int, report: Report) -> None:
        report(1, accuracy=0.5)
        raise error

    made = running(train, tmp_path).results()
    found: list[EpochResult | None] = []
    with pytest.raises(FunctionError) as raised:
        found.extend(made)
    assert raised.value.reason == f"{type(error).__name__}: by"
    assert "in train" in raised.value.details
    assert [r.epoch for r in found if r] == [1]


def test_a_report_that_cannot_be_written_is_no_fault_of_the_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainer.own.running.append_whole", fail)
    with pytest.raises(OSError, match="No space left"):
        results(rising, tmp_path)


def test_a_function_that_swallows_what_report_raises_has_failed(tmp_path: Path) -> None:
    def train(weights: object, seed: int, report: Report) -> None:
        for epoch in (1, 2, 3):
            try:
                report(epoch, accuracy=7)
            except ReportError:
                report(epoch, accuracy=0.7)

    with pytest.raises(FunctionError, match="accuracy is 7"):
        results(train, tmp_path)


def test_a_function_runs_only_while_its_next_epoch_is_wanted(tmp_path: Path) -> None:
    begun: list[int] = []

    def train(weights: object, seed: int, report: Report) -> None:
        for epoch in (1, 2, 3):
            begun.append(epoch)
            report(epoch, accuracy=0.5)

    made = running(train, tmp_path)
    found = made.results()
    assert next(found)
    time.sleep(0.05)
    assert begun == [1]
    assert next(found)
    assert begun == [1, 2]
    made.stop()


def test_a_stopped_function_ends_at_its_report_and_cleans_up(tmp_path: Path) -> None:
    ended: list[str] = []

    def train(weights: object, seed: int, report: Report) -> None:
        try:
            for epoch in (1, 2, 3):
                report(epoch, accuracy=0.5)
        except Exception:
            ended.append("handled")
        except TrainingStopped:
            ended.append("stopped")
            raise
        finally:
            ended.append("cleaned")

    made = running(train, tmp_path)
    assert next(made.results())
    made.stop()
    assert ended == ["stopped", "cleaned"]
    with pytest.raises(TrainingStopped):
        made.report(2, accuracy=0.5)


def test_one_that_never_ran_is_stopped_at_once(tmp_path: Path) -> None:
    running(rising, tmp_path).stop()


def test_lines_behind_the_last_report_are_run(tmp_path: Path) -> None:
    def train(weights: object, seed: int, report: Report) -> None:
        rising(weights, seed, report)
        (tmp_path / "behind").touch()

    made = running(train, tmp_path)
    assert len(list(made.results())) == 3
    made.stop()
    assert (tmp_path / "behind").exists()


def test_who_waits_is_told_that_nothing_has_come_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.own.running.LOOK_SECONDS", 0.001)
    told = threading.Event()

    def train(weights: object, seed: int, report: Report) -> None:
        told.wait(60)
        rising(weights, seed, report)

    made = running(train, tmp_path)
    assert next(made.results()) is None
    told.set()
    made.stop()


def with_checkpoints(started: list[int]) -> Callable[..., object]:
    def train(weights: object, seed: int, report: Report, checkpoints: Path) -> None:
        state = checkpoints / "epoch"
        begin = int(state.read_text()) if state.exists() else 0
        started.append(begin)
        for epoch in range(begin + 1, 4):
            report(epoch, accuracy=epoch / 10)
            state.write_text(str(epoch))

    return train


def after_two(function: Callable[..., object], folder: Path) -> None:
    """Run a trial up to its second epoch, as in a process that is killed there."""
    made = running(function, folder)
    found = filter(None, made.results())
    assert [next(found).epoch, next(found).epoch] == [1, 2]
    made.stop()


def test_a_trial_goes_on_from_its_own_checkpoint_and_its_reports(tmp_path: Path) -> None:
    started: list[int] = []
    after_two(with_checkpoints(started), tmp_path)
    assert [r.epoch for r in results(with_checkpoints(started), tmp_path)] == [1, 2, 3]
    assert started == [0, 1]  # the second report was on disk, and its checkpoint was not


def test_a_trial_without_a_checkpoint_repeats_what_is_on_disk(tmp_path: Path) -> None:
    after_two(rising, tmp_path)
    again = reporting(*({"epoch": epoch, "accuracy": 0.9} for epoch in (1, 2, 3)))
    assert [r.score for r in results(again, tmp_path)] == [25.0, 50.0, 90.0]


def test_a_trial_whose_reports_are_all_on_disk_is_not_run_again(tmp_path: Path) -> None:
    results(rising, tmp_path)
    assert len(results(reporting(), tmp_path)) == 3


def test_a_torn_report_is_dropped(tmp_path: Path) -> None:
    after_two(rising, tmp_path)
    with (tmp_path / REPORTS).open("ab") as file:
        file.write(b'{"epoch": 3, "sco')
    assert [r.epoch for r in results(rising, tmp_path)] == [1, 2, 3]
