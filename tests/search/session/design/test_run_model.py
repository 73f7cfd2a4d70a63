"""The model of a run: what it asks for next, and what it makes of replicates and divergence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from confirming import steady, whole_run
from forging import Lines, forge
from rich.console import Console
from twin import (
    BENCHMARK,
    JOINT,
    OBJECTIVE,
    Killed,
    Killer,
    Twin,
    attempt,
    make_run,
    make_settings,
)

from search.config.objective import BenchmarkObjective, Objective
from search.report.leaderboard import rows_in_order
from search.report.runs_view import listed_runs
from search.results.conclusion import Conclusion
from search.results.judgement import MODELLED, judge
from search.samplers.registry import KNOWLEDGE_GRADIENT
from search.samplers.sequential_design import BLOCK
from search.session.design.run_model import RunModel, run_model
from search.store.facts import Begun
from search.store.plan import ConfirmationPlan
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import CONFIRMATION, PROPOSALS, Row, TrialState, trial_key
from spaces import SPACES, Strategy, check_recipe
from spaces.errors import UserError

SETTINGS = make_settings(sampler=KNOWLEDGE_GRADIENT, early_stopping="none")
MANY = (1000 * 500.0 ** (-np.arange(8142) / 8141)).astype(int).tolist()


def on(*counts: tuple[int, ...], space: str = "core") -> RunModel:
    """Return the model of a run without trials on benchmarks of these class counts."""
    benchmarks = [
        BenchmarkObjective(f"b{i}", 6, numbers, (numbers, numbers), noise_sd=1.0)
        for i, numbers in enumerate(counts)
    ]
    settings = replace(SETTINGS, space=space)
    return run_model(settings, Begun(7, ()), Objective(tuple(benchmarks)))


def row_of(model: RunModel, number: int, **changes: object) -> Row:
    """Return the row of the trial that the model asks for."""
    asked = model.next()
    row = Row(
        key=trial_key(PROPOSALS, number),
        label=f"#{number}",
        state=TrialState.RUNNING,
        strategy=asked.strategy,
        seed=asked.seed,
        value=None,
        rungs={},
        stop_epoch=None,
        summaries=(),
        reason=None,
        diverged=False,
        seed_index=None,
        hardware=None,
        device_hours=0.0,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def run(model: RunModel, trials: int, first: int = 0) -> list[Row]:
    """Run trials one after the other, whose results are noise about the exponent's hill."""
    rows = []
    for number in range(first, first + trials):
        row = row_of(model, number)
        model.begin(row)
        noise = np.random.default_rng(number).standard_normal()
        value = 60 - 4 * abs(row.strategy.weighting.exponent - 0.7) + noise
        rows.append(replace(row, state=TrialState.COMPLETE, value=value))
        model.end(rows[-1])
    return rows


def pairs(rows: list[Row]) -> list[tuple[Strategy, int]]:
    return [(row.strategy, row.seed) for row in rows]


def whole(folder: RunFolder, trials: int, slots: int = 1) -> list[Row]:
    Twin(attempt(folder, SETTINGS, trials), slots).run()
    return Record(folder.record).rows()


def test_a_search_shares_seeds_in_blocks_and_repeats_weightings_with_fresh_ones(
    tmp_path: Path,
) -> None:
    rows = whole(make_run(tmp_path / "run", SETTINGS), 40, slots=3)
    assert len(set(pairs(rows))) == len(rows) == 40
    assert len({row.strategy for row in rows}) < 40
    seeds = [row.seed for row in rows]
    assert [seeds[i] == seeds[i - 1] for i in range(1, 40)] == [i % BLOCK > 0 for i in range(1, 40)]
    assert [row.is_baseline for row in rows[: BLOCK + 1]] == [True] * BLOCK + [False]


@pytest.mark.parametrize("how", ("before", "torn", "after"))
def test_a_search_that_was_killed_asks_for_the_same_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    undisturbed = whole(make_run(tmp_path / "whole", SETTINGS), 16)
    folder, killer = make_run(tmp_path / "run", SETTINGS), Killer(monkeypatch)
    for writes in (30, 41, 52):
        killer.arm(writes, how)
        with pytest.raises(Killed):
            whole(folder, 16)
        killer.disarm()
    assert pairs(whole(folder, 16)) == pairs(undisturbed)


def test_many_pending_trials_differ_and_asking_again_changes_nothing() -> None:
    model = on(BENCHMARK.counts)
    found = []
    for number in range(120):
        found.append(row_of(model, number))
        model.begin(found[-1])
    assert len(set(pairs(found))) == 120
    assert model.next() == model.next()


def test_a_weighting_that_diverged_is_the_lowest_and_is_not_tried_again() -> None:
    model = on(BENCHMARK.counts)
    rows = run(model, 12)
    lost = row_of(model, 12)
    model.begin(lost)
    model.end(replace(lost, state=TrialState.FAIL, diverged=True))
    assert model.asked()[-1].value == min(row.value or 0.0 for row in rows)
    later = run(model, 12, first=13)
    assert lost.strategy not in {row.strategy for row in later}


def test_a_run_that_diverged_is_none_of_an_arms_results() -> None:
    model = on(BENCHMARK.counts)
    searched = run(model, 9)
    assert searched[0].strategy == Strategy()
    lost = replace(searched[0], key=trial_key(PROPOSALS, 9), seed=1, state=TrialState.FAIL)
    model.begin(lost)
    model.end(replace(lost, value=None, diverged=True))
    key = trial_key(CONFIRMATION, 0)
    fresh = replace(searched[0], key=key, label="uniform", seed=2, seed_index=0, value=58.0)
    plan = ConfirmationPlan(10, 9, {}, {"uniform": Strategy()})
    found = model.comparison(plan, [fresh], (0.0, 100.0))
    assert found.values.tolist() == [[searched[0].value, 58.0]]


def test_a_search_in_which_everything_diverges_says_so() -> None:
    model = on((20, 20, 20))  # one weighting
    row = row_of(model, 0)
    model.begin(row)
    model.end(replace(row, state=TrialState.FAIL, diverged=True))
    assert model.asked() == []
    with pytest.raises(UserError, match=r"all 1 weightings .* have diverged"):
        model.next()


def test_a_trial_that_failed_for_another_reason_says_nothing() -> None:
    model, other = on(BENCHMARK.counts), on(BENCHMARK.counts)
    for one in (model, other):
        run(one, 9)
    row = row_of(model, 9)
    model.begin(row)
    model.end(replace(row, state=TrialState.FAIL))
    assert model.asked() == other.asked()
    assert model.next() == other.next()


def test_what_is_known_rests_on_trials_that_have_ended_alone() -> None:
    model = on(BENCHMARK.counts)
    run(model, 12)
    known = model.posterior()
    for number in range(12, 20):
        model.begin(row_of(model, number))
    waiting = model.posterior()
    assert waiting.sd().tolist() == known.sd().tolist()
    assert waiting.interval(1, 0) == known.interval(1, 0)


@pytest.mark.parametrize(
    ("counts", "space"),
    (
        ([(900, 90, 9)], "core"),
        ([(900, 90, 9)], "full"),
        ([tuple(MANY)], "core"),
        ([(900, 90, 9), (50, 20, 10, 2)], "full"),
        ([(50, 50)], "core"),
    ),
    ids=("three classes", "three classes, full", "8,142 classes", "two benchmarks", "equal"),
)
def test_any_class_counts_are_searched(counts: list[tuple[int, ...]], space: str) -> None:
    model = on(*counts, space=space)
    rows = run(model, 14)
    assert len(set(pairs(rows))) == 14
    for row in rows:
        for numbers in counts:
            check_recipe(row.strategy.recipe(numbers))
    assert model.model.candidates.shares.shape[1] == sum(len(set(c)) for c in counts)
    drawn = model.model.candidates.params[1:]
    assert all(SPACES[space].strategy(params or {}) for params in drawn)


def test_a_weighting_that_is_no_candidate_counts_as_the_nearest() -> None:
    model = on(BENCHMARK.counts)
    weighting = model.model.candidates.weightings[3]
    moved = replace(weighting, exponent=weighting.exponent * 1.0001)
    assert model.candidate(Strategy.of(moved)) == 3


def concluded(path: Path, objective: Objective) -> Conclusion:
    folder = whole_run(path, steady, 39, 9, objective, sampler=KNOWLEDGE_GRADIENT)
    return Conclusion.of(folder)


@pytest.mark.parametrize("objective", (OBJECTIVE, JOINT), ids=("one", "joint"))
def test_the_verdict_counts_all_runs_of_its_arms(tmp_path: Path, objective: Objective) -> None:
    found = concluded(tmp_path / "run", objective)
    assert found.judgement is not None
    assert found.judgement.grounds == MODELLED
    standings, plan = found.standings, found.judgement.plan
    assert len(plan.candidates) == 1
    for arm in found.judgement.verdict.arms:
        strategy = plan.arms[arm.name]
        runs = [row for row in found.rows if row.strategy == strategy]
        assert arm.seeds == len(runs) == 3 + sum(row.in_search for row in runs)
        assert arm.raw_mean == pytest.approx(np.mean([row.value for row in runs]))
        assert arm.accuracy.low < arm.accuracy.mean < arm.accuracy.high
    later = [row for row in found.rows if row.study == CONFIRMATION]
    assert {(row.label, row.seed_index) for row in later} == {
        (arm, seed) for arm in plan.arms for seed in range(3)
    }
    assert {row.seed for row in later}.isdisjoint(row.seed for row in found.rows if row.in_search)
    ranking = standings.ranking()
    assert ranking is not None
    assert sum(known.n for known in ranking.groups) == 30
    shown = [row.strategy for row in rows_in_order(found)]
    assert len(shown) == len(set(shown)) < 30


def test_why_a_confirmation_ended_is_said_of_its_own_runs(tmp_path: Path) -> None:
    found = concluded(tmp_path / "run", OBJECTIVE)
    assert found.judgement is not None
    assert found.judgement.reason == "the budget of 9 runs is used up"
    plan, model = replace(found.judgement.plan, runs=30), found.standings.model
    longer = judge(found.folder, OBJECTIVE, plan, found.rows, model)
    assert longer is not None
    assert "by these runs alone, " in longer.reason
    assert " is the best with a probability of " in longer.reason


def steep_control(lines: Lines) -> Lines:
    lines[0][1]["controls"][1]["weighting"] = {"exponent": 6.0}
    return lines


def steep_trial(lines: Lines) -> Lines:
    asked = [content for kind, content in lines if kind == "asked"]
    next(c for c in asked if c["trial"].startswith(PROPOSALS))["weighting"] = {"exponent": 6.0}
    return lines


@pytest.mark.parametrize(
    ("change", "who"), ((steep_control, "control "), (steep_trial, f"{PROPOSALS}-00000"))
)
def test_a_weighting_that_the_guards_refuse_is_a_fault_of_its_record_alone(
    change: Callable[[Lines], Lines], who: str, tmp_path: Path
) -> None:
    good, bad = (
        whole_run(tmp_path / name, steady, 14, None, OBJECTIVE, sampler=KNOWLEDGE_GRADIENT)
        for name in ("good", "bad")
    )
    forge(bad.record, change)
    with pytest.raises(UserError, match=rf"record.jsonl cannot be used: {who}.* cannot train on"):
        Conclusion.of(bad)
    console = Console(record=True, width=200)
    console.print(listed_runs(tmp_path))
    found = " ".join(console.export_text().split())
    assert f"{good.path.name} " in found
    assert f"bad: {bad.record} cannot be used: {who}" in found
