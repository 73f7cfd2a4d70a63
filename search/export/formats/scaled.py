"""Class weights of a strategy's last epoch on class counts, in the scale that a loss needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from search.export.class_counts import ClassCounts
from search.export.formats.labels import Labels
from search.export.formats.registry import MEAN_SAMPLE, SUM_TO_CLASSES, SUM_TO_ONE
from search.export.strategy_facts import final_images, final_weights
from search.export.winner import ExportError
from spaces import Recipe, Strategy, WeightingError
from spaces.counts import FloatArray


@dataclass(frozen=True)
class ClassWeights:
    """Class weights of C classes.

    Attributes:
        classes: C counts, and names or None.
        weights: float64 (C,).
        images: of each class that the last epoch shows, float64 (C,).
        recipe: the strategy on the counts that the weights come from, which are positive.
    """

    classes: ClassCounts
    weights: FloatArray
    images: FloatArray
    recipe: Recipe

    def scaled(self, scale: str) -> ClassWeights:
        """Return the weights in one of `SCALES`."""
        sizes = {
            MEAN_SAMPLE: np.average(self.weights, weights=self.images),
            SUM_TO_CLASSES: self.weights.mean(),
            SUM_TO_ONE: self.weights.sum(),
        }
        return replace(self, weights=self.weights / float(sizes[scale]))


@dataclass(frozen=True)
class Exported:
    """What is written.

    Attributes:
        found: class weights in the scale.
        scale: of `SCALES`.
        run: its name.
        labels: of the training images, if they were given.
    """

    strategy: Strategy
    found: ClassWeights
    scale: str
    run: str
    labels: Labels | None = None


def class_weights(strategy: Strategy, classes: ClassCounts, zero_counts: str) -> ClassWeights:
    """Return the class weights of a strategy's last epoch.

    Class weights alone are in the normalization of their weighting, others sum to C. A class
    without images has the weight of the smallest with ``zero_counts`` "smallest", else 0.

    Raises:
        ExportError: the strategy is too steep for the counts.
    """
    counts = np.array(classes.counts)
    seen = counts > 0
    if zero_counts == "smallest":
        counts = np.where(seen, counts, counts[seen].min())
    weighted = counts > 0
    try:
        recipe = strategy.recipe(counts[weighted].tolist())
        own = strategy.weighting.weights(recipe.counts) if recipe.is_static else None
    except WeightingError as error:
        raise ExportError(f"{error}.") from error
    weights, images = np.zeros((2, len(counts)))
    weights[weighted] = final_weights(recipe) if own is None else own
    images[weighted] = final_images(recipe)
    return ClassWeights(classes, weights, images * seen, recipe)


def in_order(given: ClassCounts, class_names: Sequence[str] | None) -> ClassCounts:
    """Return counts in the order of the benchmark's names if they have the same, else as given."""
    if not given.class_names or not class_names or {*given.class_names} != {*class_names}:
        return given
    by_name = dict(zip(given.class_names, given.counts, strict=True))
    return replace(
        given, counts=tuple(map(by_name.__getitem__, class_names)), class_names=tuple(class_names)
    )
