"""The design of a recorded table: which weightings, and that they stay the same."""

from typing import Any

import numpy as np
import pytest
from training import DIGITS

from benchmarks.recording import design
from benchmarks.recording.design import design_fingerprint, first_points
from spaces import NAMED, check_weights, total_variation
from spaces.errors import UserError
from trainer.benchmarks import BENCHMARKS

CIFAR = BENCHMARKS["resnet32-cifar100lt"]


def test_a_longer_design_begins_with_the_shorter_one() -> None:
    points = first_points(CIFAR.counts, 80)
    assert first_points(CIFAR.counts, 31) == points[:31]
    assert [point.number for point in points] == list(range(80))


def test_the_design_is_what_tables_were_recorded_with() -> None:
    """Fails where scipy, numpy or the spaces would give other weightings than on record."""
    points = first_points(DIGITS.counts, 200)
    assert design_fingerprint() == "a2b5db2e098f0a15"
    assert points[100].weighting.to_dict() == {
        "exponent": 0.832497,
        "split_quantile": 0.595159,
        "head_ratio": 0.67184,
    }
    assert points[199].weighting.to_dict() == {
        "exponent": 0.458488,
        "link": 0.0319851,
        "nu": 2.21056,
        "bump": 0.571085,
        "bump_center": 0.773967,
        "bump_width": 0.129427,
    }


@pytest.mark.parametrize("benchmark", (DIGITS, CIFAR), ids=lambda benchmark: benchmark.name)
def test_every_weighting_can_train_and_no_two_are_replicates(benchmark: Any) -> None:
    counts = benchmark.counts
    weights = [point.weighting.weights(counts) for point in first_points(counts, 60)]
    for index, one in enumerate(weights):
        check_weights(counts, one)
        for other in weights[:index]:
            assert total_variation(counts, one, other) >= design.REPLICATE_DISTANCE


def test_named_points_come_first_and_keep_their_names_where_they_coincide() -> None:
    points = first_points(DIGITS.counts, 40)
    named = [point for point in points if point.names]
    assert points[: len(named)] == named
    assert sorted(name for point in named for name in point.names) == sorted(NAMED)
    assert points[0].names == ("uniform",)
    assert set(points[1].names) == {
        "mlsbench_inverse_freq",
        "sqrt_inverse",
        "mlsbench_effective_number",
    }
    for point in named:
        for name in point.names:
            one, other = (
                w.weights(DIGITS.counts) for w in (point.weighting, NAMED[name].weighting)
            )
            assert total_variation(DIGITS.counts, one, other) < design.REPLICATE_DISTANCE


def test_a_named_point_that_the_guards_refuse_is_left_out() -> None:
    steep = [3000, 300, 30, 3]
    points = first_points(steep, 20)
    names = {name for point in points for name in point.names}
    assert "uniform" in names
    assert "inverse" not in names


def test_half_of_the_sampled_points_are_of_each_space() -> None:
    spaces = [point.space for point in first_points(DIGITS.counts, 108) if not point.names]
    assert spaces.count("core") == spaces.count("full") == 50


def test_sampled_points_fill_every_domain_of_their_space() -> None:
    points = [point.weighting for point in first_points(DIGITS.counts, 200)]
    core = [
        p
        for p, point in zip(points, first_points(DIGITS.counts, 200), strict=True)
        if point.space == "core"
    ]
    exponents = np.array([weighting.exponent for weighting in core])
    quarters = np.histogram(exponents, bins=4, range=(0.05, 1.25))[0]
    assert quarters.min() > 0  # few small ones: they are near-replicates of each other
    bends = [(w.nu is not None) - (w.split_quantile is not None) for w in core]
    assert min(bends.count(bend) for bend in (-1, 0, 1)) > len(core) / 10
    assert any(w.bump for w in points)
    assert any(w.shape for w in points)
    assert any(w.clip_high for w in points)
    assert max(w.nu for w in core if w.nu) / min(w.nu for w in core if w.nu) > 30


def test_the_two_spaces_draw_different_exponents() -> None:
    points = first_points(DIGITS.counts, 200)
    core, full = ({p.weighting.exponent for p in points if p.space == s} for s in ("core", "full"))
    assert not core & full


def test_a_design_ends_where_nothing_new_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(design, "REPLICATE_DISTANCE", 0.2)
    monkeypatch.setattr(design, "MOST_REFUSALS", 50)
    few = len(list(design.design(DIGITS.counts)))
    with pytest.raises(UserError, match=f"--weightings is 200, but only {few} were found"):
        first_points(DIGITS.counts, 200)
