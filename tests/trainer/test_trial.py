"""What a trial refuses, and which trials are one."""

import math
from dataclasses import replace

import pytest
from training import (
    DIGITS,
    digits_trial,
)

from spaces import NAMED, canonical_weights
from spaces.recipe import Recipe
from trainer.trial import Trial


def test_on_equal_class_counts_all_weightings_are_one_trial() -> None:
    named = [name.weighting.weights([60] * 10) for name in NAMED.values()]
    trials = {Trial.weighted(DIGITS, canonical_weights(w), 1) for w in named}
    assert len(named) > len(trials) == 1


@pytest.mark.parametrize(
    ("weights", "rule"),
    (
        ((1.0,) * 9, "weights has 9 entries for 10 classes"),
        ((1.0,) * 9 + (-0.1,), "non-negative"),
        ((1.0,) * 9 + (math.nan,), "must be finite"),
        ((1.0,) * 9 + (math.inf,), "must be finite"),
        ((0.0,) * 10, "all zero"),
    ),
)
def test_a_trial_refuses_bad_weights(weights: tuple[float, ...], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Trial.weighted(DIGITS, weights, seed=0)


def test_a_trial_refuses_a_recipe_for_other_classes() -> None:
    recipe = Recipe((5,) * 9, (1.0,) * 9)
    with pytest.raises(ValueError, match="is for 9 classes; resnet8-digitslt has 10"):
        Trial(DIGITS, recipe, seed=0)


def test_a_trial_refuses_an_adjustment_that_no_test_measures() -> None:
    recipe = replace(digits_trial().recipe, adjustment=0.3)
    with pytest.raises(ValueError, match=r"adjustment=0\.3.* none of the adjustments"):
        Trial(DIGITS, recipe, seed=0)


@pytest.mark.parametrize("seed", (-1, 2**63))
def test_a_trial_refuses_a_seed_out_of_range(seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed is {seed}"):
        Trial.weighted(DIGITS, (1.0,) * 10, seed)


def test_a_trial_refuses_an_unknown_precision() -> None:
    with pytest.raises(ValueError, match=r"precision is 'fp16'.*bf16"):
        Trial.weighted(DIGITS, (1.0,) * 10, 0, "fp16")
