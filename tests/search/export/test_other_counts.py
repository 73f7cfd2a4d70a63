"""The found weighting applies to other counts, with a warning where it would train poorly."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from exporting import BEST, COUNTS, NAMES, RICH, load

from search.export.class_counts import ClassCounts
from search.export.formats.scaled import class_weights, in_order
from search.export.other_counts import applied_json, apply_to_counts
from search.export.winner import ExportError
from spaces import (
    STRATEGIES,
    Strategy,
    Weighting,
    WeightingError,
    check_weights,
)


def applied_to(strategy, counts, names=None):
    """What a strategy is on class counts."""
    found = class_weights(strategy, ClassCounts(tuple(counts), names), "error")
    return apply_to_counts(strategy, found)


def test_the_best_weighting_applies_to_other_counts():
    applied = applied_to(BEST.strategy, (5, 50, 500), ("a", "b", "c"))
    assert [row["weight"] for row in applied["classes"]] == RICH.weights([5, 50, 500]).tolist()
    assert [row["class"] for row in applied["classes"]] == ["a", "b", "c"]
    assert applied["warning"] is None
    assert 0.1 < applied["effective_sample_fraction"] <= 1
    text = applied_json(applied)
    assert json.loads(text) == applied
    assert sum('"class": ' in line for line in text.splitlines()) == 3


def test_counts_with_the_names_of_the_benchmark_are_put_in_its_order():
    ordered = in_order(ClassCounts(tuple(COUNTS[::-1]), tuple(NAMES[::-1])), NAMES)
    assert ordered == ClassCounts(tuple(COUNTS), tuple(NAMES))
    for others in (ClassCounts((7, 2), None), ClassCounts((7, 2), ("b", "a"))):
        assert in_order(others, NAMES) == others
    (_, second) = applied_to(BEST.strategy, (7, 2))["classes"]
    assert second["class"] == 1


@pytest.mark.parametrize(
    ("exponent", "counts"), ((1.25, [10**4, 1]), (1.25, [10**6, 1]), (2, [900, 12]), (3, [5000, 3]))
)
def test_counts_on_which_the_weights_would_train_poorly_are_warned_about(exponent, counts):
    """By the module and `export --counts` alike, with a power of the weights that is sound."""
    weighting = Weighting(exponent=exponent)
    with pytest.raises(WeightingError):
        check_weights(counts, weighting.weights(counts))
    with pytest.warns(UserWarning, match="would go badly") as caught:
        weights = load(weighting)["compute_class_weights"](counts, 2)
    assert Path(caught[0].filename) == Path(__file__)
    sentence = str(caught[0].message)
    applied = applied_to(Strategy.of(weighting), counts)
    assert applied["warning"] == sentence
    power = float(re.search(r"weights \*\* (\S+),", sentence)[1])
    check_weights(counts, (weights**power).double().numpy())
    with pytest.raises(WeightingError):
        check_weights(counts, (weights ** (power + 0.05)).double().numpy())


def test_counts_too_uneven_to_apply_to_are_refused():
    steep = Strategy.of(Weighting(exponent=100))
    with pytest.raises(ExportError, match="lower the exponent"):
        applied_to(steep, (10**9, 1))


def test_the_sample_fraction_of_weights_near_the_largest_float_is_a_number():
    steep = Strategy.of(Weighting(exponent=90, normalization="none"))
    applied = applied_to(steep, (700, 1))
    assert applied["classes"][1]["weight"] > 1e200
    assert 0 < applied["effective_sample_fraction"] < 0.01


def test_a_strategy_applies_to_other_counts_with_what_else_it_needs():
    strategy = STRATEGIES["cb_sampling"].strategy
    applied = applied_to(strategy, (90, 10))
    assert [row["images"] for row in applied["classes"]] == pytest.approx([50, 50])
    assert [row["weight"] for row in applied["classes"]] == [1, 1]
    assert applied["kind"] == "sampling"
    assert applied["also_needed"] == ["images drawn by class (p=1): EpochSampler"]
    assert Strategy.from_dict(applied["strategy"]) == strategy
    assert applied["effective_sample_fraction"] == pytest.approx(1)


def test_a_strategy_that_would_train_poorly_on_other_counts_is_warned_about():
    late = STRATEGIES["drw"].strategy
    applied = applied_to(late, (10**6, 1))
    assert applied["warning"].startswith("Training with this strategy would go badly: effective-")
