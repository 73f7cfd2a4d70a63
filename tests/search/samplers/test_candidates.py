"""Cover of a space: how near its candidates lie, and that nothing of the shares is lost."""

import numpy as np
import pytest

from search.samplers import candidates
from search.samplers.candidates import DISTANCE, POWERS, Candidates, Counts, cover, spread_points
from spaces import (
    NAMED,
    SPACES,
    Float,
    Space,
    Weighting,
    WeightingError,
    gradient_shares,
    total_variation,
)
from trainer.benchmarks import BENCHMARKS

COUNTS = np.array(BENCHMARKS["resnet8-digitslt"].counts)
UNIFORM, ROOT = NAMED["uniform"].weighting, NAMED["sqrt_inverse"].weighting


@pytest.fixture(autouse=True)
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "POINTS", 256)


def of(space: str = "core", *counts: np.ndarray, most: int = 1000) -> Candidates:
    return cover(SPACES[space], counts or [COUNTS], [UNIFORM, ROOT], most)


@pytest.mark.parametrize("space", ("core", "full"))
def test_candidates_differ_and_no_point_of_the_space_is_far_from_all(space: str) -> None:
    found, classes = of(space), Counts([COUNTS])
    for index in range(1, len(found)):
        assert classes.distances(found.shares[index], found.shares[:index]).min() >= DISTANCE
    for params in candidates._points(SPACES[space])[::16]:
        try:
            shares = classes.shares(SPACES[space].strategy(params).weighting)
        except WeightingError:
            continue
        assert classes.distances(shares, found.shares).min() < DISTANCE
    for weighting, params in zip(found.weightings, found.params, strict=True):
        assert params is None or SPACES[space].strategy(params).weighting == weighting


def test_named_weightings_and_powers_come_first() -> None:
    found = of()
    assert found.named == (0, 1)
    assert found.params[:2] == (None, None)
    assert found.weightings[:2] == (UNIFORM, ROOT)
    assert tuple(weighting.exponent for weighting in found.weightings[2:8]) == POWERS
    again = cover(SPACES["core"], [COUNTS], [UNIFORM, ROOT, UNIFORM], 3)
    assert again.named == (0, 1, 0)
    assert len(again) == 8


def test_equal_counts_are_held_once_and_nothing_is_lost() -> None:
    counts = np.array([90, 90, 90, 40, 40, 7])
    classes = Counts([counts])
    pairs = [Weighting(exponent=p) for p in (0.3, 0.9)]
    a, b = (classes.shares(weighting) for weighting in pairs)
    weights = [weighting.weights(counts) for weighting in pairs]
    assert a.shape == (3,)
    assert classes.distances(a, b[None])[0] == pytest.approx(total_variation(counts, *weights))
    logs = [np.log(gradient_shares(counts, w)) for w in weights]
    features = classes.features(np.stack([a, b]))
    apart = ((features[0] - features[1]) ** 2).sum()
    assert apart == pytest.approx(((logs[0] - logs[1]) ** 2).mean())


def test_the_distance_is_the_largest_over_the_benchmarks() -> None:
    other = np.array([300, 100, 10])
    both, pair = Counts([COUNTS, other]), [UNIFORM.weights(other), ROOT.weights(other)]
    a, b = (both.shares(weighting) for weighting in (UNIFORM, ROOT))
    first = total_variation(COUNTS, UNIFORM.weights(COUNTS), ROOT.weights(COUNTS))
    assert both.distances(a, b[None])[0] == max(first, total_variation(other, *pair))
    assert len(of("core", COUNTS, other)) >= len(of("core", COUNTS))


def test_thousands_of_classes_and_equal_counts_have_covers() -> None:
    many = np.random.default_rng(0).integers(2, 300, 8142)
    found = of("core", many, most=20)
    assert len(found) == 20
    assert found.features.shape == (20, len(np.unique(many)))
    for counts in (np.array([7]), np.array([50, 50, 50])):
        assert len(of("full", counts)) == 1


def test_a_space_of_other_strategies_has_no_cover() -> None:
    focused = Space("focused", (Float("exponent", 0.0, 1.0), Float("focusing", 0.5, 2.0)), "focal")
    with pytest.raises(ValueError, match="beside class weights"):
        cover(focused, [COUNTS], [UNIFORM])


def test_spread_points_are_far_apart_and_end_with_the_candidates() -> None:
    found = of(most=30)
    picked = spread_points(found, [0], 5)
    assert len({0, *picked}) == 6
    roots = np.sqrt(found.shares)
    gaps = [((roots[i] - roots[j]) ** 2).sum() for i in picked for j in (0, *picked) if i != j]
    assert min(gaps) > np.median(((roots[:, None] - roots) ** 2).sum(axis=2)) / 4
    assert len(spread_points(found, [0, 0, 1], 99)) == len(found) - 2
