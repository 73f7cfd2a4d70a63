"""The measures give the published figures, and the guards hold."""

from __future__ import annotations

import numpy as np
import pytest

from spaces import (
    NORMALIZATIONS,
    Weighting,
    WeightingError,
    canonical_weights,
    check_weights,
    effective_sample_fraction,
    gradient_shares,
    total_variation,
    weighting_key,
)

C100_LT = np.array([int(500 * (1 / 100) ** (i / 99)) for i in range(100)])


@pytest.mark.parametrize(("exponent", "samples"), ((0.0, 128), (0.5, 90), (1.0, 26), (1.5, 7)))
def test_a_batch_of_128_acts_as_the_published_number_of_samples(exponent, samples):
    weights = Weighting(exponent=exponent).weights(C100_LT)
    assert 128 * effective_sample_fraction(C100_LT, weights) == pytest.approx(samples, abs=0.5)


@pytest.mark.parametrize(
    ("other", "distance"),
    (
        (Weighting(), 0.206),
        (Weighting(exponent=1), 0.274),
        (Weighting(exponent=0.5, beta=0.9999), 0.0016),
    ),
)
def test_total_variation_from_the_square_root_is_as_published(other, distance):
    root = Weighting(exponent=0.5).weights(C100_LT)
    measured = total_variation(C100_LT, root, other.weights(C100_LT))
    assert measured == pytest.approx(distance, abs=5e-4 if distance > 0.01 else 5e-5)


def test_total_variation_is_a_distance_that_ignores_scale():
    a, b = Weighting(exponent=0.5).weights(C100_LT), Weighting(exponent=1).weights(C100_LT)
    assert total_variation(C100_LT, a, 7 * a) == pytest.approx(0, abs=1e-15)
    assert total_variation(C100_LT, a, b) == pytest.approx(total_variation(C100_LT, b, a))


def test_one_over_n_gives_every_class_the_same_share():
    shares = gradient_shares(C100_LT, 1 / C100_LT)
    np.testing.assert_allclose(shares, np.full(100, 0.01), rtol=1e-13)


def test_canonical_weights_sum_to_the_number_of_classes():
    weights = canonical_weights([1e300, 5e299, 1e300])
    assert weights.sum() == pytest.approx(3, rel=1e-15)
    assert weights.dtype == np.float64


def test_weights_equal_up_to_scale_share_a_key_and_others_do_not():
    keys = {
        weighting_key(Weighting(exponent=0.5, normalization=name).weights(C100_LT))
        for name in NORMALIZATIONS
    }
    assert len(keys) == 1
    assert len(keys | {weighting_key(Weighting(exponent=0.5001).weights(C100_LT))}) == 2
    assert all(len(key) == 16 and int(key, 16) >= 0 for key in keys)


def test_uniform_weights_share_a_key_at_any_scale():
    assert len({weighting_key(np.full(10, scale)) for scale in (1, 0.1, 1 / 3, 7e-9)}) == 1


def test_the_guards_accept_the_square_root_and_one_over_n():
    for exponent in (0.5, 1.0):
        check_weights(C100_LT, Weighting(exponent=exponent).weights(C100_LT))


@pytest.mark.parametrize(
    ("counts", "weights", "sentence"),
    (
        ([2, 1], [1.0, np.nan], r"weights\[1\]: got nan; must be finite and > 0"),
        ([2, 1], [0.0, 1.0], r"weights\[0\]: got 0.0"),
        ([2, 1], [-1.0, 1.0], r"weights\[0\]: got -1.0"),
        ([2, 1], [1.0, np.inf], r"weights\[1\]: got inf"),
        ([2, 1], [[1.0, 1.0]], r"weights: got shape \(1, 2\)"),
        ([2, 1], [], r"weights: got shape \(0,\)"),
        ([2, 1], [1.0], "weights: got 1 for 2 class counts"),
        ([1, 1], [1e7, 1.0], r"max/min weight: got 1e\+07; must be at most 1e\+06; lower"),
        ([5000, 1], [1.0, 1e5], "effective-sample fraction: got 0.00.*at least 0.10; lower"),
    ),
)
def test_the_guards_name_value_rule_and_remedy(counts, weights, sentence):
    with pytest.raises(WeightingError, match=sentence):
        check_weights(counts, weights)
