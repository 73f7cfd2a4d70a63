"""How hours and GPU-hours are shared by the search and its confirmation, and counted."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from confirming import (
    PLAIN,
    drive,
    plan_of,
    results_worth,
    rows_of,
    train,
    unclear,
)
from twin import OBJECTIVE, attempt, fast_folder, make_run

from search.config.budget import CONFIRM_SHARE, MOST_RUNS
from search.session.search import Search
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import CONFIRMATION


@pytest.fixture
def folder() -> Iterator[RunFolder]:
    with fast_folder() as path:
        yield make_run(path / "run", PLAIN)


class Clock:
    """Time that passes when it is told to, for the hours of an attempt."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        clock = SimpleNamespace(monotonic=lambda: self.seconds)
        monkeypatch.setattr("search.session.spending.time", clock)


def test_after_two_thirds_of_the_hours_the_confirmation_begins(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    search = attempt(folder, PLAIN, None, hours=1.0, confirm=True)
    for _ in range(8):
        trial = search.next_trial()
        assert trial is not None
        train(search, trial, unclear)
    clock.seconds = 3600 * (1 - CONFIRM_SHARE) - 1
    flying = search.next_trial()
    assert flying is not None
    assert flying.row.in_search
    clock.seconds += 2
    assert search.next_trial() is None  # what is confirmed depends on the one in flight
    assert search.has_more()
    train(search, flying, unclear)
    begun = search.next_trial()
    assert begun is not None
    assert begun.row.study == CONFIRMATION
    train(search, begun, unclear)
    drive(search, unclear)
    assert search.finished()
    assert len(search.ended) == 9 + MOST_RUNS
    assert plan_of(folder).runs == MOST_RUNS


def test_hours_that_leave_nothing_to_confirm_are_spent_on_the_search(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    search = attempt(folder, PLAIN, None, hours=1.0, confirm=True)
    for _ in range(2):  # uniform and another baseline, the controls
        trial = search.next_trial()
        assert trial is not None
        train(search, trial, unclear)
    clock.seconds = 3600 * (1 - CONFIRM_SHARE) + 1
    assert not search.finished()
    while (trial := search.next_trial()) and trial.row.in_search:
        train(search, trial, unclear)
    assert trial is not None
    assert trial.row.study == CONFIRMATION
    assert 2 < search.search_trials <= len(PLAIN.baselines) + 1
    clock.seconds = 3601
    assert search.must_stop() == "the budget of 1 hour is used up"
    assert not search.finished()


def test_hours_that_end_before_anything_can_be_confirmed_are_told(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    search = attempt(folder, PLAIN, None, hours=1.0, confirm=True)
    trial = search.next_trial()
    assert trial is not None
    train(search, trial, unclear)
    clock.seconds = 3601
    assert search.next_trial() is None
    assert not search.finished()
    assert search.must_stop() == "the budget of 1 hour is used up"


def test_the_hours_end_a_confirmation_which_goes_first_in_the_next_attempt(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    for _ in range(2):
        start = clock.seconds
        search = attempt(folder, PLAIN, None, hours=1.0, confirm=True)
        while not search.search_is_over():
            trial = search.next_trial()
            assert trial is not None
            train(search, trial, unclear)
            clock.seconds += 301
        assert search.search_trials == 8
        trial = search.next_trial()
        assert trial is not None
        assert trial.row.study == CONFIRMATION
        clock.seconds = start + 3601
        assert search.must_stop() == "the budget of 1 hour is used up"
        assert not search.finished()
    assert [t.row.key for t in search.running.values()] == ["confirmation-00000"]


def test_gpu_hours_are_split_and_count_over_all_attempts(folder: RunFolder) -> None:
    trial_hours = sum(result.seconds for result in results_worth(50)) / 3600
    limits = {"confirm": True, "gpu_hours": 14.5 * trial_hours}
    search = attempt(folder, PLAIN, None, **limits)
    for _ in range(6):
        trial = search.next_trial()
        assert trial is not None
        train(search, trial, unclear)
    again = attempt(folder, PLAIN, None, **limits)
    assert again.spending.device_hours == pytest.approx(6 * trial_hours)
    while not again.must_stop() and (trial := again.next_trial()):
        train(again, trial, unclear)
    assert again.search_trials == 10  # the first to begin after two thirds of the 14.5 is no trial
    assert len(rows_of(folder, CONFIRMATION)) == 5
    assert again.must_stop() == f"the budget of {again.budget.describe()} is used up"
    assert not again.finished()


def test_hours_of_trials_taken_over_are_those_of_the_shares_of_a_device_that_they_had(
    folder: RunFolder,
) -> None:
    search = attempt(folder, PLAIN, 9)
    search.spending.device_share = 0.25
    trial = search.next_trial()
    assert trial is not None
    results = results_worth(50)
    for result in results[:4]:
        search.report(trial.row.key, 0, result)
    record, number = Record.reopen(folder.record), folder.begin_attempt({})
    again = Search(
        PLAIN, search.budget, OBJECTIVE, folder, record, number, None, search.spending.device_share
    )
    again.spending.device_share = 0.5  # fewer trials share a device from here on
    assert again.spending.device_hours == pytest.approx(search.spending.device_hours)
    for result in results[4:]:
        again.report(trial.row.key, 0, result)
    again.finish(trial.row.key)
    seconds = [result.seconds for result in results]
    hours = (0.25 * sum(seconds[:4]) + 0.5 * sum(seconds[4:])) / 3600
    assert again.spending.device_hours == pytest.approx(hours)
    assert record.row(trial.row.key).device_hours == pytest.approx(hours)


def test_hours_of_all_phases_are_on_record(folder: RunFolder) -> None:
    search = attempt(folder, PLAIN, 15, confirm=True, runs=9)
    search.spending.device_share = 0.5
    drive(search, unclear)
    each = 0.5 * 0.5 * OBJECTIVE.epochs / 3600
    rows = search.record.rows()
    assert [row.device_hours for row in rows] == pytest.approx([each] * 15)
    assert search.spending.device_hours == pytest.approx(each * 15)
    assert attempt(folder, PLAIN, 1).spending.device_hours == pytest.approx(each * 15)
