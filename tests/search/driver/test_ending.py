"""The end of an attempt says what it waits for, and how the run goes on."""

import errno
import io
import os
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from confirming import PLAIN, drive, new_run, train, usual
from rich.console import Console
from twin import OBJECTIVE, attempt, lines_told, make_plan

from search.config.budget import Budget
from search.driver import ending
from search.session import events
from search.session.events import Note
from search.session.interrupt import Interrupt
from search.store.lease import LeaseLostError
from search.tune.bridge import halting


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


def test_where_the_disk_is_too_full_for_the_export_it_is_said_how_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = new_run(tmp_path / "run", OBJECTIVE)
    search = attempt(folder, PLAIN, 8)
    trial = search.next_trial()
    assert trial is not None
    train(search, trial, usual)
    told, screen = lines_told(search), io.StringIO()
    plan = make_plan(folder, "resnet8-digitslt", Budget(8, None, confirm=False), PLAIN)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    ended = ending.conclude(
        replace(plan, resume_command="again"), search, Interrupt(), Console(file=screen)
    )
    assert ended.code == ending.FAILED
    assert "not exported: No space left on device" in told
    assert screen.getvalue().endswith("  again\n")


def test_where_what_is_confirmed_cannot_be_recorded_it_is_said_how_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_run(tmp_path / "run", OBJECTIVE)
    search = attempt(folder, PLAIN, 21, confirm=True, runs=12)
    while search.search_trials < 9:
        trial = search.next_trial()
        assert trial is not None
        train(search, trial, usual)
    folder.begin_attempt({"resources": {}, "device": "cpu"})
    full, screen = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "record.jsonl"), io.StringIO()
    monkeypatch.setattr(search.record, "set_plan", Mock(side_effect=full))
    monkeypatch.setattr(ending, "export_winner", Mock(side_effect=full))
    with halting(search):
        search.next_trial()
    plan = make_plan(folder, "resnet8-digitslt", search.budget, PLAIN)
    ended = ending.conclude(
        replace(plan, resume_command="again"), search, Interrupt(), Console(file=screen)
    )
    assert (ended.code, ended.reason) == (
        ending.FAILED,
        "record.jsonl: No space left on device",
    )
    assert screen.getvalue().endswith("  again\n")


def test_a_search_that_lost_its_run_to_another_process_exports_nothing(tmp_path: Path) -> None:
    def taken() -> None:
        raise LeaseLostError("run 'run' was taken over by process 12 on far")

    folder = new_run(tmp_path / "run", OBJECTIVE)
    search = attempt(folder, PLAIN, 8)
    drive(search, usual)
    folder.lease = SimpleNamespace(check=taken)  # type: ignore[assignment]
    plan = make_plan(folder, "resnet8-digitslt", Budget(8, None, confirm=False), PLAIN)
    ended = ending.conclude(plan, search, Interrupt(), Console(file=io.StringIO()))
    assert (ended.code, ended.reason) == (
        ending.FAILED,
        "run 'run' was taken over by process 12 on far",
    )
    assert not (folder.path / "best.json").exists()
