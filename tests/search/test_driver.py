"""The driver says what a search costs as soon as that is known, and what its end waits for."""

import io
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confirming import PLAIN, drive, new_run, usual
from rich.console import Console
from twin import OBJECTIVE, attempt, lines_told, make_plan, make_run, make_settings, results_of

from search import driver
from search.config.budget import Budget
from search.session import events
from search.session.events import EpochReported, Note
from search.session.interrupt import Interrupt
from search.session.search import Search
from search.store.attempts import Cost
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
    told = lines_told(search)

    def on_ray(search: Search, recruiting: Recruit, *_: Any) -> None:
        recruiting()
        for seconds in (9.0, 2.0, 3.0):
            result = replace(results_of(1, 1)[0], seconds=seconds)
            search.events.publish(EpochReported("baselines-00000", 0, result))

    monkeypatch.setattr(driver, "forecast", lambda *_: None)
    monkeypatch.setattr(driver, "worker_setup", lambda *_: None)
    monkeypatch.setattr(driver, "recruit", lambda *_: Workers(object, {}, slots=slots))
    monkeypatch.setattr(driver, "at_a_time", lambda *_: 8)
    monkeypatch.setattr(driver, "search_on_ray", on_ray)
    console = Console(file=io.StringIO())
    driver.train(plan, (), search, 1, Interrupt(), console, lambda: None)
    (line,) = (line for line in told if line.startswith("On this hardware"))
    assert "(8 trials x 40 epochs x 2 s, 8 at a time, just measured)" in line
    hours = 8 * 40 * 2 / 4 / 3600 if slots else None
    assert folder.read_attempts()[-1].cost == Cost((2.0,), 8, 80.0, hours)


def test_the_end_says_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SLOW_SECONDS", 0.001)
    folder = new_run(tmp_path / "run", OBJECTIVE)
    search = attempt(folder, PLAIN, 8)
    drive(search, usual)
    folder.begin_attempt({"resources": {}, "device": "cpu"})
    noted = {"export": threading.Event(), "report": threading.Event()}

    def take(event: events.Event) -> None:
        for name, seen in noted.items():
            if isinstance(event, Note) and event.text.startswith(f"Writing the {name}"):
                seen.set()

    search.events.subscribe(take)
    monkeypatch.setattr(driver, "export_winner", lambda _: noted["export"].wait(5) and None)
    monkeypatch.setattr(driver, "write_report", lambda *_: noted["report"].wait(5))
    plan = make_plan(folder, "resnet8-digitslt", Budget(8, None, confirm=False), PLAIN)
    driver.conclude(plan, search, Interrupt(), Console(file=io.StringIO()))
    assert all(seen.is_set() for seen in noted.values())
