"""What the runs of a few arms with common seeds say of their true accuracies."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from search.stats.comparison import SeededRun, compare, run_table
from search.stats.posterior import Blocks, solve
from search.stats.priors import GUESS, NOISE_SD, NoisePrior


def runs_of(table: dict[str, list[float]]) -> list[SeededRun]:
    return [
        SeededRun(arm, seed, v) for arm, values in table.items() for seed, v in enumerate(values)
    ]


def noisy(means: dict[str, float], seeds: int, own: float, shared: float) -> list[SeededRun]:
    random = np.random.default_rng(3)
    common = shared * random.standard_normal(seeds)
    return runs_of(
        {
            arm: list(mean + common + own * random.standard_normal(seeds))
            for arm, mean in means.items()
        }
    )


def test_controls_alone_are_estimated_by_their_means() -> None:
    found = compare(runs_of({"a": [40, 41, 42], "b": [44, 43, 45]}), controls={"a", "b"})
    assert found.mean == pytest.approx([41, 44])


def test_candidates_are_pulled_together_and_controls_are_not() -> None:
    runs = runs_of({"a": [40, 41, 42.0], "b": [41, 42, 43], "c": [40.5, 40, 42], "u": [30, 31, 32]})
    found = dict(zip((c := compare(runs, {"u"})).arms, c.mean, strict=True))
    assert 41 < found["a"] < found["b"] < 42
    assert found["u"] == pytest.approx(31, abs=0.01)


def test_a_large_common_seed_effect_does_not_widen_differences() -> None:
    means = {"a": 41.0, "b": 40.0, "c": 40.5, "d": 40.2}
    paired = compare(noisy(means, 8, own=0.2, shared=3.0), controls=())
    calm = compare(noisy(means, 8, own=0.2, shared=0.0), controls=())
    assert np.std(paired.of("a") - paired.of("b")) < 1.3 * np.std(calm.of("a") - calm.of("b"))
    assert np.std(paired.of("a")) > 5 * np.std(calm.of("a"))
    assert paired.seed_share > 0.9


def test_an_arm_that_missed_the_bad_seeds_gains_nothing_by_it() -> None:
    seeds = np.array([0.0, 0.1, -0.1, -3.0, -3.1, -2.9])
    random = np.random.default_rng(2)
    table = {arm: list(40 + seeds + 0.1 * random.standard_normal(6)) for arm in "abcd"}
    table["d"] = table["d"][:3]
    found = compare(runs_of(table), controls={"a", "b", "c", "d"})
    assert np.mean(table["d"]) - np.mean(table["a"]) > 1.4
    assert abs(found.mean[3] - found.mean[0]) < 0.2


def test_unbalanced_means_are_those_of_generalised_least_squares() -> None:
    """One point of the grid against the dense solution with all n x n covariances."""
    runs = runs_of({"a": [1.0, 2.0, 4.0], "b": [0.5, 1.0], "c": [2.0, 2.5, 3.0, 1.0]})
    _, table = run_table(runs)
    share, ratio = 0.3, 2.0
    candidate = np.array([True, True, False])
    found = solve(Blocks.of(table), candidate, np.array([share]), np.array([ratio]), GUESS)
    arm, seed = np.nonzero(np.isfinite(table))
    design = np.eye(3)[arm]
    noise = (1 - share) * np.eye(9) + share * (seed[:, None] == seed)
    candidates = design * candidate
    prior = ratio * candidates @ candidates.T + 1e6 * (
        np.outer(candidate[arm], candidate[arm]) + np.outer(~candidate[arm], ~candidate[arm])
    )
    values = table[arm, seed]
    cross = ratio * np.diag(candidate) + 1e6 * (
        np.outer(candidate, candidate) + np.outer(~candidate, ~candidate)
    )
    expected = cross @ design.T @ np.linalg.solve(noise + prior, values)
    assert found.means[0] == pytest.approx(expected, abs=1e-3)


def test_the_same_runs_in_another_order_give_the_same_posterior() -> None:
    runs = noisy({"a": 41.0, "b": 40.0}, 4, own=0.5, shared=0.5)
    one, other = compare(runs, {"b"}), compare(runs[::-1], {"b"})
    assert np.array_equal(one.draws, other.draws)


def test_probabilities_of_being_best_sum_to_one_and_follow_the_means() -> None:
    found = compare(noisy({"a": 43.0, "b": 40.0, "c": 41.0}, 5, own=0.5, shared=0.2), {"b"})
    assert found.probability_best().sum() == pytest.approx(1)
    assert found.winner == "a"
    assert found.probability_of("a") > 0.95


def test_in_another_unit_all_is_scaled_and_nothing_else_changes() -> None:
    runs = noisy({"a": 41.0, "b": 40.5, "c": 40.2, "u": 40.0}, 3, own=0.5, shared=0.3)
    scaled = [SeededRun(run.arm, run.seed, 2 * (run.value or 0)) for run in runs]
    one, other = compare(runs, {"u"}), compare(scaled, {"u"}, prior=NoisePrior(2 * NOISE_SD))
    assert other.draws == pytest.approx(2 * one.draws)
    assert other.noise_sd == pytest.approx(2 * one.noise_sd)


def test_the_noise_prior_counts_where_runs_are_few() -> None:
    runs = runs_of({"a": [41.0], "u": [40.0]})
    calm, loud = (compare(runs, {"u"}, prior=NoisePrior(guess)).of("a") for guess in (0.2, 2.0))
    assert np.std(loud) > 5 * np.std(calm)


@pytest.mark.parametrize("seeds", (1, 2))
def test_one_candidate_and_one_control_are_estimated_by_their_means(seeds: int) -> None:
    found = compare(runs_of({"a": [41.0] * seeds, "u": [40.0] * seeds}), {"u"})
    assert found.mean == pytest.approx([41, 40])
    assert found.winner == "a"
    assert 0.5 < found.probability_of("a") < 1


def test_a_diverged_arm_takes_no_part() -> None:
    runs = [*runs_of({"a": [40, 41], "b": [42, 43]}), SeededRun("b", 2, None)]
    assert compare(runs, {"a"}).arms == ("a",)


@pytest.mark.parametrize(
    ("runs", "message"),
    (
        ([SeededRun("a", 0, None)], "need an arm"),
        ([SeededRun("a", 0, 1.0), SeededRun("a", 0, 2.0)], "twice"),
        ([SeededRun("a", -1, 1.0)], "seed must be >= 0"),
        ([SeededRun("a", 0, float("inf"))], "value finite"),
    ),
)
def test_bad_runs_are_refused(runs: list[SeededRun], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(runs, ())


def test_bounds_that_no_draw_comes_near_change_nothing() -> None:
    runs = noisy({"a": 41.0, "b": 40.0}, 4, own=0.5, shared=0.5)
    free, bound = compare(runs, {"b"}), compare(runs, {"b"}, bounds=(0.0, 100.0))
    assert np.array_equal(free.draws, bound.draws)


def test_draws_are_those_of_the_posterior_on_condition_that_they_keep_the_bounds() -> None:
    runs = noisy({"a": 99.5, "b": 99.0, "c": 99.2}, 3, own=0.7, shared=0.3)
    bounds = (0.0, 99.6)
    free, bound = compare(runs, {"b"}, 200_000), compare(runs, {"b"}, 40_000, bounds=bounds)
    kept = free.draws[(free.draws <= bounds[1]).all(axis=1)]
    assert len(kept) > 20_000
    assert bound.draws.max() <= bounds[1]
    assert bound.draws.mean(axis=0) == pytest.approx(kept.mean(axis=0), abs=0.02)
    assert bound.draws.std(axis=0) == pytest.approx(kept.std(axis=0), abs=0.02)


def test_of_equal_means_the_first_in_the_order_wins() -> None:
    same = {"a": [99.0, 100.0], "b": [100.0, 99.0], "u": [99.5, 99.5]}
    for order in itertools.permutations(same):
        assert compare(runs_of(same), {"u"}, order=order).winner == order[0]


def test_arms_that_a_draw_has_equally_high_share_the_probability_to_be_the_best() -> None:
    found = compare(runs_of({"a": [99.0, 100.0], "b": [100.0, 99.0], "u": [99.5, 99.5]}), {"u"})
    draws = np.array([[100.0, 100.0, 100.0], [99.0, 100.0, 100.0], [98.0, 97.0, 99.0], [1, 2, 0]])
    shares = replace(found, draws=draws).probability_best()
    assert shares == pytest.approx([1 / 12, 1 / 12 + 1 / 8 + 1 / 4, 1 / 12 + 1 / 8 + 1 / 4])
