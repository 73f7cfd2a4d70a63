"""The events of a search, in the order in which they happen."""

import threading
from itertools import groupby
from pathlib import Path

import pytest
from confirming import PLAIN, drive, new_run, usual
from twin import OBJECTIVE, attempt

from search.config.budget import FEWEST_TRIALS
from search.session import events as events_module
from search.session.events import (
    EpochReported,
    Event,
    Events,
    Note,
    SearchOver,
    TrialBegun,
    TrialEnded,
)


def test_each_trial_begins_reports_its_epochs_and_ends(tmp_path: Path) -> None:
    search = attempt(new_run(tmp_path / "run", OBJECTIVE), PLAIN, FEWEST_TRIALS, confirm=True)
    happened: list[Event] = []
    search.events.subscribe(happened.append)
    drive(search, usual)
    kinds = [kind for kind, _ in groupby(happened, type)]
    trials = len(search.ended)
    over = next(e for e in happened if isinstance(e, SearchOver))
    assert kinds.count(TrialBegun) == kinds.count(TrialEnded) == trials
    assert [kind for kind in kinds if kind is not SearchOver] == [
        TrialBegun,
        EpochReported,
        TrialEnded,
    ] * trials
    ended = [event.row for event in happened if isinstance(event, TrialEnded)]
    assert ended == search.ended
    assert over.trials == sum(row.in_search for row in ended)
    behind = happened[happened.index(over) + 1 :]
    assert {event.row.in_search for event in behind if isinstance(event, TrialEnded)} == {False}


def test_every_subscriber_hears_of_every_event(tmp_path: Path) -> None:
    search = attempt(new_run(tmp_path / "run", OBJECTIVE), PLAIN, FEWEST_TRIALS)
    heard: list[list[Event]] = [[], []]
    for one in heard:
        search.events.subscribe(one.append)
    search.next_trial()
    search.events.note("a note")
    assert heard[0] == heard[1]
    assert len(heard[0]) == 2


@pytest.mark.parametrize(("seconds", "notes"), ((0.001, ["Waiting ..."]), (60.0, [])))
def test_what_takes_long_is_noted_while_it_is_waited_for(
    seconds: float, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "SLOW_SECONDS", seconds)
    events, told, noted = Events(), [], threading.Event()

    def take(event: Event) -> None:
        assert isinstance(event, Note)
        told.append(event.text)
        noted.set()

    events.subscribe(take)
    with events.noted_if_slow("Waiting ..."):
        noted.wait(5 if notes else 0.05)
    assert told == notes
