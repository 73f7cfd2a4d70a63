"""The terms of a loss are the formulas of their sources, and neutral by default."""

from typing import Any

import numpy as np
import pytest

from spaces import POSTHOC, Logits, PostHoc, Smoothing, WeightingError

COUNTS = np.array([500, 40, 5, 40])


def test_the_default_does_nothing() -> None:
    assert not Logits().iota(COUNTS).any()
    assert not np.signbit(Logits().iota(COUNTS)).any()
    assert (Logits().delta(COUNTS) == 1).all()
    assert not Logits().margins(COUNTS).any()
    assert not Smoothing().epsilons(COUNTS).any()
    assert POSTHOC[0] == PostHoc()


def test_the_terms_are_their_formulas() -> None:
    logits = Logits(additive=0.75, multiplicative=0.05, margin=0.5)
    np.testing.assert_allclose(logits.iota(COUNTS), 0.75 * np.log(COUNTS / 585), rtol=1e-14)
    np.testing.assert_allclose(logits.delta(COUNTS), (COUNTS / 500) ** 0.05, rtol=1e-14)
    quarter = COUNTS**-0.25
    np.testing.assert_allclose(logits.margins(COUNTS), 0.5 * quarter / quarter.max(), rtol=1e-14)


def test_smoothing_goes_from_head_to_tail_in_a_sine_of_the_counts() -> None:
    found = Smoothing(0.4, 0.1).epsilons(COUNTS)
    expected = 0.1 + 0.3 * np.sin((COUNTS - 5) * np.pi / (2 * 495))
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert found[[0, 2]].tolist() == [0.4, 0.1]
    np.testing.assert_allclose(Smoothing(0.2, 0.2).epsilons(COUNTS), 0.2, rtol=1e-15)


def test_classes_of_one_size_are_smoothed_alike() -> None:
    assert Smoothing(0.4, 0.1).epsilons(np.array([7, 7])).tolist() == [0.4, 0.4]


def test_the_measured_adjustments_are_eleven_and_different() -> None:
    assert len(set(POSTHOC)) == len(POSTHOC) == 11
    assert max(one.adjustment for one in POSTHOC) == 2


@pytest.mark.parametrize("part", (Logits(), Logits(1, 0.1, 0.5, 0.3, 30), Smoothing(0.4, 0.1)))
def test_a_part_survives_a_round_trip(part: Logits | Smoothing) -> None:
    assert type(part).from_dict(part.to_dict()) == part


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    (
        (Logits, {"additive": -1}, r"additive: got -1; must be a number in \[0, 10\]"),
        (Logits, {"multiplicative": 11}, "multiplicative: got 11"),
        (Logits, {"margin": "1"}, "margin: got '1'"),
        (Logits, {"margin_power": 0.5}, "margin_power: got 0.5; must be 0.25 unless a margin"),
        (Logits, {"scale": 0}, r"scale: got 0; must be a number in \(0, 1000\]"),
        (Logits, {"additiv": 1}, "additiv: got 1; .*did you mean 'additive'"),
        (Smoothing, {"head": 1}, r"head: got 1; must be a number in \[0, 1\)"),
        (Smoothing, {"tail": None}, "tail: got None"),
        (Smoothing, 3, "smoothing: got 3"),
    ),
)
def test_a_term_out_of_range_is_refused(kind: Any, values: Any, sentence: str) -> None:
    with pytest.raises(WeightingError, match=sentence):
        kind.from_dict(values)
