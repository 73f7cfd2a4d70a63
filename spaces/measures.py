"""Measures tell how far apart two strategies are on given counts, and whether one can train."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from spaces.counts import FloatArray
from spaces.errors import WeightingError
from spaces.parts.curriculum import PACES
from spaces.parts.feedback import FEEDBACK_NUMBERS
from spaces.recipe import Recipe
from spaces.weighting.measures import (
    MAX_WEIGHT_RATIO,
    MIN_EFFECTIVE_SAMPLE_FRACTION,
    check_weights,
    total_variation,
)

SCHEDULE_POINTS = 8
"""Points of progress, evenly through training, at which strategies are compared."""
NUMBERS_ALIKE = 0.02
"""Relative difference up to which two numbers of a loss are alike."""

_PROGRESS = (np.arange(SCHEDULE_POINTS) + 0.5) / SCHEDULE_POINTS
_RATES = (1.0 + np.cos(np.pi * _PROGRESS)) / SCHEDULE_POINTS
"""Cosine learning rate at each point, (8,), summing to 1."""


def schedule_shares(recipe: Recipe) -> FloatArray:
    """Shares of the classes through training, float64 (2, 9, C): of the draws, of the gradient.

    The first eight are at evenly spaced points of progress, the last is the end of training. Each
    sums to 1; the share of the gradient is `P w / sum(P w)` for class probabilities P.
    """
    points = [*_PROGRESS, 1.0]
    drawn = [recipe.class_probabilities_at(recipe.sampling_ramp.tau(x)) for x in points]
    weights = [recipe.loss_weights_at(recipe.weights_ramp.tau(x)) for x in points]
    draws = np.array(drawn)
    gradient = draws * np.array(weights)
    return np.array([draws, gradient / gradient.sum(axis=1, keepdims=True)])


def strategy_distance(a: Recipe, b: Recipe) -> float:
    """Distance in [0, 1] of two strategies on the same counts; below .01 they are replicates.

    The total variation of the shares of the draws or of the gradient, whichever is larger: the
    mean through training, weighted by the learning rate of a cosine, or that at its end, whichever
    is larger. 1 where the loss has other terms, or a number of it differs by more than 2 %. Of
    two constant class weights it is their `total_variation`.
    """
    if a.is_static and b.is_static:
        return total_variation(a.counts, a.weights, b.weights)
    if not numbers_alike(a, b):
        return 1.0
    return shares_distance(schedule_shares(a), schedule_shares(b))


def shares_distance(a: FloatArray, b: FloatArray) -> float:
    """The distance of two strategies as `strategy_distance` has it, from their shares alone."""
    variation = 0.5 * np.abs(a - b).sum(axis=-1)
    through = variation[:, :-1] @ _RATES
    return float(max(through.max(), variation[:, -1].max()))


def numbers_alike(a: Recipe, b: Recipe) -> bool:
    """Whether two strategies train by the same terms, with numbers that differ by 2 % at most."""
    if _words(a) != _words(b):
        return False
    ours, theirs = _numbers(a), _numbers(b)
    larger = np.maximum(np.abs(ours), np.abs(theirs))
    return bool((np.abs(ours - theirs) <= NUMBERS_ALIKE * larger).all())


def _words(recipe: Recipe) -> tuple[object, ...]:
    curriculum, feedback = recipe.curriculum, recipe.feedback
    words = (curriculum.order, curriculum.difficulty, feedback.onto)
    return recipe.variant, recipe.draw, *words


def _numbers(recipe: Recipe) -> FloatArray:
    vectors = (recipe.additive, recipe.multiplicative, recipe.margin, recipe.smoothing)
    scalars = (recipe.scale, recipe.focusing, recipe.adjustment, recipe.tau_norm)
    auxiliary = (recipe.auxiliary.weight, recipe.auxiliary.alone_until)
    paces = [getattr(recipe.curriculum, name) for name in PACES]
    followed = [getattr(recipe.feedback, name) for name in FEEDBACK_NUMBERS]
    ramp = astuple(recipe.feedback.ramp)
    tails = (recipe.mixing, recipe.augmentation)
    mixed = (number for part in tails for number in astuple(part))
    parts = (auxiliary, paces, followed, ramp, [*mixed, recipe.retrain_from])
    return np.concatenate([*map(np.asarray, vectors), scalars, *parts])


def check_recipe(recipe: Recipe) -> None:
    """Refuse a strategy that cannot train a network, at any end of its ramps.

    Raises:
        WeightingError: class weights or image weights with max/min above 1e6, or an
            effective-sample fraction of the drawn images under 0.10.
    """
    if recipe.is_static:
        check_weights(recipe.counts, recipe.weights)
        return
    if recipe.sampling is not None:
        _check_ratio("image weight", recipe.sampling)
    ramps = (recipe.weights_ramp, recipe.sampling_ramp)
    for progress in sorted({0.0, 1.0, *(x for ramp in ramps for x in (ramp.begin, ramp.end))}):
        weights = recipe.loss_weights_at(recipe.weights_ramp.tau(progress))
        _check_ratio("weight", tuple(weights))
        shares = recipe.class_probabilities_at(recipe.sampling_ramp.tau(progress))
        fraction = float((shares @ weights) ** 2 / (shares @ weights**2))
        if fraction < MIN_EFFECTIVE_SAMPLE_FRACTION:
            raise WeightingError(
                f"effective-sample fraction: got {fraction:.4f} at {100 * progress:.4g} % of "
                f"training; must be at least {MIN_EFFECTIVE_SAMPLE_FRACTION:.2f}; lower the "
                "exponent, or clip"
            )


def _check_ratio(name: str, weights: tuple[float, ...]) -> None:
    ratio = max(weights) / min(weights) if min(weights) else float("inf")
    if ratio > MAX_WEIGHT_RATIO:
        raise WeightingError(
            f"max/min {name}: got {ratio:.4g}; must be at most {MAX_WEIGHT_RATIO:g}; lower the "
            "exponent, or clip"
        )
