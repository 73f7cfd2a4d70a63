"""What is said of a search's length before it begins."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from confirming import HELD
from training import DIGITS, digits_data, digits_trial
from twin import attempt, make_plan, make_run, make_settings, results_of

from search.config.budget import Budget
from search.config.objective import BenchmarkObjective, Objective
from search.report.announcement import forecast_text
from search.report.durations import rough_duration
from search.results.forecast import FirstEpochs, Forecast, epoch_seconds, forecast
from search.session.events import EpochReported
from search.session.plan import Plan
from search.store.run_folder import RunFolder
from trainer.benchmarks import BENCHMARKS
from trainer.execution.slot import Slot
from trainer.execution.task import Task

CPU = torch.device("cpu")
CIFAR = Forecast((73.0,), concurrency=2)


def plan_of(place: Path, benchmark: str, budget: Budget) -> Plan:
    return make_plan(RunFolder(place / "run"), benchmark, budget, make_settings())


def told(found: Forecast, plan: Plan) -> str:
    """Return what is said of a new search by the plan."""
    make_run(plan.folder.path, plan.settings)
    [benchmark], budget = plan.benchmarks, plan.budget
    objective = Objective(
        (BenchmarkObjective(benchmark.name, benchmark.epochs, (9, 3), ((1, 1), (1, 1))),),
        holdout=HELD if plan.holdout else None,
    )
    search = attempt(
        plan.folder, plan.settings, budget.trials, budget.hours, objective, confirm=True
    )
    return " ".join(forecast_text(found, plan, search))


def test_a_long_search_is_told_its_hours_and_what_would_be_feasible(tmp_path: Path) -> None:
    text = told(CIFAR, plan_of(tmp_path, "resnet32-cifar100lt", Budget(64, None)))
    assert "about 130 hours if no trial is stopped early (64 trials x 200 epochs x 73 s, 2" in text
    assert "--trials 27 --epochs 29 takes about 7.9 hours" in text
    assert "--benchmark resnet8-digitslt40" in text
    assert "a GPU" in text


def test_a_short_search_is_told_its_minutes_alone(tmp_path: Path) -> None:
    found = Forecast((0.2,), concurrency=2, alone=True)
    text = told(found, plan_of(tmp_path, "resnet8-digitslt", Budget(32, None)))
    assert text.startswith("On this hardware: about 2.1 minutes if no trial is stopped early")
    assert "sooner" not in text
    assert "2 at a time). An epoch was timed alone just now: trials that share the CPUs" in text


def test_trials_that_all_run_at_a_time_take_as_long_as_one(tmp_path: Path) -> None:
    budget = Budget(32, None)
    text = told(Forecast((0.2,), 64), plan_of(tmp_path / "few", "resnet8-digitslt", budget))
    assert text.startswith("On this hardware: about 8 s if no trial is stopped early (32 trials")
    long = told(Forecast((730.0,), 64), plan_of(tmp_path / "long", "resnet32-cifar100lt", budget))
    assert "about 41 hours if no" in long
    assert "--trials 27 --epochs 39 takes about 7.9 hours" in long
    gpus = plan_of(tmp_path / "gpus", "resnet8-digitslt", budget)
    assert "about 4 s, 0.018 GPU" in told(Forecast((0.2,), 64, 4), gpus)


def test_hours_in_which_no_trial_ends_are_told(tmp_path: Path) -> None:
    text = told(CIFAR, plan_of(tmp_path, "resnet32-cifar100lt", Budget(None, 1.0)))
    assert "hours a trial, 2 at a time; no trial ends within 1 hour." in text
    assert "--trials 27 --epochs 3 takes about 49 minutes" in text


def test_on_gpus_it_follows_from_the_images_a_second(tmp_path: Path) -> None:
    # A GPU trains 3980 of the 398 images' a second in 8 slots: .8 s an epoch; two GPUs, 40 epochs.
    found = Forecast.of_gpus((3980.0,), 8, (digits_data(),), concurrency=16)
    plan = plan_of(tmp_path, "resnet8-digitslt", Budget(32, None))
    said = "about 64 s, 0.036 GPU-hours if no trial is stopped early (32 trials x 40 epochs x 0.8 s"
    assert said in told(found, plan)


def test_runs_on_a_hold_out_count(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "resnet8-digitslt", Budget(32, None))
    both = replace(plan, holdout=BENCHMARKS["resnet8-digitslt40"])
    # The best candidate and two controls, three seeds and 40 epochs each.
    text = told(Forecast((0.2, 5.0), 2), both)
    assert "(32 trials x 40 epochs x 0.2 s, 9 runs on the hold-out x 40 epochs x 5 s, 2 at" in text
    assert f"On this hardware: {rough_duration((32 * 8 + 9 * 200) / 2)} " in text


def test_a_hold_out_that_was_not_measured_is_left_out_and_said(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "resnet8-digitslt", Budget(32, None))
    both = replace(plan, holdout=BENCHMARKS["resnet8-digitslt40"])
    assert "40 epochs x 0.2 s, without 9 runs on the hold-out, 2 at a" in told(
        Forecast((0.2,), 2), both
    )


@pytest.mark.parametrize(
    ("limits", "slots", "trials"),
    (
        ({"hours": 0.5}, 0, "; 0.5 hours are enough for about 450 trials."),
        ({"hours": 0.5, "gpu_hours": 0.01}, 4, "0.01 GPU-hours are enough for about 18 trials."),
    ),
)
def test_without_a_limit_in_trials_it_says_how_many_the_hours_are_enough_for(
    tmp_path: Path, limits: dict[str, float], slots: int, trials: str
) -> None:
    budget = Budget(None, limits.get("hours"), limits.get("gpu_hours"))
    text = told(Forecast((0.2,), 2, slots), plan_of(tmp_path, "resnet8-digitslt", budget))
    assert text.startswith("On this hardware: 40 epochs x 0.2 s, about 8 s a trial, 2 at a time")
    assert text.endswith(trials)


def reported(key: str, part: int, seconds: float) -> EpochReported:
    return EpochReported(key, part, replace(results_of(1, 1)[0], seconds=seconds))


def test_where_nothing_was_measured_the_second_epochs_of_trials_say_how_long_one_takes() -> None:
    told: list[tuple[float, ...]] = []
    first = FirstEpochs((40, 1), told.append)
    for seconds in (7.0, 1.0):  # of another benchmark
        first(reported("holdout-00000", 0, seconds))
    for key, part, seconds in (("a-0", 0, 9.0), ("b-0", 0, 8.0), ("a-0", 0, 2.0), ("b-0", 0, 3.0)):
        first(reported(key, part, seconds))
    assert not told
    first(reported("a-0", 1, 5.0))  # whose only epoch it is
    first(reported("b-0", 1, 6.0))
    assert told == [(2.0, 5.0)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    ((8, "about 8 s"), (150, "about 2.5 minutes"), (2280, "about 38 minutes"), (7200, "about 2.0")),
)
def test_times_are_said_in_two_digits(seconds: float, text: str) -> None:
    assert rough_duration(seconds).startswith(text)


def test_an_epoch_is_measured_by_some_of_its_batches() -> None:
    assert 0.01 < epoch_seconds(digits_trial(), digits_data()) < 60


def test_the_only_training_batch_of_an_epoch_is_timed_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0

    def step(slot: Slot, phase: str, size: int) -> Callable[[], None]:
        def call() -> None:
            nonlocal now
            now += {"train": 10.0, "test": 1.0}[phase]

        return call

    monkeypatch.setattr("search.results.forecast.time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(Slot, "step", step)
    trial, data = digits_trial(), digits_data()
    images = len(data.train_labels)
    tests = 1.0 * len(data.test_labels) / Slot(trial, Task(data, 1, CPU)).test_sizes[0]
    for batch, seconds in ((images, 10.0), (images // 2, 20.0)):
        short = replace(trial, benchmark=replace(trial.benchmark, batch_size=batch))
        assert epoch_seconds(short, data) == pytest.approx(seconds + tests)


def test_the_time_that_compiling_takes_is_no_part_of_an_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0

    def compiled(function: Callable[..., object]) -> Callable[..., object]:
        first = itertools.chain((1000.0,), itertools.repeat(0.0))

        def call(*values: object) -> object:
            nonlocal now
            now += next(first)
            return function(*values)

        return call

    clock = SimpleNamespace(perf_counter=lambda: now)
    monkeypatch.setattr("search.results.forecast.time", clock)
    monkeypatch.setattr("trainer.execution.batch_steps.compiled", compiled)
    assert epoch_seconds(replace(digits_trial(), compiled=True), digits_data()) == 0.0
    assert now >= 2000  # training and test


def test_other_machines_and_gpus_are_not_measured(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, DIGITS.name, Budget(4, None))
    for changes in ({"gpu": True}, {"address": "head:6379"}):
        resources = replace(plan.resources, **changes)
        assert forecast(replace(plan, resources=resources), (), lambda: None) is None
    assert forecast(plan, (digits_data(),), lambda: "SIGINT") is None
    found = forecast(plan, (digits_data(),), lambda: None)
    assert found is not None
    assert found.concurrency >= 1
