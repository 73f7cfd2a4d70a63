"""Class weights in the scales that losses need."""

from __future__ import annotations

import numpy as np
import pytest
from exporting import COUNTS, RICH

from search.export.class_counts import ClassCounts
from search.export.formats.registry import SCALES
from search.export.formats.scaled import class_weights
from search.export.winner import ExportError
from spaces import STRATEGIES, Strategy, Weighting


@pytest.mark.parametrize(("exponent", "factor"), ((0.5, 0.45), (1.0, 0.20)))
def test_the_mean_over_the_images_of_cifar_100_lt_is_1_or_the_factor_that_lowers_learning_rates(
    exponent, factor
):
    strategy = Strategy.of(Weighting(exponent=exponent))
    found = class_weights(strategy, ClassCounts(tuple(COUNTS), None), "error")
    for scale, mean in (("mean-sample", 1), ("sum-to-classes", factor)):
        weights = found.scaled(scale).weights
        assert np.average(weights, weights=COUNTS) == pytest.approx(mean, abs=0.005)


@pytest.mark.parametrize("scale", SCALES)
def test_scales_keep_the_ratios(scale):
    found = class_weights(Strategy.of(RICH), ClassCounts((50, 5, 20), None), "error")
    scaled = found.scaled(scale).weights
    np.testing.assert_allclose(scaled / scaled[0], found.weights / found.weights[0])
    sizes = {"sum-to-one": 1, "sum-to-classes": 3}
    assert scaled.sum() == pytest.approx(sizes.get(scale, scaled.sum()))


@pytest.mark.parametrize("name", ("inverse", "cb_sampling", "drw"))
def test_classes_without_images_have_no_weight_or_that_of_the_rarest(name):
    strategy = STRATEGIES[name].strategy
    without = class_weights(strategy, ClassCounts((50, 20, 5), None), "error")
    classes = ClassCounts((50, 0, 20, 5), None)
    ignored = class_weights(strategy, classes, "ignore")
    assert ignored.weights.tolist() == np.insert(without.weights, 1, 0).tolist()
    assert ignored.images.tolist() == np.insert(without.images, 1, 0).tolist()
    smallest = class_weights(strategy, classes, "smallest")
    assert smallest.weights[1] == smallest.weights[3] > 0
    assert smallest.images[1] == 0
    for found in (ignored, smallest):
        weights = found.scaled("mean-sample").weights
        assert np.average(weights, weights=found.images) == pytest.approx(1)


def test_counts_too_uneven_for_the_weighting_are_refused():
    steep = Strategy.of(Weighting(exponent=100))
    with pytest.raises(ExportError, match="lower the exponent"):
        class_weights(steep, ClassCounts((10**9, 1), None), "error")
