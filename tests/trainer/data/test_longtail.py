"""Counts, chosen images and test halves."""

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.data.longtail import (
    largest_max_count,
    long_tail_counts,
    ranked_counts,
    select_long_tail,
    stratified_halves,
)
from trainer.errors import DataError


def test_counts_of_the_published_benchmarks() -> None:
    cifar10 = long_tail_counts(5000, 100.0, 10)
    assert cifar10.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    cifar100 = long_tail_counts(500, 100.0, 100)
    assert (cifar100[0], cifar100[-1], cifar100.sum()) == (500, 5, 10847)
    assert long_tail_counts(500, 50.0, 100).sum() == 12608
    assert cifar10.dtype == np.int64


def test_ratio_one_keeps_all_classes_equal() -> None:
    assert long_tail_counts(7, 1.0, 3).tolist() == [7, 7, 7]


def reference_selection(labels: NDArray[np.int64], counts: list[int]) -> list[int]:
    """LDAM-DRW's convention with numpy's global generator, as its authors seed it."""
    state = np.random.get_state()
    np.random.seed(0)
    chosen: list[int] = []
    for label, count in zip(np.unique(labels), counts, strict=True):
        indices = np.where(labels == label)[0]
        np.random.shuffle(indices)
        chosen.extend(indices[:count])
    np.random.set_state(state)
    return chosen


def test_selection_follows_the_ldam_convention() -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 60))
    counts = long_tail_counts(60, 20.0, 10)
    chosen = select_long_tail(labels, counts, seed=0)
    assert chosen.tolist() == reference_selection(labels, counts.tolist())
    assert np.bincount(labels[chosen]).tolist() == counts.tolist()


def test_selection_leaves_the_global_generator_alone() -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[index]
    select_long_tail(np.repeat(np.arange(2), 5), np.array([5, 2]), seed=0)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]


def test_another_seed_selects_other_images() -> None:
    labels, counts = np.repeat(np.arange(2), 50), np.array([50, 10])
    first, second = (select_long_tail(labels, counts, seed) for seed in (0, 1))
    assert set(first.tolist()) != set(second.tolist())


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DataError, match="class 1 has 2 training images but the long tail needs 3"):
        select_long_tail(np.array([0, 0, 0, 1, 1]), np.array([3, 3]), seed=0)


def test_ranked_counts_give_most_to_the_largest_class_and_break_ties_by_label() -> None:
    assert ranked_counts([10, 40, 10], 40, 4.0).tolist() == [20, 40, 10]


@pytest.mark.parametrize(
    ("available", "ratio"), (((40, 20, 10), 4.0), ((7, 300, 31), 10.0), ((5, 5), 1.0))
)
def test_largest_max_count_fits_and_one_more_does_not(
    available: tuple[int, ...], ratio: float
) -> None:
    largest = largest_max_count(available, ratio)
    assert np.all(ranked_counts(available, largest, ratio) <= available)
    above = ranked_counts(available, largest + 1, ratio)
    assert np.any(above > available)


def test_halves_are_stratified_and_their_totals_differ_by_one_at_most() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(7), [5, 3, 1, 8, 7, 2, 1]))
    half_a = stratified_halves(labels)
    in_a, in_b = (np.bincount(labels[half], minlength=7) for half in (half_a, ~half_a))
    assert np.abs(in_a - in_b).max() <= 1
    assert abs(int(half_a.sum()) - int((~half_a).sum())) <= 1


def test_halves_never_change() -> None:
    labels = np.tile(np.arange(3), 5)
    assert np.flatnonzero(stratified_halves(labels)).tolist() == [1, 3, 5, 6, 7, 8, 11, 12]
    cifar_like = stratified_halves(np.repeat(np.arange(10), 1000))
    assert int(np.flatnonzero(cifar_like).sum()) == 25_023_941
