"""The end of an attempt says what it waits for."""

import io
import threading
from pathlib import Path

import pytest
from confirming import PLAIN, drive, new_run, usual
from rich.console import Console
from twin import OBJECTIVE, attempt, make_plan

from search.config.budget import Budget
from search.driver import ending
from search.session import events
from search.session.events import Note
from search.session.interrupt import Interrupt


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
    monkeypatch.setattr(ending, "export_winner", lambda _: noted["export"].wait(5) and None)
    monkeypatch.setattr(ending, "write_report", lambda *_: noted["report"].wait(5))
    plan = make_plan(folder, "resnet8-digitslt", Budget(8, None, confirm=False), PLAIN)
    ending.conclude(plan, search, Interrupt(), Console(file=io.StringIO()))
    assert all(seen.is_set() for seen in noted.values())
