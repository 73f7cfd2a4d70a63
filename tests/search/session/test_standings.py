"""Where weightings stand: replicates are pooled, luck is shrunk, and the order does not matter."""

import itertools
from dataclasses import replace

import pytest
from twin import BENCHMARK, JOINT, OBJECTIVE

from search.session.standings import Standings
from search.store.trials import BASELINES, CONFIRMATION, PROPOSALS, Row, TrialState, trial_key
from spaces import NAMED, Strategy, Weighting, total_variation

ROOT = 0.5
"""Exponent of sqrt_inverse."""
STEPS = (0.1, 0.3, 0.75, 0.95, 1.2)
"""Exponents that are far from each other and from the baselines."""


def row(study: str, number: int, weighting: Weighting, value: float | None, label: str = "") -> Row:
    return Row(
        key=trial_key(study, number),
        label=label or f"#{number}",
        state=TrialState.FAIL if value is None else TrialState.COMPLETE,
        strategy=Strategy.of(weighting),
        seed=number,
        value=value,
        rungs={},
        stop_epoch=None,
        summaries=(),
        reason=None,
        diverged=False,
        seed_index=None,
        hardware=None,
        device_hours=0.0,
    )


def baseline(number: int, name: str, value: float | None) -> Row:
    return row(BASELINES, number, NAMED[name].weighting, value, name)


def proposal(number: int, exponent: float, value: float | None) -> Row:
    return row(PROPOSALS, number, Weighting(exponent=exponent), value)


def spread(*values: float) -> list[Row]:
    """Return proposals of distinct weightings."""
    return [proposal(i, p, v) for i, (p, v) in enumerate(zip(STEPS, values, strict=False))]


def labels(rows: list[Row]) -> list[str]:
    return [found.label for found in rows]


def test_the_weightings_of_these_tests_are_as_far_apart_as_they_say() -> None:
    def apart(one: float, other: float) -> float:
        pair = (Weighting(exponent=p).weights(BENCHMARK.counts) for p in (one, other))
        return total_variation(BENCHMARK.counts, *pair)

    assert apart(ROOT, ROOT + 0.01) < 0.01
    assert all(apart(a, b) > 0.01 for a, b in itertools.combinations((0.0, ROOT, *STEPS), 2))


def test_results_of_replicates_are_pooled() -> None:
    standings = Standings.of(OBJECTIVE, [*spread(50, 51, 52), proposal(7, STEPS[1] + 0.01, 55)])
    ranking = standings.ranking()
    assert ranking is not None
    assert len(ranking.groups) == 3
    assert ranking.noise_freedom == 1
    pooled = next(g for g in ranking.groups if g.n == 2)
    assert pooled.raw_mean == 53
    assert standings.first_row(pooled.group).label == "#1"
    assert labels(standings.members[pooled.group]) == ["#1", "#7"]


def test_a_proposal_may_be_a_replicate_of_a_baseline() -> None:
    rows = [baseline(0, "uniform", 40), baseline(1, "sqrt_inverse", 50)]
    standings = Standings.of(OBJECTIVE, [*rows, proposal(0, ROOT + 0.01, 54), proposal(1, 1.0, 45)])
    ranking = standings.ranking()
    assert ranking is not None
    best = ranking.groups[0]
    assert (best.n, best.raw_mean) == (2, 52)
    assert standings.first_row(best.group).label == "sqrt_inverse"
    assert labels(standings.candidates(9, ("uniform", "sqrt_inverse"))) == ["#1"]


def test_weightings_that_differ_on_one_of_the_benchmarks_are_not_pooled() -> None:
    even = replace(JOINT.benchmarks[1], counts=(30, 30, 30, 30))
    rows = spread(50, 51)
    assert len(Standings.of(replace(OBJECTIVE, benchmarks=(even,)), rows).members) == 1
    assert len(Standings.of(replace(JOINT, benchmarks=(BENCHMARK, even)), rows).members) == 2


def test_trials_that_did_not_reach_their_full_length_do_not_count() -> None:
    stopped = replace(proposal(3, STEPS[3], 99), state=TrialState.PRUNED)
    running = replace(proposal(4, STEPS[4], None), state=TrialState.RUNNING)
    standings = Standings.of(OBJECTIVE, [stopped, running, *spread(50, 51)])
    assert labels(standings.candidates(9, ())) == ["#1", "#0"]
    assert set(standings.shown_values()) == {trial_key(PROPOSALS, n) for n in (0, 1)}


def test_nothing_stands_before_a_full_length_trial() -> None:
    standings = Standings.of(OBJECTIVE, [replace(proposal(0, 0.3, 99), state=TrialState.PRUNED)])
    assert standings.ranking() is None
    assert standings.shown_values() == {}
    assert standings.best_baseline() is None
    assert standings.candidates(3, ()) == []


def test_runs_of_later_phases_do_not_count() -> None:
    later = row(CONFIRMATION, 0, Weighting(exponent=STEPS[0]), 99.0, "#0")
    assert set(Standings.of(OBJECTIVE, [*spread(50, 51), later]).shown_values()) == {
        trial_key(PROPOSALS, n) for n in (0, 1)
    }


def test_the_best_baseline_is_any_but_uniform() -> None:
    rows = [
        baseline(0, "uniform", 60),
        baseline(1, "sqrt_inverse", 50),
        baseline(2, "mlsbench_balanced_softmax", 52),
    ]
    found = Standings.of(OBJECTIVE, rows).best_baseline()
    assert found is not None
    assert found.label == "mlsbench_balanced_softmax"
    assert Standings.of(OBJECTIVE, rows[:1]).best_baseline() is None


def test_the_best_baseline_counts_by_all_runs_of_its_weighting() -> None:
    rows = [baseline(0, "sqrt_inverse", 50), baseline(1, "mlsbench_balanced_softmax", 52)]
    lucky = [proposal(n, ROOT, 56) for n in range(3)]
    found = Standings.of(OBJECTIVE, [*rows, *lucky]).best_baseline()
    assert found is not None
    assert found.label == "sqrt_inverse"


def test_candidates_are_the_best_without_the_controls() -> None:
    rows = [baseline(0, "uniform", 70), baseline(1, "sqrt_inverse", 65), *spread(60, 64, 62)]
    standings = Standings.of(OBJECTIVE, rows)
    assert labels(standings.candidates(2, ("uniform", "sqrt_inverse"))) == ["#1", "#2"]
    assert labels(standings.candidates(9, ("uniform",))) == ["sqrt_inverse", "#1", "#2", "#0"]


def test_samplers_are_shown_posterior_means() -> None:
    rows = [*spread(50, 51, 58), proposal(7, STEPS[0], 52)]
    standings = Standings.of(OBJECTIVE, rows)
    shown = standings.shown_values()
    ranking = standings.ranking()
    assert ranking is not None
    means = {standings.first_row(g.group).key: g.mean for g in ranking.groups}
    first, _, lucky, again = (found.key for found in rows)
    assert shown == pytest.approx({**means, again: means[first]})
    assert shown[lucky] < 58


def test_three_runs_beat_a_luckier_single_one() -> None:
    objective = replace(OBJECTIVE, benchmarks=(replace(BENCHMARK, noise_sd=5.0),))
    repeated = [proposal(5 + n, STEPS[1], 55) for n in range(2)]
    standings = Standings.of(objective, [*spread(50, 55, 56, 49, 50), *repeated])
    assert labels(standings.candidates(2, ())) == ["#1", "#2"]


def test_the_order_in_which_trials_end_does_not_matter() -> None:
    again = [proposal(2, ROOT, 53.1), proposal(3, ROOT, 49.7)]
    rows = [baseline(0, "sqrt_inverse", 50.3), *spread(50.2, 52.6), *again]
    outcomes = []
    for ended in itertools.permutations(rows):
        standings = Standings(OBJECTIVE)
        for begun in rows:
            standings.start(begun)
        for end in ended:
            standings.end(end)
        outcomes.append(
            (standings.ranking(), standings.candidates(9, ()), standings.shown_values())
        )
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert labels(outcomes[0][1])[0] in ("sqrt_inverse", "#1")


def test_a_weighting_goes_by_its_baseline_even_if_that_ends_last() -> None:
    standings = Standings(OBJECTIVE)
    rows = [baseline(0, "sqrt_inverse", 50), proposal(0, ROOT, 53)]
    for begun in rows:
        standings.start(begun)
    standings.end(rows[1])
    assert labels(standings.candidates(9, ())) == ["#0"]
    standings.end(rows[0])
    assert labels(standings.candidates(9, ())) == ["sqrt_inverse"]


def test_results_are_taken_up_as_they_come() -> None:
    standings = Standings.of(OBJECTIVE, spread(50, 51))
    before = standings.ranking()
    late = proposal(2, STEPS[2], 60)
    standings.start(late)
    standings.start(late)
    assert standings.ranking() == before
    standings.end(late)
    assert labels(standings.candidates(1, ())) == ["#2"]


def test_a_trial_that_failed_says_nothing() -> None:
    assert Standings.of(OBJECTIVE, [proposal(0, 0.3, None)]).ranking() is None


def test_of_equal_weightings_uniform_comes_first_then_controls_then_the_simplest() -> None:
    bent = Weighting(exponent=STEPS[2], nu=0.3)
    rows = [
        row(PROPOSALS, 0, bent, 100.0),
        proposal(1, STEPS[3], 100),
        proposal(2, STEPS[0], 100),
        baseline(1, "mlsbench_balanced_softmax", 100),
        baseline(0, "uniform", 100),
    ]
    standings = Standings.of(OBJECTIVE, rows)
    expected = ["uniform", "mlsbench_balanced_softmax", "#1", "#2", "#0"]
    assert labels(standings.candidates(9, ())) == expected
    higher = Standings.of(OBJECTIVE, [*rows, proposal(3, 1.1, 100.5)])
    assert labels(higher.candidates(9, ())) == ["#3", *expected]
