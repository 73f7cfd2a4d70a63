"""Ultralytics takes powers of the class counts, and nothing else is exported for it."""

from __future__ import annotations

import numpy as np
import pytest

from search.export.class_counts import ClassCounts
from search.export.formats.scaled import Exported, class_weights
from search.export.formats.ultralytics import ultralytics_text
from search.export.winner import ExportError
from spaces import NAMED, STRATEGIES, Strategy, Weighting

COUNTS = (900, 120, 33, 4)


def text_for(strategy):
    found = class_weights(strategy, ClassCounts(COUNTS, None), "error").scaled("sum-to-classes")
    return ultralytics_text(Exported(strategy, found, "sum-to-classes", "run")), found.weights


def ultralytics_weights(cls_pw):
    """What version 8.4.190 makes of it (DetectionTrainer.set_class_weights)."""
    weights = (1.0 / np.array(COUNTS, np.float32)) ** cls_pw
    return weights / weights.mean()


@pytest.mark.parametrize(
    ("weighting", "power"),
    (
        (Weighting(), 0),
        (Weighting(exponent=0.59144), 0.59144),
        (Weighting(exponent=1), 1),
        (Weighting(exponent=2, weight_range="sqrt_ratio"), 0.5),
        (NAMED["sqrt_inverse"].weighting, 0.5),
    ),
)
def test_the_setting_gives_the_weights_that_were_found(weighting, power):
    text, weights = text_for(Strategy.of(weighting))
    setting = text.splitlines()[-1]
    assert setting == f"cls_pw: {power}"
    assert all(line.startswith("# ") for line in text.splitlines()[:-1])
    found = ultralytics_weights(float(setting.split()[1]))
    np.testing.assert_allclose(found, weights, rtol=1e-5)


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    (
        (Strategy.of(Weighting(exponent=0.6, nu=0.1)), "p=0.6 nu=0.1 is none"),
        (Strategy.of(Weighting(exponent=1, weight_range=225)), "R=225 is none"),
        (Strategy.of(Weighting(exponent=1, bump=0.1)), "is none"),
        (Strategy.of(Weighting(exponent=1, clip_high=0.9)), "is none"),
        (Strategy.of(Weighting(exponent=1.2)), "from 0 to 1; p=1.2 is the power 1.2"),
        (STRATEGIES["drw"].strategy, "needs more .class weights that change between epochs"),
    ),
)
def test_other_weights_and_strategies_are_refused_with_the_reason(strategy, sentence):
    with pytest.raises(ExportError, match=f"a power of the class counts, as cls_pw.*{sentence}"):
        text_for(strategy)
