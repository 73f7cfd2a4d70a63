"""A confirmation that is killed, resumed or extended loses no run and has none twice."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from confirming import (
    PLAIN,
    WITH_HOLDOUT,
    check_all_ended,
    complete,
    drive,
    of_study,
    plan_of,
    planned_pairs,
    rows_of,
    train,
    twin_run,
    unclear,
    usual,
)
from twin import BENCHMARK, OBJECTIVE, Killed, Killer, attempt, make_run

from search.config.objective import Objective
from search.store.plan import ConfirmationPlan
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import CONFIRMATION, HOLDOUT

SEARCHED, RUNS = 6, 9
TRIALS = SEARCHED + RUNS
SHORT = Objective((replace(BENCHMARK, epochs=2),))


def searched(path: Path, objective: Objective) -> RunFolder:
    """Return a run whose search has ended, and whose confirmation has not begun."""
    folder = make_run(path, PLAIN)
    drive(attempt(folder, PLAIN, SEARCHED, objective=objective), usual)
    assert rows_of(folder, CONFIRMATION) == []
    return folder


def outcomes(folder: RunFolder, study: str) -> list[tuple[object, ...]]:
    """Return what must be the same of two runs of one phase, however they were cut into pieces."""
    return [
        (row.label, row.seed_index, row.seed, row.value) for row in complete(rows_of(folder, study))
    ]


@pytest.mark.parametrize("how", ("before", "torn"))
def test_a_kill_at_any_write_of_a_confirmation_changes_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    killer = Killer(monkeypatch)
    begun = searched(place / "begun", SHORT)
    whole = RunFolder(shutil.copytree(begun.path, place / "whole"))
    before = killer.writes
    twin_run(whole, TRIALS, RUNS, SHORT)
    total = killer.writes - before
    assert total > 5 * RUNS
    for writes in range(1 + (how == "torn"), total, 2):  # the two ways take turns at the writes
        folder = RunFolder(shutil.copytree(begun.path, place / f"run-{writes}"))
        killer.arm(writes, how)
        with pytest.raises(Killed):
            twin_run(folder, TRIALS, RUNS, SHORT)
        killer.disarm()
        assert twin_run(folder, TRIALS, RUNS, SHORT).search.finished()
        assert outcomes(folder, CONFIRMATION) == outcomes(whole, CONFIRMATION)
        assert len(rows_of(folder, CONFIRMATION)) == RUNS
        assert plan_of(folder) == plan_of(whole)
        shutil.rmtree(folder.path)


@pytest.mark.parametrize("how", ("before", "torn"))
@pytest.mark.parametrize("every", (17, 29))
def test_many_kills_from_the_search_to_the_holdout_lose_and_double_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, every: int, how: str
) -> None:
    killer = Killer(monkeypatch)
    folder, kills = make_run(place / "run", PLAIN), 0
    while True:
        killer.arm(every + kills, how)
        try:
            twin = twin_run(folder, TRIALS, RUNS, WITH_HOLDOUT, slots=3)
            break
        except Killed:
            kills += 1
    killer.disarm()
    assert kills >= 4
    assert twin.search.finished()
    rows = check_all_ended(folder, WITH_HOLDOUT)
    assert len(of_study(rows, CONFIRMATION)) == RUNS
    assert len(of_study(rows, HOLDOUT)) == 3 * len(plan_of(folder).arms)


def test_a_finished_run_has_nothing_more_to_do(place: Path) -> None:
    folder = make_run(place / "run", PLAIN)
    twin_run(folder, TRIALS, RUNS, OBJECTIVE, slots=2)
    journal = folder.record.read_bytes()
    for _ in range(2):
        again = twin_run(folder, TRIALS, RUNS, OBJECTIVE, slots=2)
        assert again.started == []
        assert again.search.finished()
    assert folder.record.read_bytes() == journal


def test_a_run_that_was_in_flight_goes_on_from_its_checkpoint(place: Path) -> None:
    folder = searched(place / "run", OBJECTIVE)
    first = attempt(folder, PLAIN, TRIALS, confirm=True, runs=RUNS)
    trial = first.next_trial()
    assert trial is not None
    twin_like = twin_run(folder, TRIALS, RUNS, OBJECTIVE)
    assert twin_like.started[0] == trial.row.key == "confirmation-00000"
    assert len(rows_of(folder, CONFIRMATION)) == RUNS
    assert plan_of(folder).search_trials == SEARCHED


def extended(folder: RunFolder) -> tuple[ConfirmationPlan, ConfirmationPlan]:
    """Confirm, then search on and confirm again; return both plans."""
    drive(attempt(folder, PLAIN, TRIALS, confirm=True, runs=RUNS), unclear)
    first = plan_of(folder)
    search = attempt(folder, PLAIN, TRIALS + 10, confirm=True, runs=RUNS + 3)
    assert not search.finished()
    drive(search, unclear)
    assert search.finished()
    assert search.search_trials == SEARCHED + 7
    return first, plan_of(folder)


def test_more_trials_search_on_and_make_a_new_plan(place: Path) -> None:
    first, second = extended(make_run(place / "run", PLAIN))
    assert list(first.candidates) == ["#1"]
    assert list(second.candidates) == ["#8", "#7"]
    assert (second.search_trials, second.runs) == (SEARCHED + 7, RUNS + 3)
    assert first.controls == second.controls


def test_runs_of_arms_that_stay_are_used_again(place: Path) -> None:
    folder = make_run(place / "run", PLAIN)
    first, second = extended(folder)
    rows = rows_of(folder, CONFIRMATION)
    counted = [row for row in rows if row.label in second.arms]
    pairs = planned_pairs(folder, CONFIRMATION)
    assert len(set(pairs)) == len(pairs)
    assert len(counted) <= second.runs
    assert {row.label for row in rows[RUNS:]} <= second.arms.keys()
    again = sum(row.label in second.candidates for row in rows)
    assert again == sum(row.label in second.candidates for row in rows[RUNS:])
    for control in first.controls:
        early = [row.seed_index for row in rows[:RUNS] if row.label == control]
        late = [row.seed_index for row in rows[RUNS:] if row.label == control]
        assert early[:3] == [0, 1, 2]
        assert not set(early) & set(late)


def test_a_run_of_an_arm_that_leaves_the_plan_is_still_ended(place: Path) -> None:
    folder = make_run(place / "run", PLAIN)
    search = attempt(folder, PLAIN, TRIALS, confirm=True, runs=RUNS)
    while (trial := search.next_trial()) and trial.row.in_search:
        train(search, trial, unclear)
    assert trial is not None
    assert trial.row.label == "#1"
    again = attempt(folder, PLAIN, TRIALS + 7, confirm=True, runs=RUNS)
    drive(again, unclear)
    assert again.finished()
    assert "#1" not in plan_of(folder).arms
    assert [row.label for row in complete(rows_of(folder, CONFIRMATION))].count("#1") == 1
    assert len(complete(rows_of(folder, CONFIRMATION))) == RUNS + 1


def test_without_a_confirmation_a_plan_on_record_changes_nothing(place: Path) -> None:
    folder = make_run(place / "run", PLAIN)
    drive(attempt(folder, PLAIN, TRIALS, confirm=True, runs=RUNS), unclear)
    assert attempt(folder, PLAIN, SEARCHED).finished()
    more = attempt(folder, PLAIN, SEARCHED + 2)
    drive(more, unclear)
    assert more.finished()
    assert len(rows_of(folder, CONFIRMATION)) == RUNS
    assert len(Record(folder.record).rows()) == TRIALS + 2


def test_a_confirmation_can_be_added_to_a_finished_search(place: Path) -> None:
    folder = searched(place / "run", OBJECTIVE)
    drive(attempt(folder, PLAIN, TRIALS, confirm=True, runs=RUNS), unclear)
    assert plan_of(folder).search_trials == SEARCHED
    assert len(rows_of(folder, CONFIRMATION)) == RUNS


def test_a_confirmation_that_went_on_stays_when_the_first_command_is_resumed(place: Path) -> None:
    folder = searched(place / "run", OBJECTIVE)
    first = {"confirm": True, "runs": RUNS}
    drive(attempt(folder, PLAIN, TRIALS, **first), unclear)
    drive(attempt(folder, PLAIN, TRIALS + 6, confirm=True, runs=RUNS + 6), unclear)
    further, rows = plan_of(folder), len(rows_of(folder, CONFIRMATION))
    assert len(further.candidates) > 1
    assert rows > RUNS
    again = attempt(folder, PLAIN, TRIALS, **first)
    assert again.finished()
    assert plan_of(folder) == further


def test_a_longer_confirmation_that_had_no_run_gives_way(place: Path) -> None:
    folder = searched(place / "run", OBJECTIVE)
    assert attempt(folder, PLAIN, TRIALS + 6, confirm=True, runs=RUNS + 6).next_trial()
    longer = plan_of(folder)
    drive(attempt(folder, PLAIN, TRIALS, confirm=True, runs=RUNS), unclear)
    assert (longer.runs, plan_of(folder).runs) == (RUNS + 6, RUNS)
