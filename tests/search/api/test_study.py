"""Ask and tell: a study is a search whose trainings happen elsewhere, on the same record."""

import math
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repository import REPOSITORY

import search
from search.api.study import Study
from search.api.told import Trial
from search.cli.commands import main
from search.report.verdict_view import export_note
from search.stats.best_arm import SEEDS_EACH, confirmation_seed
from search.store.record import Record
from search.store.trials import trial_seed

COUNTS = [500, 100, 20, 10]
TEST = [50, 50, 40, 40]


def trained(trial: Trial) -> float:
    """Return the accuracy of a training that likes the rarest class to weigh 8 times as much."""
    ratio = trial.weights[-1] / trial.weights[0]
    return 0.7 - 0.1 * abs(math.log(ratio / 8)) + random.Random(trial.key).gauss(0, 0.003)


def searched(study: Study, trials: int) -> None:
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, trained(trial))


def confirmed(study: Study, **options: Any) -> list[Trial]:
    """Train the confirmation to its end, and return its trials."""
    told: list[Trial] = []
    while trials := study.confirmation(**options):
        for trial in trials:
            study.tell(trial, trained(trial))
        told += trials
    return told


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with Study(COUNTS, folder=tmp_path / "mine", sampler="random") as study:
        yield study


def test_a_study_learns_from_an_earlier_one_and_has_that_on_record(
    study: Study, tmp_path: Path
) -> None:
    searched(study, 9)
    again: dict[str, Any] = {"folder": tmp_path / "new", "sampler": "knowledge-gradient"}
    with Study([90, 9], **again, prior=study.run) as new:
        assert [run.run for run in new._search.record.begun.prior] == ["mine"]
        assert new.ask().label == "uniform"
    assert "; confirmation() of search.Study(" in str(export_note(study.run.conclusion))
    with Study([90, 9], **again) as known:
        assert [trial.label for trial in known.pending()] == ["uniform"]
    with pytest.raises(search.UserError, match=r"^prior is other, and run 'new' began with mine; "):
        Study([90, 9], **again, prior="other")


def test_a_study_finds_confirms_and_exports_as_a_search_does(
    study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("search.export.export.verify_export", lambda *_: None)  # it loads torch
    searched(study, 30)
    assert study.verdict() is None
    runs = confirmed(study, runs=12, slots=3)
    verdict = study.verdict()
    assert verdict is not None
    assert verdict.to_uniform is not None
    assert verdict.to_uniform.points.low > 0
    assert {trial.label for trial in runs} >= {"uniform", verdict.winner}
    study.close()
    for call in (study.ask, study.pending, study.confirmation, lambda: study.tell("x", 0.5)):
        with pytest.raises(search.UserError, match="the study is closed; make it again"):
            call()
    run = search.load(tmp_path / "mine")
    assert run.verdict == search.load(run).verdict == verdict
    assert len(run.trials()) == 30 + len(runs)
    assert [row["score"] for row in run.trials()][-1] == pytest.approx(100 * trained(runs[-1]))
    for command in ("show", "report", "export", "list"):
        assert main([command, str(tmp_path if command == "list" else tmp_path / "mine")]) == 0
    assert "trained elsewhere on 630 images of 4 classes" in capsys.readouterr().out
    page = (tmp_path / "mine" / "report.html").read_text()
    assert "<dt>command</dt>" not in page
    assert main(["confirm", str(tmp_path / "mine")]) == 2
    for call, argument in ((search.load, "path"), (run.export, "folder"), (run.report, "path")):
        with pytest.raises(search.UserError, match=f"^{argument} is ''; it must be text or a path"):
            call("")


def test_a_trial_says_what_to_train(study: Study) -> None:
    uniform, *controls = (study.ask() for _ in range(3))
    assert (uniform.key, uniform.number, uniform.label) == ("baselines-00000", 0, "uniform")
    assert uniform.weights == (1.0,) * 4
    assert uniform.seed == trial_seed(42, "baselines", 0)
    for trial in controls:
        assert trial.counts == study.counts == tuple(COUNTS)
        assert trial.weights == trial.recipe.weights == trial.strategy.recipe(COUNTS).weights
        assert sum(trial.weights) == pytest.approx(4)
    assert study.pending() == [uniform, *controls]
    assert pickle.loads(pickle.dumps(controls)) == controls  # for workers elsewhere
    assert repr(controls[1]) == f"<Trial 'baselines-00002', seed {controls[1].seed}: p=1>"
    study.tell(uniform, 0.5)
    assert repr(study) == f"<Study {str(study.run.path)!r}, 1 trial told>"
    with pytest.raises(search.UserError, match="is of a study, which hands out its trainings"):
        study.run.confirm()


@pytest.mark.parametrize("writer", ("record", "files.jsonl"))
def test_a_full_disk_loses_nothing_that_can_be_told_again(
    writer: str, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    trial = study.ask()
    with monkeypatch.context() as patched:
        patched.setattr(f"search.store.{writer}.append_whole", full)
        with pytest.raises(OSError, match="No space left"):
            study.tell(trial, 0.5)
    assert study.pending() == [trial]
    study.tell(trial, 0.5)
    assert [row["score"] for row in study.run.trials()] == [50.0]


def test_pending_trials_are_told_in_any_order_and_from_any_thread_whatever_the_clock_says(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [study.ask() for _ in range(12)]
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert len({trial.key for trial in trials}) == 12
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda trial: study.tell(trial.key, trained(trial)), reversed(trials)))
    assert study.pending() == []
    scores = {row["key"]: row["score"] for row in study.run.trials()}
    assert scores == {trial.key: pytest.approx(100 * trained(trial)) for trial in trials}


def test_closing_waits_for_what_another_thread_tells(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, closing = study.ask(), threading.Thread(target=study.close)
    finish = study._search.finish

    def finish_while_closing(key: str) -> None:
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()
        finish(key)

    monkeypatch.setattr(study._search, "finish", finish_while_closing)
    study.tell(trial, 0.5)
    closing.join()
    assert [row["state"] for row in study.run.trials()] == ["complete"]
    with pytest.raises(search.UserError, match="the study is closed"):
        study.ask()


def test_what_is_proposed_follows_from_the_seed_and_what_was_told(tmp_path: Path) -> None:
    asked = []
    for place in ("a", "b"):
        weights = []
        with Study(COUNTS, folder=tmp_path / place, seed=7, baselines="none") as study:
            for _ in range(14):  # beyond the sampler's random start
                trial = study.ask()
                study.tell(trial, trained(trial))
                weights.append(trial.weights)
        asked.append(weights)
    assert asked[0] == asked[1]
    assert len(set(asked[0])) == 14


KILLED = """
import os, signal, sys
from search.api.study import Study
study = Study([500, 100, 20, 10], folder=sys.argv[1], sampler="random")
first, second = study.ask(), study.ask()
study.tell(first, 0.5)
print(second.key, second.seed, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_killed_study_goes_on_with_what_was_not_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "mine")],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    key, seed = done.stdout.split()
    with Study(COUNTS, folder=tmp_path / "mine", sampler="random") as study:
        again, new = study.ask(), study.ask()
        assert (again.key, again.seed) == (key, int(seed))
        assert new.number == 2
        study.tell(again, 0.6)
    states = [row["state"] for row in search.load(tmp_path / "mine").trials()]
    assert states == ["complete", "complete", "unfinished"]
    with Study(COUNTS, folder=tmp_path / "mine", sampler="random") as study:
        assert [trial.key for trial in study.pending()] == [new.key]
        assert study.ask().number == 3  # whoever looked at what is pending trains it
        study.tell(new.key, 0.6)


def test_a_confirmation_goes_on_where_a_study_was_closed(tmp_path: Path) -> None:
    given: dict[str, Any] = {"folder": tmp_path / "mine", "sampler": "random"}
    with Study(COUNTS, **given) as study:
        searched(study, 20)
        first = study.confirmation(slots=np.int64(3), runs=9)
        assert len({trial.label for trial in first}) == len(first) == 3  # a seed for each arm
        study.tell(first[0], trained(first[0]))
    with Study(COUNTS, **given) as study:
        with pytest.raises(search.UserError, match="the confirmation has begun; train what"):
            study.ask()
        assert study.confirmation(slots=2) == first[1:]
        for trial in first[1:]:
            study.tell(trial, trained(trial))
        rest = confirmed(study)
        seeds = {trial.seed for trial in (*first, *rest)}
        assert len(first) + len(rest) == 9
        assert seeds == {confirmation_seed(42, index) for index in range(SEEDS_EACH)}
        searched(study, 2)  # more of the search, and a confirmation of what is best then
        assert study.confirmation(runs=12)
        assert study.run.conclusion.plan is not None
        assert study.run.conclusion.plan.search_trials == 22


@pytest.mark.parametrize(
    ("told", "sentence"),
    (
        ({"accuracy": 1.2}, "accuracy is 1.2; report the share of correct images, from 0 to 1."),
        ({"accuracy": "good"}, "accuracy is 'good'; report the share"),
        ({}, "report accuracy=... alone, as the class counts name no evaluated images."),
        ({"correct": TEST}, "report accuracy=... alone, as the class counts name no evaluated"),
        ({"accuracy": 0.5, "failed": "no"}, "failed and has a result; tell one of the two."),
        ({"accuracy": 0.5, "seconds": -1}, "seconds is -1; tell a number from 0 to 1e+09."),
        ({"accuracy": 0.5, "seconds": math.nan}, "seconds is nan; tell a number"),
        ({"failed": ValueError("no")}, "failed is ValueError('no'); tell why in a text, such as"),
    ),
)
def test_what_is_told_wrongly_is_one_sentence_and_changes_nothing(
    told: dict[str, Any], sentence: str, study: Study
) -> None:
    trial = study.ask()
    with pytest.raises(search.UserError) as caught:
        study.tell(trial, **told)
    assert str(caught.value).startswith("trial baselines-00000")
    assert sentence in str(caught.value)
    assert study.pending() == [trial]
    study.tell(trial, 0.5)
    for again in (trial, "proposals-00009", [trial]):
        with pytest.raises(search.UserError, match="is not pending; tell each one that was asked"):
            study.tell(again, 0.5)


def test_failures_are_recorded_and_stop_nothing(study: Study) -> None:
    for _ in range(4):
        study.tell(study.ask(), failed="out of memory")
    study.tell(study.ask(), failed="no \udcff.png")  # the name of a file that is no UTF-8
    study.tell(study.ask(), math.nan)
    rows = study.run.conclusion.rows
    assert [row.reason for row in rows[:5]] == [*["out of memory"] * 4, r"no \udcff.png"]
    assert [row.diverged for row in rows] == [False] * 5 + [True]
    assert study.ask().key == "proposals-00003"  # after three of the four controls


def test_nan_is_a_training_that_diverged_where_correct_images_are_told(tmp_path: Path) -> None:
    with Study({"train": COUNTS, "test": TEST}, folder=tmp_path / "mine") as study:
        study.tell(study.ask(), math.nan)
        assert [row.diverged for row in study.run.conclusion.rows] == [True]


def correct_images(trial: Trial) -> list[int]:
    """Return correct images of each class; the strategy acts on the third."""
    shares = (0.9, 0.8, trained(trial), 0.4)
    return [int(n * share) for n, share in zip(TEST, shares, strict=True)]


@pytest.mark.parametrize("held_out", (False, True))
def test_correct_images_by_class_tell_where_a_strategy_gains(
    held_out: bool, tmp_path: Path
) -> None:
    splits = ("validation", "test") if held_out else ("test",)
    counts = {"train": COUNTS, **dict.fromkeys(splits, TEST)}
    with Study(counts, folder=tmp_path / "mine", sampler="random") as study:

        def tell(trial: Trial) -> None:
            correct = correct_images(trial)
            study.tell(trial, correct=[correct, correct] if held_out else correct)

        for _ in range(12):
            tell(study.ask())
        last = study.ask()
        with pytest.raises(search.UserError, match=r"report correct=\.\.\. alone"):
            study.tell(last, 0.5)
        study.tell(last, failed="preempted")
        while trials := study.confirmation(runs=9):
            tell(trials[0])
        assert study.run.trials()[0]["few"] == pytest.approx(40.0)
        judgement = study.run.conclusion.judgement
        assert judgement is not None
        assert judgement.benchmarks[0].benchmark.test_held_out is held_out
        gains = judgement.benchmarks[0].gains
        assert gains is not None
        assert [gain != 0 for gain in gains.classes] == [False, False, True, False]


def test_a_study_needs_no_folder_and_leaves_nothing() -> None:
    with Study(benchmark="resnet8-digitslt", baselines="none") as study:
        assert len(study.counts) == 10
        place = study.run.path
        study.tell(study.ask(), np.float32(0.5), seconds=np.int64(3))
        assert Record(place / "record.jsonl").rows()
    assert not place.exists()


def test_a_confirmation_waits_for_the_search_and_needs_something_to_confirm(study: Study) -> None:
    trial = study.ask()
    with pytest.raises(search.UserError, match=r"uniform of the search are pending; tell what"):
        study.confirmation()
    study.tell(trial, 0.5)
    with pytest.raises(search.UserError, match=r"no full-length .* ask for more, and"):
        study.confirmation()
    searched(study, 8)
    for options, sentence in (({"runs": 8}, "runs is 8; it"), ({"slots": 0}, "slots is 0; it")):
        with pytest.raises(search.UserError, match=sentence):
            study.confirmation(**options)
