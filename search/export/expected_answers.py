"""Answers that an exported module must give: of what was searched, and of the trainer's loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from search.export.strategy_facts import final_weights
from spaces import Curriculum, Recipe, Strategy

_EPOCHS = 101
"""Epochs of the training on which a strategy is checked: one is at each percent of it."""


def epochs_to_check(strategy: Strategy) -> list[tuple[int, int]]:
    """Epoch, from 1, and number of epochs: the ends of a training, and those of its ramps."""
    found = {1, _EPOCHS}
    for ramp in strategy.ramps:
        middle, end = (_EPOCHS - 1) * (ramp.begin + ramp.end) / 2, (_EPOCHS - 1) * ramp.end
        found |= {1 + int(middle), max(1, int(end)), 1 + int(end)}
    return [(1, 1), *((epoch, _EPOCHS) for epoch in sorted(found))]


def expected_answers(
    strategy: Strategy, counts: Sequence[int], epochs: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """What the module must answer on class counts (C,), by the names of `search/export/probe.py`.

    Raises:
        WeightingError: the strategy is too steep for the counts.
    """
    if strategy.is_static:
        return {"weights": strategy.weighting.weights(counts)}
    recipe = strategy.recipe(counts)
    answers = {
        "weights": final_weights(recipe),
        "weights by epoch": [recipe.loss_weights(*when) for when in epochs],
        "draws by epoch": [_image_weights(recipe, *when) for when in epochs],
        "losses by epoch": [_loss(recipe, *when) for when in epochs],
        "adjusted logits": _adjusted(recipe),
    }
    if recipe.head == "cosine":
        answers["cosines"] = _cosines(recipe)
    if recipe.curriculum != Curriculum():
        answers["open images by epoch"] = [_opened(recipe, *when) for when in epochs]
        if recipe.curriculum.difficulty in ("texture", "contrast"):
            answers["difficulties"] = _difficulties(recipe)
    return answers


def _image_weights(recipe: Recipe, epoch: int, epochs: int) -> Any:
    """The weight of an image of each class in the draw of an epoch, (C,)."""
    shares, counts = recipe.class_probabilities(epoch, epochs), np.asarray(recipe.counts)
    return np.ones(len(counts)) if shares is None else shares * counts.sum() / counts


def _loss(recipe: Recipe, epoch: int, epochs: int) -> float:
    from search.export.probe import batch  # torch takes seconds
    from trainer.strategies.loss import LossTerms, general_loss, packed_terms

    terms = LossTerms.of(packed_terms(recipe, epoch, epochs).double())
    return float(general_loss(*batch(len(recipe.counts)), terms))


def _opened(recipe: Recipe, epoch: int, epochs: int) -> Any:
    """A part of the order of an epoch that would else show all images in turn, (M,)."""
    from search.export.probe import hardness, part_of, uniform
    from trainer.strategies.curriculum import RankedImages
    from trainer.strategies.sampling import ClassImages

    labels = np.repeat(np.arange(len(recipe.counts)), recipe.counts)
    sign = -1 if recipe.curriculum.order == "hard" else 1
    classes = ClassImages.of(labels, len(recipe.counts))
    ranked = RankedImages(classes, sign * hardness(len(labels)).numpy())
    share, words = recipe.curriculum.pacing.at(epoch, epochs), uniform(len(recipe.counts)).numpy()
    return part_of(ranked.opened(np.arange(len(labels)), share, words))


def _difficulties(recipe: Recipe) -> Any:
    """The difficulty of each image, (8,)."""
    from search.export.probe import pixels
    from trainer.strategies.curriculum import Difficulties

    return Difficulties(pixels().numpy()).of(recipe.curriculum.difficulty)


def _cosines(recipe: Recipe) -> Any:
    """The logits of a cosine classifier, (8, C)."""
    from search.export.probe import last_layer
    from trainer.strategies.heads import cosines

    features, layer = last_layer(len(recipe.counts))
    return cosines(features, layer.float()).numpy()


def _adjusted(recipe: Recipe) -> Any:
    from search.export.probe import last_layer
    from trainer.strategies.adjustment import log_priors, normalised

    features, layer = last_layer(len(recipe.counts))
    logits = layer(features)
    if recipe.tau_norm:
        logits = normalised(logits, layer, recipe.tau_norm)
    return (logits - recipe.adjustment * log_priors(recipe.counts)).numpy()
