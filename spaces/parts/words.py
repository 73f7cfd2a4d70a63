"""Strategies are put in plain words: what they do to given class counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spaces.recipe import Recipe
from spaces.schedule import Ramp
from spaces.strategy import Strategy


def in_words(strategy: Strategy, counts: npt.ArrayLike) -> str:
    """Say what a strategy does to these counts: the rarest class against the commonest.

    Where a bump or a clip makes another class the heaviest or the lightest, that is said too.

    Raises:
        WeightingError: as `Strategy.recipe`.
    """
    recipe = strategy.recipe(counts)
    parts = [
        *_weights_in_words(recipe, strategy.weights.ramp),
        *_sampling_in_words(recipe),
        *_loss_in_words(recipe),
        *recipe.curriculum.in_words(),
        *(text + _when(recipe.feedback.ramp) for text in recipe.feedback.in_words()),
        *recipe.auxiliary.in_words(),
        *recipe.mixing.in_words(),
        *recipe.augmentation.in_words(),
        *_retraining_in_words(recipe),
        *_posthoc_in_words(recipe),
    ]
    return "; ".join(parts) or "all classes weigh the same"


def _weights_in_words(recipe: Recipe, ramp: Ramp) -> list[str]:
    numbers, weights = np.array(recipe.counts), np.array(recipe.weights)
    base = float(weights[numbers.argmax()])
    rarest = float(weights[numbers.argmin()]) / base
    most, least = float(weights.max()) / base, float(weights.min()) / base
    if most - least < _ALIKE:
        return []
    text = f"the rarest class weighs {_times(rarest)} the commonest"
    if most > max(rarest, 1.0) + _ALIKE:
        text += f", a class of {number_of(numbers[weights.argmax()], 'image')} {_times(most)}"
    if least < min(rarest, 1.0) - _ALIKE:
        text += f", a class of {number_of(numbers[weights.argmin()], 'image')} {_times(least)}"
    return [text + _when(ramp)]


def _sampling_in_words(recipe: Recipe) -> list[str]:
    if recipe.sampling is None:
        return []
    numbers = np.array(recipe.counts)
    shown = recipe.class_probabilities_at(1.0) * numbers.sum() / numbers
    rarest, commonest = float(shown[numbers.argmin()]), float(shown[numbers.argmax()])
    return [
        f"an epoch shows an image of the rarest class {_times(rarest)} and one of the commonest "
        f"{_times(commonest)}{_when(recipe.sampling_ramp)}"
    ]


def _loss_in_words(recipe: Recipe) -> list[str]:
    numbers = np.array(recipe.counts)
    rarest, commonest = int(numbers.argmin()), int(numbers.argmax())
    lowered = recipe.additive[commonest] - recipe.additive[rarest]
    factor, margins, smoothing = recipe.multiplicative[rarest], recipe.margin, recipe.smoothing
    parts = (
        (lowered, f"the loss lowers the logit of the rarest class by {lowered:.3g}"),
        (factor != 1.0, f"the loss multiplies the logit of the rarest class by {factor:.3g}"),
        (
            any(margins),
            f"an image of the rarest class has to win by {margins[rarest]:.3g} and one of the "
            f"commonest by {margins[commonest]:.3g}",
        ),
        (recipe.head == "cosine", "logits are cosines of features and classifier rows"),
        (recipe.scale != 1.0, f"the loss multiplies all logits by {recipe.scale:.3g}"),
        (
            recipe.focusing,
            f"an image classified with a probability of 0.9 counts {_times(0.1**recipe.focusing)}",
        ),
        (
            any(smoothing),
            f"{100 * smoothing[rarest]:.3g} % of a label of the rarest class and "
            f"{100 * smoothing[commonest]:.3g} % of one of the commonest go to all classes",
        ),
    )
    return [text for acts, text in parts if acts]


def _retraining_in_words(recipe: Recipe) -> list[str]:
    begin = f"from {100 * recipe.retrain_from:.3g} % of training on"
    return [f"{begin} the classifier alone is trained, anew"] if recipe.retrain_from else []


def _posthoc_in_words(recipe: Recipe) -> list[str]:
    raised = recipe.adjustment * float(np.log(max(recipe.counts) / min(recipe.counts)))
    parts = (
        (raised, f"after training the logit of the rarest class is raised by {raised:.3g}"),
        (
            recipe.tau_norm,
            "after training the rows of the classifier are divided by their "
            f"norm^{recipe.tau_norm:.3g}",
        ),
    )
    return [text for acts, text in parts if acts]


def _when(ramp: Ramp) -> str:
    """When something acts, and with which share where it is not in full."""
    start, stop = ramp.start, ramp.stop
    if ramp.end == 0.0:
        return "" if stop == 1.0 else f", with a share of {stop:.3g}"
    shares = f", with a share of {start:.3g} before and {stop:.3g} after"
    shares = "" if (start, stop) == (0.0, 1.0) else shares
    if ramp.end == ramp.begin:
        return f", from {100 * ramp.begin:.3g} % of training on{shares}"
    way, span = "rising" if start < stop else "falling", (100 * ramp.begin, 100 * ramp.end)
    return f", {way} from {span[0]:.3g} to {span[1]:.3g} % of training{shares}"


_ALIKE = 0.005
"""Difference of two weights, the commonest class at 1, that plain words do not show."""


def _times(factor: float) -> str:
    return f"{factor:,.0f} times" if factor >= 100 else f"{factor:.3g} times"


def number_of(number: float, noun: str, form: str = "") -> str:
    """Return a number and its noun, such as "1 trial" and "1,200 images".

    Args:
        number: 0 or more.
        noun: in the singular.
        form: of the number, as of Python's ``format``.
    """
    plural = "es" if noun.endswith("s") else "s"
    return f"{number:{form}} {noun}{'' if number == 1 else plural}"
