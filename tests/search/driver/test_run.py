"""A run from its first second: what it costs is said, and its loggers are told of all of it."""

import contextlib
import io
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from confirming import PLAIN, manifest_of, new_run, results_worth
from rich.console import Console
from twin import OBJECTIVE, attempt, lines_told, make_plan, make_run, make_settings, results_of

from search.cluster.connection import StartError
from search.config.budget import Budget
from search.config.settings import Resources
from search.driver import run
from search.driver.ending import FINISHED, Ending
from search.session.events import EpochReported, Event, Events, TrialEnded
from search.session.interrupt import Interrupt
from search.session.search import Search
from search.store.attempts import Cost, last_share
from search.tune import experiment
from search.tune.experiment import note_share, search_on_ray
from search.tune.recruit import Recruit, Workers


@pytest.mark.parametrize("slots", (4, 0))
def test_where_nothing_is_measured_before_the_first_epochs_tell_the_cost(
    slots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with slots that are given, and on CPUs of a cluster."""
    settings = make_settings()
    folder = make_run(tmp_path / "run", settings)
    search = attempt(folder, settings, 8)
    plan = make_plan(folder, "resnet8-digitslt", Budget(8, None, confirm=False), settings)
    told, there = lines_told(search), 0

    def on_ray(search: Search, recruiting: Recruit, *_: Any) -> None:
        nonlocal there
        recruiting()
        there = 8  # trials for which there is room once the nodes have come
        for seconds in (9.0, 2.0, 3.0):
            result = replace(results_of(1, 1)[0], seconds=seconds)
            search.events.publish(EpochReported("baselines-00000", 0, result))

    monkeypatch.setattr(run, "forecast", lambda *_: None)
    monkeypatch.setattr(run, "worker_setup", lambda *_: None)
    monkeypatch.setattr(run, "recruit", lambda *_: Workers(object, {}, slots=slots))
    monkeypatch.setattr(run, "at_a_time", lambda *_: there)
    monkeypatch.setattr(run, "search_on_ray", on_ray)
    console = Console(file=io.StringIO())
    run.train(plan, (), search, 1, Interrupt(), console, lambda: None)
    (line,) = (line for line in told if line.startswith("On this hardware"))
    assert "(8 trials x 40 epochs x 2 s, 8 at a time, just measured)" in line
    hours = 8 * 40 * 2 / 4 / 3600 if slots else None
    assert folder.read_attempts()[-1].cost == Cost((2.0,), 8, 80.0, hours)


def test_a_trial_whose_end_a_kill_has_lost_is_told_to_the_loggers_with_its_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_run(tmp_path / "run", OBJECTIVE)
    search = attempt(folder, PLAIN, 8)
    note_share(search, Workers(object, {"cpu": 1}), 1)
    assert last_share(folder.read_attempts()) == search.spending.device_share == 1.0
    note_share(search, Workers(object, {"cpu": 1, "gpu": 0.25}), 1)
    trial = search.next_trial()
    assert trial is not None
    for result in results_worth(50):
        search.report(trial.row.key, 0, result)
    told: list[Event] = []

    @contextlib.contextmanager
    def logging(names: object, folder: object, events: Events, *_: object) -> Iterator[Any]:
        events.subscribe(told.append)
        yield SimpleNamespace(conclude=lambda folder: None, left=False)

    monkeypatch.setattr(run, "prepared_images", lambda *_: ())
    monkeypatch.setattr(run, "manifest_of", lambda *_: manifest_of(OBJECTIVE, PLAIN))
    monkeypatch.setattr(run, "logging_events", logging)
    monkeypatch.setattr(run, "search_and_export", lambda *_: Ending(folder, FINISHED))
    plan = make_plan(folder, "resnet8-digitslt", Budget(8, None, confirm=False), PLAIN)
    run.run(replace(plan, resume=True), Console(file=io.StringIO()))
    (row,) = (event.row for event in told if isinstance(event, TrialEnded))
    assert row.key == trial.row.key
    assert row.device_hours == pytest.approx(0.25 * trial.seconds / 3600)


def test_ray_is_not_started_for_a_search_that_is_stopped_while_it_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    folder = make_run(tmp_path / "run", settings)
    search, interrupt = attempt(folder, settings, 8), Interrupt()
    begun: list[bool] = []
    plan = make_plan(folder, "resnet8-digitslt", Budget(8, None, confirm=False), settings)
    monkeypatch.setattr(run, "forecast", lambda *_: interrupt.take(signal.SIGINT))
    monkeypatch.setattr(run, "worker_setup", lambda *_: None)
    monkeypatch.setattr(run, "search_on_ray", lambda *_: begun.append(True))
    run.train(plan, (), search, 1, interrupt, Console(file=io.StringIO()), lambda: None)
    assert not begun


def test_a_search_that_is_given_up_says_so_in_a_notebook_and_closes_its_loggers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    folder = make_run(tmp_path / "run", settings)
    search, told = attempt(folder, settings, 8), []
    search.events.subscribe(lambda event: told.append(getattr(event, "text", "")))
    plan = make_plan(folder, "resnet8-digitslt", Budget(8, None, confirm=False), settings)
    loggers: Any = SimpleNamespace(
        conclude=lambda folder: told.append("concluded"), close=lambda: told.append("closed")
    )

    def left(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(run, "train", lambda *arguments: arguments[-1]())
    monkeypatch.setattr(run, "conclude", lambda *_: Ending(folder, 3))
    monkeypatch.setattr(os, "_exit", left)
    with pytest.raises(SystemExit, match="3"):
        run.search_and_export(
            replace(plan, owns_process=False), (), search, 1, Console(file=io.StringIO()), loggers
        )
    assert told == [
        "This process ends now, as Ray would end it before long.",
        "concluded",
        "closed",
    ]


def test_what_tune_is_told_stays_with_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> NoReturn:
        assert os.environ["TUNE_DISABLE_SIGINT_HANDLER"] == "1"
        raise StartError("Ray does not start")

    monkeypatch.setattr(experiment, "local_ray", fail)
    monkeypatch.setenv("TUNE_DISABLE_SIGINT_HANDLER", "0")  # for experiments of the user's
    before = dict(os.environ)
    search = attempt(make_run(tmp_path / "run", make_settings()), make_settings(), 8)
    resources, console = Resources(1, False, None, None, None), Console(file=io.StringIO())
    with pytest.raises(StartError):
        search_on_ray(search, object, resources, 1, Interrupt(), console)  # type: ignore[arg-type]
    assert os.environ == before
