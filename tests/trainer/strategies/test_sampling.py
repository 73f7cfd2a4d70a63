"""Image sampling: draws with the law of WeightedRandomSampler, and cycles that repeat no image."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch.utils.data import WeightedRandomSampler

from spaces import NAMED
from spaces.recipe import Recipe
from spaces.schedule import Draw, Ramp
from trainer.benchmarks import BENCHMARKS
from trainer.execution.augment import epoch_plan
from trainer.strategies.sampling import (
    ClassImages,
    ImageOrders,
    Integers,
    cycled_order,
    drawn_classes,
    sampled_order,
)

DIGITS = BENCHMARKS["resnet8-digitslt"].counts.tolist()
FULL = Ramp()
EPOCHS = 200


def labels_of(counts: Sequence[int]) -> Integers:
    """Return labels in an order that is not that of the classes."""
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


def inverse(counts: Sequence[int]) -> list[float]:
    return [1 / count for count in counts]


def orders(
    counts: Sequence[int], cycled: bool, weights: Sequence[float], ramp: Ramp = FULL
) -> ImageOrders:
    """Return the orders of 5 epochs by image weights of the classes."""
    uniform = (1.0,) * len(counts)
    draw: Draw = "cycled" if cycled else "independent"
    recipe = Recipe(tuple(counts), uniform, sampling=tuple(weights), sampling_ramp=ramp, draw=draw)
    return ImageOrders(7, recipe, 5, ClassImages.of(labels_of(counts), len(counts)))


def order(made: ImageOrders, epoch: int) -> Integers:
    drawn = made.order(epoch)
    assert drawn is not None
    return drawn


def chi_square_p(seen: np.ndarray, expected: np.ndarray) -> float:
    half = float(((seen - expected) ** 2 / expected).sum()) / 2
    freedom = torch.tensor((len(seen) - 1) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom, torch.tensor(half, dtype=torch.float64)))


@pytest.mark.parametrize("cycled", (False, True))
@pytest.mark.parametrize("name", NAMED)
def test_classes_are_drawn_with_their_probabilities(name: str, cycled: bool) -> None:
    counts, labels = np.array(DIGITS), labels_of(DIGITS)
    weights = NAMED[name].weighting.weights(DIGITS)
    shares = counts * weights
    made = orders(DIGITS, cycled, weights.tolist())
    seen = sum(np.bincount(labels[order(made, e)], minlength=10) for e in range(1, EPOCHS + 1))
    expected = EPOCHS * counts.sum() * shares / shares.sum()
    assert chi_square_p(np.asarray(seen), expected) > 0.001


def test_images_of_a_class_are_drawn_alike_and_independently() -> None:
    counts = (40, 9, 1)
    made, labels = orders(counts, False, inverse(counts)), labels_of(counts)
    drawn = np.stack([np.bincount(order(made, e), minlength=50) for e in range(1, 2001)])
    probabilities = (1 / 3 / np.array(counts))[labels]
    assert chi_square_p(drawn.sum(0), 2000 * 50 * probabilities) > 0.001
    # The number of times that an epoch shows an image has the binomial's mean and variance.
    sampler = WeightedRandomSampler(
        (1 / np.array(counts))[labels].tolist(), 50, generator=torch.Generator().manual_seed(1)
    )
    theirs = np.stack([np.bincount(list(sampler), minlength=50) for _ in range(2000)])
    for sample in (drawn, theirs):
        variance = 50 * probabilities * (1 - probabilities)
        error = np.sqrt(variance / 2000)
        assert np.abs((sample.mean(0) - 50 * probabilities) / error).max() < 4
        assert sample.var(0) == pytest.approx(variance, rel=0.2)


def test_the_order_is_a_function_of_seed_and_epoch_alone() -> None:
    for cycled in (False, True):
        made, again = (orders(DIGITS, cycled, inverse(DIGITS)) for _ in range(2))
        forwards = [order(made, epoch) for epoch in (1, 2, 3, 4)]
        backwards = [order(again, epoch) for epoch in (4, 2, 3, 1)]
        for index, other in ((0, 3), (1, 1), (2, 2), (3, 0)):
            assert np.array_equal(forwards[index], backwards[other])
        assert not np.array_equal(forwards[0], forwards[1])


def test_draws_use_other_words_than_plans_and_other_seeds_give_other_draws() -> None:
    classes = ClassImages.of(labels_of(DIGITS), 10)
    plan = epoch_plan(3, 1, 398, 1, False)
    drawn = [sampled_order(seed, 1, np.full(10, 0.1), classes) for seed in (3, 4)]
    assert not np.array_equal(*drawn)
    assert abs(np.corrcoef(drawn[0], plan.order.numpy())[0, 1]) < 0.15
    assert abs(np.corrcoef(drawn[0], plan.dy.numpy())[0, 1]) < 0.15


def test_draws_are_pinned() -> None:
    """Other values would make every earlier seed's result irreproducible."""
    classes, alike = ClassImages.of(np.repeat([0, 1, 2], (8, 3, 1)), 3), np.full(3, 1 / 3)
    drawn = sampled_order(42, 1, alike, classes)
    cycled = cycled_order(42, 2, alike, classes, np.array([5, 4, 3]))
    assert drawn.tolist() == [11, 11, 7, 11, 11, 11, 10, 4, 8, 2, 9, 5]
    assert cycled.tolist() == [11, 8, 11, 1, 9, 11, 10, 8, 9, 3, 8, 10]


def test_a_class_without_probability_is_never_drawn() -> None:
    for absent in (0, 1, 2):
        probabilities = np.array([1.0, 1.0, 1.0])
        probabilities[absent] = 0
        drawn = drawn_classes(1, 1, probabilities, 10_000)
        assert set(drawn) == {0, 1, 2} - {absent}


@pytest.mark.parametrize("counts", ((60, 20, 6, 2), (1, 1), (5,)))
def test_cycles_show_every_image_of_a_class_before_one_again(counts: tuple[int, ...]) -> None:
    made, labels = orders(counts, True, inverse(counts)), labels_of(counts)
    shown = np.concatenate([order(made, epoch) for epoch in range(1, 21)])
    for label, images in enumerate(counts):
        mine = shown[labels[shown] == label]
        cycles = mine[: len(mine) // images * images].reshape(-1, images)
        assert (np.sort(cycles, axis=1) == np.flatnonzero(labels == label)).all()
        rest = mine[cycles.size :]
        assert len(set(rest)) == len(rest)
        assert images == 1 or len(np.unique(cycles, axis=0)) > 1 or len(cycles) < 2


def test_epochs_that_show_every_image_once_draw_nothing() -> None:
    for cycled in (False, True):
        made = orders(DIGITS, cycled, inverse(DIGITS), Ramp(0.5, 0.5))
        assert made.order(1) is made.order(2) is None
        assert set(labels_of(DIGITS)[order(made, 3)]) == set(range(10))


def test_eight_thousand_classes_with_ties_are_drawn() -> None:
    counts = np.maximum(1, 200 // (1 + np.arange(8142) // 40))
    for cycled in (False, True):
        drawn = labels_of(counts.tolist())[
            order(orders(counts.tolist(), cycled, inverse(counts.tolist())), 1)
        ]
        assert len(drawn) == counts.sum()
        assert len(set(drawn)) > 0.6 * 8142
