"""A point of the family gives the promised weights; what is no point is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from spaces import NORMALIZATIONS, Weighting, WeightingError

COUNTS = np.array([int(500 * (1 / 100) ** (i / 99)) for i in range(100)])

RICH = Weighting(
    exponent=0.62,
    link=0.3,
    nu=0.5,
    split_quantile=0.4,
    head_ratio=0.2,
    shape=0.3,
    bump=0.3,
    bump_center=0.6,
    bump_width=0.2,
    clip_low=0.05,
    clip_high=0.9,
    normalization="mean_sample_one",
)


@pytest.mark.parametrize(
    ("normalization", "total"),
    (
        ("sum_to_one", lambda w: w.sum() - 1),
        ("sum_to_classes", lambda w: w.sum() - len(COUNTS)),
        ("mean_sample_one", lambda w: (COUNTS * w).sum() / COUNTS.sum() - 1),
        ("none", lambda w: w.min() - 1),
    ),
)
def test_each_normalization_fixes_its_own_sum(normalization, total):
    weights = Weighting(exponent=0.7, normalization=normalization).weights(COUNTS)
    assert total(weights) == pytest.approx(0, abs=1e-10)


def test_the_normalizations_are_the_tested_ones():
    assert set(NORMALIZATIONS) == {"none", "sum_to_one", "sum_to_classes", "mean_sample_one"}


def test_without_normalization_one_over_n_reads_n_max_over_n():
    weights = Weighting(exponent=1, normalization="none").weights(COUNTS)
    np.testing.assert_allclose(weights, COUNTS.max() / COUNTS, rtol=1e-13)


def test_the_order_of_the_classes_only_permutes_the_weights():
    order = np.random.default_rng(0).permutation(len(COUNTS))
    shuffled = RICH.weights(COUNTS[order])
    np.testing.assert_allclose(shuffled, RICH.weights(COUNTS)[order], rtol=1e-13)


@pytest.mark.parametrize("point", (Weighting(), Weighting(exponent=1), RICH))
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_equal_counts_give_equal_weights(point, normalization):
    point = Weighting.from_dict(point.to_dict() | {"normalization": normalization})
    weights = point.weights([7] * 5)
    expected = 0.2 if normalization == "sum_to_one" else 1.0
    np.testing.assert_allclose(weights, np.full(5, expected), rtol=1e-14)


@pytest.mark.parametrize("point", (Weighting(), Weighting(exponent=1.2, beta=0.99), RICH))
def test_a_single_class_has_weight_one(point):
    assert point.weights([12]).tolist() == [1.0]


def test_two_classes_with_a_pinned_head_stay_finite():
    point = Weighting(exponent=1, split_quantile=0.01, head_ratio=0, link=1)
    assert np.isfinite(point.weights([10, 1])).all()


def test_weights_are_float64_and_one_per_class():
    weights = RICH.weights([3, 30, 300])
    assert weights.dtype == np.float64
    assert weights.shape == (3,)


def test_the_link_is_continuous_at_zero():
    near = Weighting(exponent=1, link=1e-12).weights(COUNTS)
    np.testing.assert_allclose(near, Weighting(exponent=1, link=0).weights(COUNTS), rtol=1e-9)
    tiny = Weighting(exponent=1, link=5e-324).weights(COUNTS)
    np.testing.assert_allclose(tiny, Weighting(exponent=1, link=0).weights(COUNTS), rtol=1e-9)


def test_beta_zero_is_uniform_and_is_approached_smoothly():
    np.testing.assert_array_equal(Weighting(exponent=1, beta=0).weights(COUNTS), np.ones(100))
    near = Weighting(exponent=1, beta=1e-9).weights(COUNTS)
    np.testing.assert_allclose(near, np.ones(100), rtol=1e-9)


def test_beta_near_one_is_one_over_n():
    near = Weighting(exponent=1, beta=1 - 1e-13).weights(COUNTS)
    np.testing.assert_allclose(near, Weighting(exponent=1).weights(COUNTS), rtol=1e-9)


def test_a_large_nu_is_one_over_n_and_a_small_one_is_uniform():
    large = Weighting(exponent=1, nu=1e12).weights(COUNTS)
    np.testing.assert_allclose(large, Weighting(exponent=1).weights(COUNTS), rtol=1e-9)
    clamped = Weighting(exponent=1, nu=1 / 1000).weights(COUNTS)
    np.testing.assert_array_equal(clamped, np.ones(100))


def test_nu_names_the_same_beta_on_any_data_set():
    beta = 1 - 1 / (0.5 * COUNTS.max())
    np.testing.assert_allclose(
        Weighting(exponent=1, nu=0.5).weights(COUNTS),
        Weighting(exponent=1, beta=beta).weights(COUNTS),
        rtol=1e-12,
    )


def test_a_split_bends_the_slope_at_the_quantile_and_is_absent_at_ratio_one():
    point = Weighting(exponent=0.8, split_quantile=0.5, head_ratio=1)
    np.testing.assert_allclose(
        point.weights(COUNTS), Weighting(exponent=0.8).weights(COUNTS), rtol=1e-13
    )
    bent = Weighting(exponent=0.8, split_quantile=0.5, head_ratio=0.25, normalization="none")
    split = np.median(COUNTS)
    head, tail = np.maximum(COUNTS, split), np.minimum(COUNTS, split)
    expected = (COUNTS.max() / head) ** 0.2 * (split / tail) ** 0.8
    np.testing.assert_allclose(bent.weights(COUNTS), expected, rtol=1e-12)


def test_a_given_range_is_reached_whatever_the_exponent():
    for exponent in (0.1, 1.0):
        point = Weighting(exponent=exponent, weight_range=7, link=0.5, normalization="none")
        weights = point.weights(COUNTS)
        assert weights.max() / weights.min() == pytest.approx(7, rel=1e-12)


def test_a_clip_bounds_the_weights_by_powers_of_the_range():
    point = Weighting(exponent=1, clip_low=0.2, clip_high=0.7, normalization="none")
    weights = point.weights(COUNTS)
    assert weights.min() == pytest.approx(100**0.2, rel=1e-12)
    assert weights.max() == pytest.approx(100**0.7, rel=1e-12)


def test_a_bump_lifts_the_middle_and_leaves_the_ends():
    point = Weighting(exponent=0.5, bump=0.5, bump_width=0.05, normalization="none")
    lift = point.weights(COUNTS) / Weighting(exponent=0.5, normalization="none").weights(COUNTS)
    assert lift.max() == pytest.approx(1.5, abs=0.01)
    assert lift[[0, -1]] == pytest.approx(1, abs=1e-9)


def test_extreme_counts_stay_finite():
    counts = [2**53, 1]
    for point in (RICH, Weighting(exponent=1.25, nu=10), Weighting(exponent=5, beta=0.9999)):
        assert np.isfinite(point.weights(counts)).all()


def test_a_point_too_steep_for_the_counts_is_refused():
    with pytest.raises(WeightingError, match=r"exponent: got 1e\+300; .*lower the exponent"):
        Weighting(exponent=1e300).weights([5, 1])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    (
        ({"exponent": -0.1}, r"exponent: got -0.1; must be a finite number >= 0"),
        ({"exponent": math.nan}, "exponent: got nan"),
        ({"exponent": math.inf}, "exponent: got inf"),
        ({"exponent": 10**400}, "exponent: got 1000"),
        ({"exponent": True}, "exponent: got True"),
        ({"exponent": None}, "exponent: got None"),
        ({"exponent": "0.5"}, "exponent: got '0.5'"),
        ({"link": 1.1}, r"link: got 1.1; must be a number in \[0, 1\]"),
        ({"beta": 1.0}, r"beta: got 1.0; must be a number in \[0, 1\) or None"),
        ({"nu": 0}, r"nu: got 0; must be a number in \(0, 1e\+12\] or None"),
        ({"beta": 0.9, "nu": 1}, "beta, nu: got 0.9 and 1.0; give at most one"),
        ({"split_quantile": 1}, r"split_quantile: got 1; must be a number in \(0, 1\)"),
        ({"split_quantile": 0.5, "head_ratio": 1.5}, "head_ratio: got 1.5"),
        ({"head_ratio": 0.5}, "head_ratio: got 0.5; must be 1 unless split_quantile is given"),
        ({"exponent": 1, "weight_range": 0.5}, 'weight_range: got 0.5; .* or "sqrt_ratio"'),
        ({"exponent": 1, "weight_range": "ratio"}, "weight_range: got 'ratio'"),
        ({"weight_range": 5}, "weight_range: got 5.0; needs an exponent > 0"),
        ({"shape": -1}, "shape: got -1"),
        ({"bump": -1}, "bump: got -1"),
        ({"bump_center": 2}, "bump_center: got 2"),
        ({"bump_width": 0}, "bump_width: got 0; must be a finite number > 0"),
        ({"clip_low": -0.1}, "clip_low: got -0.1"),
        ({"clip_low": 0.8, "clip_high": 0.2}, "clip_low: got 0.8; must be at most clip_high 0.2"),
        ({"normalization": "sum_to_clases"}, "did you mean 'sum_to_classes'"),
        ({"normalization": 3}, "normalization: got 3; must be one of none"),
    ),
)
def test_a_field_out_of_range_is_refused_with_key_value_and_rule(fields, sentence):
    with pytest.raises(WeightingError, match=sentence):
        Weighting(**fields)


@pytest.mark.parametrize("point", (Weighting(), RICH, Weighting(exponent=1, weight_range=4)))
def test_a_point_survives_a_round_trip_through_json(point):
    assert Weighting.from_dict(json.loads(json.dumps(point.to_dict()))) == point


def test_the_flat_form_holds_only_what_differs_from_uniform():
    assert Weighting().to_dict() == {}
    assert Weighting(exponent=np.float32(0.5)).to_dict() == {"exponent": 0.5}


@pytest.mark.parametrize(
    ("values", "sentence"),
    (
        ({"exponnent": 1}, "exponnent: got 1; is not a field .*did you mean 'exponent'"),
        ({"zzz": 1}, "zzz: got 1; .*known: exponent, link"),
        ({3: 1}, "3: got 1"),
        ({"exponent": [1]}, r"exponent: got \[1\]"),
        ([1], "weighting: got"),
    ),
)
def test_a_dictionary_that_is_not_a_point_is_refused(values, sentence):
    with pytest.raises(WeightingError, match=sentence):
        Weighting.from_dict(values)


def test_a_point_describes_itself_in_one_line():
    point = Weighting(exponent=0.62, link=0.3, split_quantile=0.5, head_ratio=0.2)
    assert point.describe() == "p=0.62 lambda=0.3 split s=0.5 h=0.2"
    assert Weighting().describe() == "uniform"
    assert Weighting(exponent=1, beta=0.9999).describe() == "p=1 beta=0.9999"
    assert "R=sqrt_ratio" in Weighting(exponent=1, weight_range="sqrt_ratio").describe()
    for word in ("nu=0.5", "kappa=0.3", "bump b=0.3", "clip_high=0.9", "mean_sample_one"):
        assert word in RICH.describe()
