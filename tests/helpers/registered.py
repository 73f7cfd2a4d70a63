"""What holds of every weighting and strategy of a registry, and class counts to check it on."""

import json

import numpy as np
import numpy.typing as npt
import pytest

from spaces import (
    Recipe,
    Strategy,
    Weighting,
    in_words,
    schedule_shares,
)

MANY = 8142
"""Classes of iNaturalist 2018, of 2 to 1,000 training images."""


def long_tail(largest: int, classes: int, ratio: float) -> npt.NDArray[np.int64]:
    return (largest * ratio ** (-np.arange(classes) / (classes - 1))).astype(np.int64)


COUNTS = {
    "cifar10lt": long_tail(5000, 10, 100),
    "cifar100lt": long_tail(500, 100, 100),
    "vgg": long_tail(500, 100, 50),
    "ties": np.array([500, 3, 40, 500, 40, 3, 40]),
    "equal": np.full(5, 20),
    "two-classes": np.array([500, 3]),
    "one-class": np.array([7]),
    "many-classes": long_tail(1000, MANY, 500),
}

every_count = pytest.mark.parametrize("counts", COUNTS.values(), ids=list(COUNTS))


def check_contract(point: Weighting, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Check what holds of every weighting on counts (C,); return its weights (C,)."""
    weights = point.weights(counts)
    assert weights.shape == counts.shape
    assert weights.dtype == np.float64
    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    assert np.array_equal(point.weights(counts), weights)
    _, first, which = np.unique(counts, return_index=True, return_inverse=True)
    assert np.array_equal(weights[first][which], weights)  # classes of one size have one weight
    assert Weighting.from_dict(json.loads(json.dumps(point.to_dict()))) == point
    return weights


def check_strategy(strategy: Strategy, counts: npt.NDArray[np.int64]) -> Recipe:
    """Check what holds of every strategy on counts (C,); return its recipe."""
    check_contract(strategy.weighting, counts)
    recipe = strategy.recipe(counts)  # refuses what is not finite
    assert Strategy.from_dict(json.loads(json.dumps(strategy.to_dict()))) == strategy
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    shares = schedule_shares(recipe)
    assert shares.min() > 0
    assert shares.sum(axis=-1) == pytest.approx(1.0, rel=1e-9)
    assert recipe.loss_weights(5, 5).mean() == pytest.approx(1.0, rel=1e-9)
    probabilities = recipe.class_probabilities(5, 5)
    assert probabilities is None or probabilities.sum() == pytest.approx(1.0, rel=1e-9)
    assert in_words(strategy, counts)
    return recipe
