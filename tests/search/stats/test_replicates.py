"""Which weightings are the same, on one benchmark or on several, told one at a time."""

import numpy as np
import numpy.typing as npt
import pytest

from search.stats.replicates import Groups, StrategyGroups
from spaces import (
    STRATEGIES,
    Logits,
    Sampling,
    Strategy,
    Weighting,
    WeightingError,
    total_variation,
)

COUNTS = (500, 100, 20)
OTHER = (60, 50, 30, 2)


def shares_to_weights(shares: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.asarray(shares, dtype=np.float64) / np.asarray(COUNTS, dtype=np.float64)


def grouped(*weightings: npt.ArrayLike) -> list[int]:
    """Groups on the one benchmark of COUNTS."""
    groups = Groups([COUNTS])
    return [groups.add([weights]) for weights in weightings]


def test_weightings_that_differ_in_scale_alone_are_one_group() -> None:
    assert grouped([1, 1, 1], [5, 5, 5], [1, 5, 25]) == [0, 0, 1]


def test_a_chain_of_small_steps_does_not_join_distant_weightings() -> None:
    steps = [shares_to_weights([0.5 + x, 0.3 - x, 0.2]) for x in (0, 0.008, 0.016, 0.024)]
    assert grouped(*steps) == [0, 0, 1, 1]


def test_groups_are_numbered_in_order_of_arrival() -> None:
    first, second = shares_to_weights([0.5, 0.3, 0.2]), shares_to_weights([0.2, 0.3, 0.5])
    assert grouped(second, first, second) == [0, 1, 0]


def test_the_same_on_one_benchmark_alone_is_not_the_same() -> None:
    groups = Groups([COUNTS, OTHER])
    assert groups.add([[1, 1, 1], [1, 1, 1, 1]]) == 0
    assert groups.add([[1, 1, 1], [1, 1, 1, 9]]) == 1
    assert groups.add([[1, 2, 1], [1, 1, 1, 9]]) == 2
    assert groups.add([[2, 2, 2], [3, 3, 3, 27]]) == 1
    assert len(groups) == 3


def test_many_weightings_fall_into_the_groups_that_the_definition_says() -> None:
    random = np.random.default_rng(0)
    counts = (COUNTS, OTHER)
    made = [[np.exp(0.1 * random.standard_normal(len(n))) for n in counts] for _ in range(400)]
    founders: list[int] = []
    expected = []
    for index, weights in enumerate(made):
        same = (
            group
            for group, founder in enumerate(founders)
            if all(
                total_variation(n, a, b) < 0.01
                for n, a, b in zip(counts, made[founder], weights, strict=True)
            )
        )
        expected.append(next(same, len(founders)))
        if expected[-1] == len(founders):
            founders.append(index)
    assert 64 < len(founders) < 300  # the room for founders had to grow
    groups = Groups(counts)
    assert [groups.add(weights) for weights in made] == expected


def test_the_wrong_number_of_weight_vectors_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Groups([COUNTS, OTHER]).add([[1, 1, 1]])


def test_weights_that_cannot_train_are_refused_and_found_no_group() -> None:
    groups = Groups([COUNTS])
    with pytest.raises(WeightingError):
        groups.add([[1, 1, -1]])
    assert len(groups) == 0


def test_a_search_on_no_benchmark_is_refused() -> None:
    with pytest.raises(ValueError, match="got no benchmark"):
        Groups([])


def test_strategies_are_replicates_within_a_kind_alone() -> None:
    def sampled(exponent: float) -> Strategy:
        return Strategy(sampling=Sampling(Weighting(exponent=exponent)))

    inverse = Strategy.of(Weighting(exponent=1))
    groups = StrategyGroups([COUNTS, OTHER])
    named = [STRATEGIES[name].strategy for name in ("uniform", "drw", "logit_adjusted")]
    added = [groups.add(strategy) for strategy in (*named, inverse, sampled(1), *named)]
    assert added == [0, 1, 2, 3, 4, 0, 1, 2]
    assert groups.add(Strategy.of(Weighting(exponent=1.001))) == 3
    assert groups.add(sampled(1.001)) == 4
    assert groups.add(sampled(0.5)) == 5
    assert groups.add(sampled(0.001)) == 6  # nearly uniform, but not of its kind
    assert groups.add(Strategy(logits=Logits(additive=1.01))) == 2
    assert groups.add(Strategy(logits=Logits(additive=1.03))) == 7
