"""What follows a search: which arms are confirmed, how often, and what ends it."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from confirming import (
    PLAIN,
    check_all_ended,
    complete,
    drive,
    of_study,
    plan_of,
    rows_of,
    seeds_by_arm,
    train,
    twin_run,
    unclear,
    usual,
)
from twin import OBJECTIVE, Twin, attempt, fast_folder, lines_told, make_run, make_settings

from search.config.budget import SEEDS_EACH, candidates_for
from search.session.phases import nothing_to_confirm
from search.session.running import Running
from search.session.search import MAX_FAILURES_IN_A_ROW, Search
from search.session.standings import Standings
from search.stats.best_arm import confirmation_seed
from search.stopping.rules import Asha
from search.store.plan import ConfirmationPlan, StoredPlan
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import CONFIRMATION, Row, TrialState
from spaces import Strategy
from spaces.validation import checked
from trainer.benchmarks.published import PUBLISHED_SEEDS

TRIALS, RUNS = 21, 12
SEARCHED = TRIALS - RUNS


@pytest.fixture
def folder() -> Iterator[RunFolder]:
    with fast_folder() as path:
        yield make_run(path / "run", PLAIN)


def begin(folder: RunFolder, runs: int = RUNS) -> Search:
    return attempt(folder, PLAIN, SEARCHED + runs, confirm=True, runs=runs)


@pytest.mark.parametrize("slots", (1, 2, 5))
def test_a_whole_run(folder: RunFolder, slots: int) -> None:
    twin = twin_run(folder, TRIALS, RUNS, OBJECTIVE, slots)
    assert twin.search.finished()
    rows = check_all_ended(folder, OBJECTIVE)
    confirmed = of_study(rows, CONFIRMATION)
    assert len(rows) == TRIALS
    assert len(confirmed) == RUNS
    assert [row.in_search for row in rows] == [True] * SEARCHED + [False] * RUNS
    assert all(key.startswith(CONFIRMATION) for key in twin.started[SEARCHED:])
    plan = plan_of(folder)
    assert (plan.search_trials, plan.runs) == (SEARCHED, RUNS)
    assert next(iter(plan.controls)) == "uniform"
    assert len(plan.candidates) == candidates_for(RUNS)
    seeds = seeds_by_arm(confirmed)
    assert seeds.keys() == plan.arms.keys()
    assert all(found == list(range(len(found))) for found in seeds.values())
    assert min(map(len, seeds.values())) == SEEDS_EACH


def test_the_arms_share_their_seeds_of_which_the_published_come_first(folder: RunFolder) -> None:
    twin_run(folder, TRIALS + 2, RUNS + 2, OBJECTIVE, slots=3)
    confirmed = rows_of(folder, CONFIRMATION)
    for row in confirmed:
        assert row.seed_index is not None
        assert row.seed == confirmation_seed(PLAIN.seed, row.seed_index)
    first = [row.seed for row in confirmed if row.label == "uniform"][:3]
    assert tuple(first) == PUBLISHED_SEEDS == (42, 123, 456)
    assert max(row.seed_index or 0 for row in confirmed) >= 3


def test_every_arm_trains_the_weighting_of_the_plan(folder: RunFolder) -> None:
    twin_run(folder, TRIALS, RUNS, OBJECTIVE, slots=2)
    arms = plan_of(folder).arms
    assert all(row.strategy == arms[row.label] for row in rows_of(folder, CONFIRMATION))
    search = {row.label: row.strategy for row in rows_of(folder, "baselines")}
    search |= {row.label: row.strategy for row in rows_of(folder, "proposals")}
    assert all(search[label] == weighting for label, weighting in arms.items())


def test_the_plan_has_the_best_of_the_search_and_the_best_baseline(folder: RunFolder) -> None:
    search = begin(folder)
    told = lines_told(search)
    drive(search, usual)
    plan = plan_of(folder)
    assert list(plan.candidates) == ["#4", "#3"]
    assert list(plan.controls) == ["uniform", "sqrt_inverse"]
    assert plan.baseline == "sqrt_inverse"
    (note,) = (n for n in told if "#4 and #3 and the controls uniform and sqrt_in" in n)
    assert "These pay for 2 besides the controls, the best by estimate; left out, the next" in note
    assert note.endswith("best first: #2, #1, #0 and 2 more")


def test_a_plan_that_could_not_be_recorded_is_made_again(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = begin(folder)
    while search.search_trials < SEARCHED:
        trial = search.next_trial()
        assert trial is not None
        train(search, trial, usual)
    with monkeypatch.context() as patched:
        patched.setattr(search.record, "set_plan", Mock(side_effect=OSError(28, "No space left")))
        with pytest.raises(OSError, match="No space left"):
            search.next_trial()
    trial = search.next_trial()
    assert trial is not None
    assert trial.row.study == CONFIRMATION
    assert trial.row.label in plan_of(folder).arms


def test_uniform_is_a_control_even_if_the_search_had_no_baselines(folder: RunFolder) -> None:
    settings = make_settings(early_stopping="none", baselines=())
    bare = make_run(folder.path.with_name("bare"), settings)
    drive(attempt(bare, settings, TRIALS, confirm=True, runs=RUNS), unclear)
    plan = plan_of(bare)
    assert list(plan.controls) == ["uniform"]
    assert plan.baseline == "uniform"
    assert plan.arms.keys() == seeds_by_arm(rows_of(bare, CONFIRMATION)).keys()


def test_a_plan_goes_through_json_and_back(folder: RunFolder) -> None:
    twin_run(folder, TRIALS, RUNS, OBJECTIVE)
    plan = plan_of(folder)
    again = ConfirmationPlan.of(checked(StoredPlan, plan.to_dict()), "a record")
    assert again == plan
    assert list(again.arms) == list(plan.arms)


def test_nothing_is_stopped_early_in_a_confirmation(folder: RunFolder) -> None:
    settings = make_settings(early_stopping="asha")
    stopping = make_run(folder.path.with_name("stopping"), settings)
    search = attempt(stopping, settings, 16 + RUNS, confirm=True, runs=RUNS)
    Twin(search, 3).run()
    states = {row.state for row in rows_of(stopping, "proposals")}
    assert TrialState.PRUNED in states
    confirmed = rows_of(stopping, CONFIRMATION)
    assert {row.state for row in confirmed} == {TrialState.COMPLETE}
    assert {row.epochs for row in confirmed} == {OBJECTIVE.epochs}
    assert all(list(row.rungs) == [OBJECTIVE.epochs] for row in confirmed)
    (rule,) = search.rungs.rules.values()
    assert isinstance(rule, Asha)
    assert not any(row.key in seen for row in confirmed for seen in rule.seen.values())


def test_a_clear_winner_ends_it_before_the_budget(folder: RunFolder) -> None:
    search = begin(folder, RUNS + 2)
    drive(search, lambda row, part: usual(row, part) + 10 * (row.label == "#4"))
    assert search.finished()
    plan = plan_of(folder)
    assert len(rows_of(folder, CONFIRMATION)) == SEEDS_EACH * len(plan.arms) < plan.runs


def test_an_arm_that_diverges_is_out_and_counts_as_a_run(folder: RunFolder) -> None:
    drive(attempt(folder, PLAIN, SEARCHED), usual)
    twin = Twin(begin(folder), 1, lambda row, epoch: row.label == "#4" and epoch == 2, True)
    twin.run()
    assert twin.search.finished()
    assert twin.search.must_stop() is None
    confirmed = rows_of(folder, CONFIRMATION)
    assert len(confirmed) == RUNS
    (out,) = [row for row in confirmed if row.label == "#4"]
    assert (out.state, out.diverged, out.value) == (TrialState.FAIL, True, None)
    assert sum(map(len, seeds_by_arm(confirmed).values())) == RUNS - 1


def test_arms_that_diverge_one_after_the_other_do_not_stop_the_run(folder: RunFolder) -> None:
    search = begin(folder, 6 * SEEDS_EACH)
    while (trial := search.next_trial()) and trial.row.in_search:
        train(search, trial, usual)
    candidates = list(plan_of(folder).candidates)
    assert len(candidates) > MAX_FAILURES_IN_A_ROW
    while trial:
        if trial.row.label in candidates:
            search.fail(trial.row.key, "nan", diverged=True)
        else:
            train(search, trial, usual)
        trial = search.next_trial()
    assert search.must_stop() is None
    assert search.finished()
    assert sum(row.diverged for row in rows_of(folder, CONFIRMATION)) == len(candidates)


def test_a_run_lost_to_a_failure_elsewhere_is_run_again(folder: RunFolder) -> None:
    lost = "confirmation-00001"
    twin = Twin(begin(folder), 2, lambda row, epoch: row.key == lost and epoch == 3)
    twin.run()
    assert twin.search.finished()
    confirmed = rows_of(folder, CONFIRMATION)
    failed = next(row for row in confirmed if row.key == lost)
    assert (failed.state, failed.diverged) == (TrialState.FAIL, False)
    again = [row for row in complete(confirmed) if row.label == failed.label]
    assert (failed.seed, failed.seed_index) in {(row.seed, row.seed_index) for row in again}
    assert len(complete(confirmed)) == RUNS
    check_all_ended(folder, OBJECTIVE)


def test_three_such_failures_in_a_row_stop_the_run_which_can_go_on(folder: RunFolder) -> None:
    twin = Twin(begin(folder), 1, lambda row, epoch: row.study == CONFIRMATION)
    twin.run()
    assert twin.search.must_stop() == "3 trials failed in a row: it diverged"
    assert len(rows_of(folder, CONFIRMATION)) == MAX_FAILURES_IN_A_ROW
    assert not twin.search.finished()
    assert twin_run(folder, TRIALS, RUNS, OBJECTIVE).search.finished()
    assert len(complete(rows_of(folder, CONFIRMATION))) == RUNS


def run_while_there_is_more(search: Search, worth: Callable[[Row, int], int]) -> None:
    """Run two trials at a time; once told that there is no more, never ask again, as Ray does.

    What runs beyond the first seeds of every arm ends last.
    """
    flying: list[Running] = []
    more = True
    while more or flying:
        while more and len(flying) < 2 and (trial := search.next_trial()):
            flying.append(trial)
        more = more and search.has_more()
        assert flying or not more
        flying.sort(key=lambda trial: (trial.row.seed_index or 0) >= SEEDS_EACH)
        for trial in flying[:1]:
            train(search, trial, worth)
        del flying[:1]


def test_a_run_in_flight_may_overthrow_what_the_others_decided(folder: RunFolder) -> None:
    """There is more to run until it has ended."""

    def surprising(row: Row, part: int) -> int:
        if row.in_search:
            return usual(row, part)
        best = row.label == "#4"
        if row.seed_index == SEEDS_EACH:
            return 55 if best else 65
        return 57 + 3 * best + sum(map(ord, f"{row.label}{row.seed_index}")) % 3

    search = begin(folder, RUNS + 2)
    run_while_there_is_more(search, surprising)
    assert search.finished()
    assert len(rows_of(folder, CONFIRMATION)) == RUNS + 2


def test_another_interval_of_as_many_runs_counts_from_the_next_start_on(folder: RunFolder) -> None:
    def planned(**limits: Any) -> float | None:
        search = attempt(folder, PLAIN, SEARCHED + SEARCHED, confirm=True, **limits)
        drive(search, usual)
        return plan_of(folder).interval

    assert planned(block=SEEDS_EACH, interval=2.0) == 2.0
    written = len(folder.record.read_bytes())
    assert planned(block=SEEDS_EACH, interval=2.0) == planned(runs=SEARCHED) == 2.0
    assert len(folder.record.read_bytes()) == written
    assert planned(block=SEEDS_EACH, interval=1.0) == 1.0
    assert planned(block=SEEDS_EACH) is None


def why_nothing(folder: RunFolder) -> str | None:
    rows = Record(folder.record).rows()
    return nothing_to_confirm(Standings.of(OBJECTIVE, rows), rows)


def test_what_has_nothing_to_confirm_says_why(folder: RunFolder) -> None:
    assert str(why_nothing(folder)).startswith("no trial of its search was trained to its full")
    search = attempt(folder, PLAIN, 1)
    trial = search.next_trial()
    assert trial is not None
    assert why_nothing(folder) is None  # it may still end well
    train(search, trial, usual)
    assert why_nothing(folder) == (
        "its search has no full-length result but those of its controls (uniform); search on with "
        "--resume and more than 1 --trials"
    )
    drive(attempt(folder, PLAIN, SEARCHED), usual)
    assert why_nothing(folder) is None


def test_of_equal_candidates_the_one_of_the_fewest_values_is_preferred() -> None:
    said = {"#1": {"logits": {"additive": 1.0, "multiplicative": 0.2}}, "#2": {"exponent": 0.4}}
    candidates = {label: Strategy.from_dict(values) for label, values in said.items()}
    plan = ConfirmationPlan(9, 12, candidates, {"uniform": Strategy()})
    assert plan.order == ["uniform", "#2", "#1"]
