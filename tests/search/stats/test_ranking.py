"""What single runs say: noise from replicates, and estimates pulled together."""

import numpy as np
import pytest

from search.stats.priors import GUESSED_RUNS, KNOWN_RUNS, NoisePrior
from search.stats.ranking import pooled_noise, rank


def test_the_noise_is_pooled_within_groups() -> None:
    # Squares within: 2 for (1, 3), 8 for (10, 14), 0 for the single run; freedom 1 + 1 + 0.
    noise, freedom = pooled_noise([0, 1, 0, 1, 2], [1, 10, 3, 14, 99], prior=NoisePrior(0.7))
    assert freedom == 2
    assert noise**2 == pytest.approx((GUESSED_RUNS * 0.49 + 10) / (GUESSED_RUNS + 2))


def test_without_replicates_the_noise_is_the_guess_and_says_so() -> None:
    ranking = rank([0, 1, 2], [40, 41, 42], prior=NoisePrior(0.9))
    assert ranking.noise_sd == pytest.approx(0.9)
    assert ranking.noise_freedom == 0


def test_three_runs_beat_a_single_luckier_one() -> None:
    others = list(np.linspace(39, 41, 20))
    ranking = rank([0, 1, 1, 1, *range(2, 22)], [42.2, 42.1, 42.0, 42.1, *others])
    assert ranking.groups[0].group == 1
    assert ranking.groups[0].sd < ranking.groups[1].sd


def test_more_runs_are_pulled_less() -> None:
    ranking = rank([0, 0, 0, 0, 1, 2, 3], [42, 42.2, 41.8, 42, 41, 40, 39])
    by_group = {g.group: g for g in ranking.groups}
    assert by_group[0].n == 4
    middle = 40.5
    often, once = (
        (g.raw_mean - g.mean) / (g.raw_mean - middle) for g in (by_group[0], by_group[1])
    )
    assert 0 < often < once < 1


def test_a_wide_spread_is_hardly_pulled() -> None:
    values = np.linspace(20, 60, 30)
    ranking = rank(np.arange(30), values)
    assert ranking.groups[0].mean == pytest.approx(60, abs=0.1)


def test_values_within_the_noise_are_pulled_onto_their_mean_and_still_ranked() -> None:
    values = 40 + 0.2 * np.random.default_rng(0).standard_normal(60)
    ranking = rank(np.arange(60), values)
    best = ranking.groups[0]
    assert best.mean - values.mean() < 0.1 * (best.raw_mean - values.mean())
    assert [g.group for g in ranking.groups] == np.argsort(-values).tolist()


def test_collapsed_weightings_do_not_widen_the_spread() -> None:
    good = 40 + 1.2 * np.random.default_rng(1).standard_normal(50)
    both = rank(np.arange(58), [*good, *[5.0] * 8])
    assert both.spread_sd < 1.6 * rank(np.arange(50), good).spread_sd


def test_the_posterior_sd_is_that_of_the_errors() -> None:
    random = np.random.default_rng(5)
    truth = 40 + 0.8 * random.standard_normal(2000)
    ranking = rank(np.arange(2000), truth + 0.7 * random.standard_normal(2000))
    errors = [(g.mean - truth[g.group]) / g.sd for g in ranking.groups]
    assert np.std(errors) == pytest.approx(1, abs=0.05)
    assert ranking.spread_sd == pytest.approx(0.8, abs=0.1)


def test_the_top_leaves_out_what_it_is_told_to() -> None:
    assert rank([7, 8, 9], [40, 42, 41]).top(2, without={8}) == [9, 7]


@pytest.mark.parametrize(
    ("groups", "values", "message"),
    (([], [], "at least one value"), ([0], [1, 2], "one group per value"), ([0], [np.nan], "nan")),
)
def test_bad_results_are_refused(groups: list[int], values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank(groups, values)


def test_one_unlucky_pair_counts_less_than_a_noise_that_is_known() -> None:
    pair = ([0, 0], [94.83, 91.17])
    known, guessed = (pooled_noise(*pair, NoisePrior(1.8, runs))[0] for runs in (KNOWN_RUNS, 2))
    assert guessed > 2
    assert 1.8 < known < 2
