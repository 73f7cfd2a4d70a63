"""Mixing and augmentation by class: what an epoch's plan has, and what the gather makes of it."""

import dataclasses

import numpy as np
import pytest
import torch
from training import digits_data

from spaces import Augmentation, Mixing, Strategy
from trainer.execution.augment import Augmenter, EpochPlan, MixedPlan, epoch_plan
from trainer.strategies.loss import LossTerms, general_loss, mixed_loss
from trainer.strategies.mixing import MixedPlans, partners
from trainer.strategies.sampling import ClassImages

LABELS = digits_data().train_labels
CLASSES = ClassImages.of(LABELS, 10)
EPOCHS, SIDE, PADDING = 21, 8, 1


def plan_of(strategy: Strategy, epoch: int = 5, seed: int = 3) -> MixedPlan:
    recipe = strategy.recipe(CLASSES.counts)
    plans = MixedPlans(seed, recipe, EPOCHS, CLASSES, SIDE, PADDING, False)
    return plans.plan(epoch, usual(epoch, seed))


def usual(epoch: int = 5, seed: int = 3) -> EpochPlan:
    return epoch_plan(seed, epoch, len(LABELS), PADDING, False)


def augmenter() -> Augmenter:
    return Augmenter(torch.from_numpy(digits_data().train_images), PADDING)


def test_partners_are_of_every_class_alike_often_and_pinned() -> None:
    drawn = np.concatenate([partners(3, epoch, CLASSES) for epoch in range(1, 31)])
    shares = np.bincount(LABELS[drawn], minlength=10) / len(drawn)
    assert shares == pytest.approx([0.1] * 10, abs=0.01)
    assert set(drawn) == set(range(len(LABELS)))
    assert drawn[:6].tolist() == [319, 323, 294, 372, 258, 392]


def test_boxes_cover_a_uniform_share_of_as_many_images_as_was_asked() -> None:
    plans = [plan_of(Strategy(mixing=Mixing(0.6)), epoch) for epoch in range(2, 21)]
    shares = torch.cat([plan.share for plan in plans]).numpy()
    assert (shares > 0).mean() == pytest.approx(0.6, abs=0.04)  # a box of no pixel is none
    area = [(p.bottom - p.top) * (p.right - p.left) for p in plans]
    assert np.array_equal(shares, (torch.cat(area) / SIDE**2).float().numpy())
    assert 0.1 < shares[shares > 0].mean() < 0.5  # cut off at the border
    assert shares.max() <= 1


@pytest.mark.parametrize("epoch", (1, 21))
def test_the_first_and_the_last_epoch_are_not_mixed(epoch: int) -> None:
    plan, images = plan_of(Strategy(mixing=Mixing(1.0)), epoch), augmenter()
    positions = torch.arange(len(LABELS))
    assert not plan.share.any()
    assert torch.equal(images.mixed(plan, positions), images.batch(usual(epoch), positions))


def test_a_box_has_the_pixels_of_the_partner_and_the_rest_those_of_the_image() -> None:
    plan, images, positions = (
        plan_of(Strategy(mixing=Mixing(1.0))),
        augmenter(),
        torch.arange(len(LABELS)),
    )
    mixed, own, others = (
        images.mixed(plan, positions),
        images.batch(usual(), positions),
        images.batch(plan.partners(), positions),
    )
    for index in range(0, len(LABELS), 7):
        box = torch.zeros(SIDE, SIDE, dtype=torch.bool)
        box[plan.top[index] : plan.bottom[index], plan.left[index] : plan.right[index]] = True
        expected = torch.where(box, others[index], own[index])
        assert torch.equal(mixed[index], expected)


def test_augmentation_spares_the_commonest_class_and_reaches_its_most_in_the_rarest() -> None:
    augmentation = Augmentation(shift=0.25, flip=0.5, cutout=0.5)
    plans = [plan_of(Strategy(augmentation=augmentation), epoch) for epoch in range(1, 21)]
    found = [dataclasses.replace(plan) for plan in plans]
    labels = np.concatenate([LABELS[plan.order.numpy()] for plan in found])
    moved = torch.cat([p.dy - usual(e).dy for e, p in enumerate(found, 1)]).numpy()
    flips = torch.cat([p.flip for p in found]).numpy()
    erased = torch.cat([p.cut_bottom - p.cut_top for p in found]).numpy()
    for label, (shift, flip, cut) in {0: (0, 0, 0), 9: (2, 0.5, 4)}.items():
        mine = labels == label
        assert (moved[mine].min(), moved[mine].max()) == (-shift, shift)
        assert flips[mine].mean() == pytest.approx(flip, abs=0.12)
        assert erased[mine].max() == cut
    assert augmentation.strengths([7, 7]).tolist() == [0, 0]


def test_a_shift_out_of_the_padding_and_an_erased_square_are_black() -> None:
    white = Augmenter(torch.full((1, 1, 4, 4), 255, dtype=torch.uint8), 1)
    none, number = torch.zeros(1, dtype=torch.int64), torch.tensor
    plan = MixedPlan(
        *(none, number([-2]), number([1]), none.bool(), none.bool(), none.float()),
        *(none, none, none, none, none, none, none),
        *(number([3]), number([4]), number([1]), number([3])),
    )
    pixels = white.mixed(plan, none)[0, 0]
    assert (pixels == 255).tolist() == [
        [False] * 4,
        [False] * 4,
        [False] * 4,
        [True, False, False, True],
    ]


def test_a_mixed_loss_is_that_of_both_labels_by_their_shares() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 4, generator=generator)
    own, other = torch.randint(0, 4, (2, 6), generator=generator)
    terms, whole = LossTerms.neutral(4), torch.zeros(6)
    assert mixed_loss(logits, own, other, whole, terms) == general_loss(logits, own, terms)
    shares = torch.full((6,), 0.25)
    expected = 0.75 * general_loss(logits, own, terms) + 0.25 * general_loss(logits, other, terms)
    torch.testing.assert_close(mixed_loss(logits, own, other, shares, terms), expected)
