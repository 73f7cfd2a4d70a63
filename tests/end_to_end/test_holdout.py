"""The verdict's arms on a benchmark that the search never saw."""

from collections.abc import Iterator

import pytest
from confirming import (
    HELD,
    PLAIN,
    WITH_HOLDOUT,
    check_all_ended,
    complete,
    of_study,
    plan_of,
    rows_of,
    seeds_by_arm,
    train,
    twin_run,
    unclear,
)
from twin import (
    JOINT,
    OBJECTIVE,
    Twin,
    attempt,
    fast_folder,
    make_run,
    make_settings,
    results_of,
)

from search.config.budget import SEEDS_EACH
from search.config.objective import Objective
from search.stats.best_arm import confirmation_seed
from search.store.run_folder import RunFolder
from search.store.trials import CONFIRMATION, HOLDOUT, Row, TrialState

TRIALS, RUNS = 18, 12


@pytest.fixture
def folder() -> Iterator[RunFolder]:
    with fast_folder() as path:
        yield make_run(path / "run", PLAIN)


def begin(folder: RunFolder, objective: Objective = WITH_HOLDOUT, **fates: object) -> Twin:
    return Twin(
        attempt(folder, PLAIN, TRIALS, objective=objective, confirm=True, runs=RUNS), **fates
    )


@pytest.mark.parametrize("slots", (1, 4))
def test_every_arm_runs_with_three_seeds_after_the_confirmation(
    folder: RunFolder, slots: int
) -> None:
    twin = twin_run(folder, TRIALS, RUNS, WITH_HOLDOUT, slots)
    assert twin.search.finished()
    rows = check_all_ended(folder, WITH_HOLDOUT)
    held = of_study(rows, HOLDOUT)
    arms = plan_of(folder).arms
    assert seeds_by_arm(held) == {arm: list(range(SEEDS_EACH)) for arm in arms}
    assert twin.started[TRIALS:] == [row.key for row in held]
    for row in held:
        assert row.seed_index is not None
        assert row.seed == confirmation_seed(PLAIN.seed, row.seed_index)
        assert row.strategy == arms[row.label]
        assert row.epochs == HELD.epochs
        assert row.value == results_of(row.seed, HELD.epochs)[-1].best_score


def test_it_waits_for_the_last_run_of_the_confirmation(folder: RunFolder) -> None:
    search = begin(folder).search
    while (trial := search.next_trial()) and len(rows_of(folder, CONFIRMATION)) < RUNS:
        train(search, trial, unclear)
    assert trial is not None
    assert trial.row.study == CONFIRMATION
    assert search.next_trial() is None
    assert search.has_more()
    train(search, trial, unclear)
    begun = search.next_trial()
    assert begun is not None
    assert begun.row.study == HOLDOUT


def test_on_a_joint_search_it_is_scored_by_its_accuracy_alone(folder: RunFolder) -> None:
    objective = Objective(JOINT.benchmarks, holdout=HELD)
    assert twin_run(folder, TRIALS, RUNS, objective, slots=2).search.finished()
    held = rows_of(folder, HOLDOUT)
    assert len(held) == SEEDS_EACH * len(plan_of(folder).arms)
    for row in held:
        assert row.value == results_of(row.seed, HELD.epochs)[-1].best_score
        assert len(row.summaries) == 1
    check_all_ended(folder, objective)


def test_arms_that_diverged_are_left_out(folder: RunFolder) -> None:
    def fails(row: Row, epoch: int) -> bool:
        return row.study == CONFIRMATION and row.label == "uniform"

    twin = begin(folder, slots=2, fails=fails, diverges=True)
    twin.run()
    assert twin.search.finished()
    held = seeds_by_arm(rows_of(folder, HOLDOUT))
    assert held == {a: [0, 1, 2] for a in plan_of(folder).arms if a != "uniform"}


def test_a_run_that_diverges_there_is_a_result(folder: RunFolder) -> None:
    twin = begin(folder, fails=lambda row, epoch: row.key == "holdout-00002", diverges=True)
    twin.run()
    assert twin.search.finished()
    held = rows_of(folder, HOLDOUT)
    assert len(held) == SEEDS_EACH * len(plan_of(folder).arms)
    assert [row.state for row in held].count(TrialState.FAIL) == 1


def test_a_run_that_is_lost_is_run_again(folder: RunFolder) -> None:
    twin = begin(folder, slots=2, fails=lambda row, epoch: row.key == "holdout-00002")
    twin.run()
    assert twin.search.finished()
    held = rows_of(folder, HOLDOUT)
    assert len(held) == SEEDS_EACH * len(plan_of(folder).arms) + 1
    assert seeds_by_arm(held) == {a: [0, 1, 2] for a in plan_of(folder).arms}


def test_the_last_run_that_is_lost_is_run_again(folder: RunFolder) -> None:
    """Ray asks for no more trials once it was told that there are none."""
    search = begin(folder).search
    trial = None
    while len(complete(rows_of(folder, HOLDOUT))) < SEEDS_EACH * 4 - 1:
        trial = search.next_trial()
        assert trial is not None
        train(search, trial, unclear)
    last = search.next_trial()
    assert last is not None
    assert search.has_more()
    search.fail(last.row.key, "the disk is full")
    again = search.next_trial()
    assert again is not None
    assert (again.row.label, again.row.seed) == (last.row.label, last.row.seed)
    train(search, again, unclear)
    assert not search.has_more()
    assert search.finished()


def test_a_holdout_can_be_added_to_a_finished_run(folder: RunFolder) -> None:
    twin_run(folder, TRIALS, RUNS, OBJECTIVE)
    assert rows_of(folder, HOLDOUT) == []
    twin = twin_run(folder, TRIALS, RUNS, WITH_HOLDOUT, slots=2)
    assert len(twin.started) == SEEDS_EACH * len(plan_of(folder).arms)
    assert all(key.startswith(HOLDOUT) for key in twin.started)
    again = twin_run(folder, TRIALS, RUNS, WITH_HOLDOUT)
    assert again.started == []
    assert again.search.finished()


def test_its_epochs_are_no_matter_of_early_stopping(folder: RunFolder) -> None:
    stopping = make_settings(early_stopping="asha")
    search = attempt(folder, stopping, TRIALS, objective=WITH_HOLDOUT, confirm=True, runs=RUNS)
    Twin(search).run()
    assert min(search.rungs.epochs) < HELD.epochs
    held = rows_of(folder, HOLDOUT)
    assert len(held) == SEEDS_EACH * len(plan_of(folder).arms)
    assert all(list(row.rungs) == [HELD.epochs] for row in held)
    assert all(row.stop_epoch is None for row in held)
