"""The distance of strategies joins what trains alike, and the guards hold at every ramp end."""

import numpy as np
import pytest

from spaces import (
    NAMED,
    STRATEGIES,
    Logits,
    Ramp,
    Recipe,
    Sampling,
    Schedule,
    Strategy,
    Weighting,
    WeightingError,
    check_recipe,
    schedule_shares,
    strategy_distance,
    total_variation,
)

C100_LT = [int(500 * (1 / 100) ** (i / 99)) for i in range(100)]
INVERSE = Weighting(exponent=1)
STEP = Ramp(0.8, 0.8)


def between(a: Strategy, b: Strategy) -> float:
    distance = strategy_distance(a.recipe(C100_LT), b.recipe(C100_LT))
    assert distance == pytest.approx(strategy_distance(b.recipe(C100_LT), a.recipe(C100_LT)))
    return distance


@pytest.mark.parametrize("name", NAMED)
def test_the_distance_of_constant_class_weights_is_their_total_variation(name: str) -> None:
    weights = [Strategy.of(w).recipe(C100_LT).weights for w in (NAMED[name].weighting, INVERSE)]
    found = between(STRATEGIES[name].strategy, STRATEGIES["inverse"].strategy)
    assert found == total_variation(C100_LT, *weights)


def test_shares_through_training_average_to_the_total_variation() -> None:
    a, b = (schedule_shares(STRATEGIES[name].strategy.recipe(C100_LT)) for name in ("ce", "drw"))
    np.testing.assert_allclose(a.sum(axis=-1), 1, rtol=1e-12)
    assert a.shape == (2, 9, 100)
    np.testing.assert_array_equal(a[:, :6], b[:, :6])  # up to 69 % of training
    assert (np.abs(a - b).sum(axis=-1)[1, 6:] > 0.9).all()


@pytest.mark.parametrize(
    ("one", "other"),
    (
        (Strategy(Schedule(INVERSE, STEP)), Strategy(Schedule(INVERSE, Ramp(0.81, 0.81)))),
        (Strategy(sampling=Sampling(INVERSE)), Strategy(sampling=Sampling(Weighting(0.99)))),
        (Strategy(logits=Logits(additive=1)), Strategy(logits=Logits(additive=1.01))),
        (Strategy(Schedule(INVERSE, Ramp(0, 0.001))), Strategy.of(INVERSE)),
    ),
)
def test_strategies_that_train_alike_are_replicates(one: Strategy, other: Strategy) -> None:
    assert between(one, other) < 0.01


@pytest.mark.parametrize(
    ("one", "other"),
    (
        (Strategy(Schedule(INVERSE, STEP)), Strategy()),
        (Strategy(Schedule(INVERSE, STEP)), Strategy.of(INVERSE)),
        (Strategy(sampling=Sampling(INVERSE)), Strategy.of(INVERSE)),
        (Strategy(sampling=Sampling(INVERSE)), Strategy(sampling=Sampling(INVERSE, draw="cycled"))),
        (Strategy(logits=Logits(additive=1)), Strategy(logits=Logits(additive=1.03))),
        (Strategy(logits=Logits(additive=1)), Strategy()),
        (Strategy(tau_norm=1), Strategy()),
    ),
)
def test_strategies_that_train_otherwise_are_not(one: Strategy, other: Strategy) -> None:
    assert between(one, other) >= 0.01


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_guards_accept_every_named_strategy(name: str) -> None:
    check_recipe(STRATEGIES[name].strategy.recipe(C100_LT))


def test_the_guard_of_constant_class_weights_is_that_of_their_weights() -> None:
    recipe = Strategy.of(Weighting(exponent=1.6)).recipe(C100_LT)
    with pytest.raises(WeightingError, match=r"sample fraction: got 0.0\d+; must be"):
        check_recipe(recipe)


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    (
        (
            Strategy(Schedule(Weighting(exponent=1.6), STEP)).recipe(C100_LT),
            "effective-sample fraction: got 0.0.* at 80 % of training; must be at least 0.10",
        ),
        (
            Strategy(Schedule(Weighting(exponent=0.9)), Sampling(INVERSE, Ramp(0.2, 0.4))).recipe(
                [5000, 5]
            ),
            "effective-sample fraction: got .* at 0 % of training",
        ),
        (
            Strategy(sampling=Sampling(Weighting(3))).recipe([500, 3]),
            r"max/min image weight: got 4",
        ),
        (
            Recipe((500, 3), (1.0, 2e6), sampling=(1.0, 1e6), sampling_ramp=STEP),
            r"max/min weight: got 2e\+06; must be at most 1e\+06; lower",
        ),
        (Recipe((5, 3), (1.0, 0.0), focusing=1), r"max/min weight: got inf"),
    ),
)
def test_the_guards_name_value_rule_and_remedy(recipe: Recipe, sentence: str) -> None:
    with pytest.raises(WeightingError, match=sentence):
        check_recipe(recipe)
