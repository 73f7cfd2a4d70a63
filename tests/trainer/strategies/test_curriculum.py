"""Curricula: difficulties of images, and the open images that an epoch shows instead of others."""

from collections.abc import Sequence

import numpy as np
import pytest
from training import digits_data

from spaces import Curriculum, UserError
from spaces.parts.curriculum import ORDERS, Order
from trainer.strategies.curriculum import Difficulties, OpenImages
from trainer.strategies.sampling import ClassImages, Integers

COUNTS = (40, 9, 5, 1)
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))
HARDNESS = np.random.default_rng(1).permutation(len(LABELS))
EPOCHS = 21
"""Epoch e is at progress (e - 1) / 20."""


class Given(Difficulties):
    def __init__(self, hardness: Sequence[int]) -> None:
        self.known = dict.fromkeys(("texture", "contrast"), np.asarray(hardness))


def opened(order: Order, seed: int = 7) -> OpenImages:
    """Return what opens all images evenly from .4 at epoch 1 to 1 at epoch 11."""
    classes = ClassImages.of(LABELS, len(COUNTS))
    return OpenImages(seed, Curriculum(order), EPOCHS, classes, Given(HARDNESS))


def once(seed: int = 0) -> Integers:
    return np.random.default_rng(seed).permutation(len(LABELS))


@pytest.mark.parametrize(("order", "sign"), (("easy", 1), ("hard", -1)))
@pytest.mark.parametrize("epoch", range(1, 11))
def test_the_first_images_of_each_class_are_shown_alike_often(
    order: Order, sign: int, epoch: int
) -> None:
    share = 0.4 + 0.06 * (epoch - 1)
    shown = opened(order).shown(epoch, once())
    assert np.array_equal(LABELS[shown], LABELS[once()]), "classes and their places stay"
    times = np.bincount(shown, minlength=len(LABELS))
    for label, count in enumerate(COUNTS):
        mine = np.flatnonzero(label == LABELS)
        ranked = mine[np.argsort(sign * HARDNESS[mine])]
        open_now = max(1.0, share * count)
        full, partly = int(open_now + 1e-9), int(np.ceil(open_now - 1e-9))
        assert times[ranked[partly:]].sum() == 0
        assert times[ranked[:full]].min() >= int(count / open_now)
        assert times[ranked[:full]].max() <= int(count / open_now) + 1


def test_an_image_that_is_opening_is_shown_in_proportion_to_its_open_part() -> None:
    made, mine = opened("easy"), np.flatnonzero(LABELS == 2)  # 5 images, 2.6 open at epoch 3
    ranked, seeds = mine[np.argsort(HARDNESS[mine])], 4000
    times = np.zeros(len(LABELS))
    for seed in range(seeds):
        made.seed = seed
        times += np.bincount(made.shown(3, once()), minlength=len(LABELS))
    expected = 5 / 2.6 * np.array([1, 1, 0.6, 0, 0])
    assert times[ranked] / seeds == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("order", ORDERS)
def test_with_all_images_open_every_order_stays_as_it_is(order: Order) -> None:
    for epoch in (11, 21):
        assert np.array_equal(opened(order).shown(epoch, once()), once())
    assert np.array_equal(opened("none").shown(1, once()), once())


def test_a_random_order_opens_other_images_for_each_seed_in_every_epoch_the_same() -> None:
    sets = [set(opened("random", seed).shown(1, once())) for seed in (7, 7, 8)]
    assert sets[0] == sets[1] != sets[2]
    later = set(opened("random", 7).shown(2, once()))
    assert len(sets[0] - later) <= len(COUNTS), "only one that is opening may be left out"


def test_replacements_are_pinned() -> None:
    """Other values would make every earlier seed's result irreproducible."""
    shown = opened("random").shown(2, np.arange(len(LABELS)))
    assert shown[:12].tolist() == [45, 25, 12, 44, 16, 24, 50, 49, 53, 13, 6, 46]


def test_difficulties_order_images_as_their_formulas_do() -> None:
    images = digits_data().train_images[:50]
    values = images.astype(np.float64)
    made = Difficulties(images)
    energy = (np.diff(values, axis=2) ** 2).sum((1, 2, 3)) + (np.diff(values, axis=3) ** 2).sum(
        (1, 2, 3)
    )
    assert np.array_equal(made.of("texture"), energy)
    assert np.array_equal(np.argsort(made.of("contrast")), np.argsort(-values.std((1, 2, 3))))
    assert made.of("texture") is made.of("texture")
    with pytest.raises(UserError, match="a table with a column difficulty"):
        made.of("column")
    column = np.arange(50.0)
    assert Difficulties(images, column).of("column") is column
