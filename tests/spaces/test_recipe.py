"""A recipe gives the weights and the probabilities of every epoch."""

import json
from typing import Any

import numpy as np
import pytest

from spaces import Auxiliary, Mixing, Ramp, Recipe, Sampling, Schedule, Strategy, Variant, Weighting

COUNTS = np.array([500, 40, 5, 40])
INVERSE = Weighting(exponent=1)
STEP = Ramp(0.8, 0.8)
RISE = Ramp(0, 1)


def test_deferred_weights_are_exactly_uniform_and_then_exactly_the_weights() -> None:
    deferred = Strategy(weights=Schedule(INVERSE, STEP)).recipe(COUNTS)
    uniform, inverse = Strategy().recipe(COUNTS), Strategy.of(INVERSE).recipe(COUNTS)
    for epoch, like in ((1, uniform), (160, uniform), (161, inverse), (200, inverse)):
        np.testing.assert_array_equal(deferred.loss_weights(epoch, 200), like.weights)
    assert not deferred.is_static
    assert deferred.variant == Variant()


@pytest.mark.parametrize("tau", (0.25, 0.5))
def test_weights_rise_by_power_or_by_mixture_and_sum_to_the_classes(tau: float) -> None:
    ramp = Ramp(0, 1, stop=tau)
    power = Strategy(weights=Schedule(INVERSE, ramp)).recipe(COUNTS).loss_weights(9, 9)
    expected = COUNTS**-tau
    np.testing.assert_allclose(power, 4 * expected / expected.sum(), rtol=1e-13)
    mixed = Strategy(weights=Schedule(INVERSE, ramp, "mixture")).recipe(COUNTS).loss_weights(9, 9)
    expected = 1 - tau + tau * (1 / COUNTS) * COUNTS.sum() / len(COUNTS)
    np.testing.assert_allclose(mixed, 4 * expected / expected.sum(), rtol=1e-13)


@pytest.mark.parametrize("tau", (0.25, 0.5, 1.0))
def test_classes_are_drawn_by_power_or_by_mixture(tau: float) -> None:
    ramp = Ramp(0, 1, stop=tau)
    power = Strategy(sampling=Sampling(INVERSE, ramp)).recipe(COUNTS).class_probabilities(9, 9)
    expected = COUNTS ** (1 - tau)
    np.testing.assert_allclose(power, expected / expected.sum(), rtol=1e-13)
    mixture = Strategy(sampling=Sampling(INVERSE, ramp, "mixture")).recipe(COUNTS)
    expected = (1 - tau) * COUNTS / 585 + tau / 4
    np.testing.assert_allclose(mixture.class_probabilities(9, 9), expected, rtol=1e-13)


def test_nothing_is_drawn_at_a_share_of_0_or_without_sampling() -> None:
    rising = Strategy(sampling=Sampling(INVERSE, RISE)).recipe(COUNTS)
    assert rising.class_probabilities(1, 200) is None
    assert rising.class_probabilities(2, 200) is not None
    assert Strategy().recipe(COUNTS).class_probabilities(1, 200) is None
    np.testing.assert_array_equal(rising.class_probabilities_at(0), COUNTS / 585)
    np.testing.assert_array_equal(rising.loss_weights(9, 200), np.ones(4))


@pytest.mark.parametrize(("epochs", "first"), ((200, 181), (3, 3), (2, 2), (1, None)))
def test_a_classifier_alone_is_trained_from_its_first_epoch_to_the_last(
    epochs: int, first: int | None
) -> None:
    recipe = Strategy(retrain_from=0.9, auxiliary=Auxiliary("regular")).recipe(COUNTS)
    assert recipe.first_retraining_epoch(epochs) == first
    kinds = [str(recipe.variant_at(epoch, epochs)) for epoch in range(1, epochs + 1)]
    before = epochs if first is None else first - 1
    assert kinds == ["plain+regular"] * before + ["plain+frozen"] * (epochs - before)
    assert Strategy().recipe(COUNTS).first_retraining_epoch(epochs) is None


def test_mixing_pauses_for_the_first_and_last_three_of_200_epochs() -> None:
    on = [epoch for epoch in range(1, 201) if Mixing(0.5).probability_at(epoch, 200)]
    assert on == list(range(4, 198))


@pytest.mark.parametrize(("off", "epochs"), ((0.07, 101), (0.33, 101), (0.5, 3), (0.0, 5)))
def test_mixing_pauses_as_long_at_the_end_as_at_the_beginning(off: float, epochs: int) -> None:
    on = [Mixing(0.5, off).probability_at(epoch, epochs) > 0 for epoch in range(1, epochs + 1)]
    assert on == on[::-1]
    assert on.index(True) == round(off * (epochs - 1))


def test_a_class_without_weight_keeps_none() -> None:
    recipe = Recipe((3, 2), (0.0, 2.0), weights_ramp=RISE)
    assert recipe.loss_weights(2, 3).tolist() == [0.0, 2.0]


def test_what_is_left_out_is_neutral() -> None:
    recipe = Recipe((3, 2), (1.0, 1.0))
    assert recipe.is_static
    assert recipe.variant == Variant(loss="plain", head="linear")
    assert (recipe.additive, recipe.multiplicative) == ((0.0, 0.0), (1.0, 1.0))
    assert (recipe.margin, recipe.smoothing) == ((0.0, 0.0), (0.0, 0.0))
    assert recipe == Strategy().recipe([3, 2])


def test_a_recipe_survives_a_round_trip_through_json() -> None:
    recipe = Strategy.from_dict(
        {
            "weights": {"exponent": 0.3, "ramp": {"begin": 0.1, "end": 0.7, "power": 3}},
            "sampling": {"exponent": 1, "ramp": {"end": 1}, "mix": "mixture", "draw": "cycled"},
            "logits": {"additive": 0.7, "multiplicative": 0.1, "margin": 0.5, "scale": 2},
            "smoothing": {"head": 0.4, "tail": 0.1},
            "focusing": 1.5,
            "adjustment": 0.25,
        }
    ).recipe(COUNTS)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert recipe.variant == Variant(loss="general")
    static = Strategy.of(INVERSE).recipe(COUNTS)
    assert static.to_dict() == {"counts": COUNTS.tolist(), "weights": list(static.weights)}
    assert Recipe.from_dict(static.to_dict()) == static


@pytest.mark.parametrize(
    ("values", "sentence"),
    (
        ({"weights": (1.0,)}, "weights has 1 entries for 2 classes"),
        ({"weights": (1.0, np.inf)}, "weights must be finite"),
        ({"weights": (-1.0, 1.0)}, "weights must be non-negative and not all zero"),
        ({"weights": (0.0, 0.0)}, "weights must be non-negative and not all zero"),
        ({"weights": (1.0, 1.0), "sampling": (1.0,)}, "sampling has 1 entries"),
        ({"weights": (1.0, 1.0), "additive": (1.0, np.nan)}, "additive must be finite"),
    ),
)
def test_vectors_that_no_training_can_use_are_refused(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Recipe((3, 2), **values)
