"""The plan of an epoch: its order, crops and flips."""

import hashlib
import math

import numpy as np
import pytest
import torch

from trainer.execution.augment import EpochPlan, epoch_plan


def plan_numbers(plan: EpochPlan) -> list[list[int]]:
    return [x.long().tolist() for x in (plan.order, plan.dy, plan.dx, plan.flip)]


def test_plan_is_a_function_of_seed_and_epoch_alone() -> None:
    first = epoch_plan(1, 2, 500, 4, True)
    np.random.seed(0)
    assert plan_numbers(epoch_plan(1, 2, 500, 4, True)) == plan_numbers(first)
    for seed, epoch in ((2, 1), (1, 3), (2, 2)):
        other = plan_numbers(epoch_plan(seed, epoch, 500, 4, True))
        assert all(a != b for a, b in zip(other, plan_numbers(first), strict=True))


def test_plan_orders_every_image_once() -> None:
    order = epoch_plan(1, 2, 12_406, 4, True).order
    assert torch.equal(order.sort().values, torch.arange(12_406))
    assert not torch.equal(order, torch.arange(12_406))


@pytest.mark.parametrize("padding", (0, 1, 4))
def test_crops_and_flips_are_uniform_and_independent(padding: int) -> None:
    side = 2 * padding + 1
    plan = epoch_plan(1, 2, 40_000, padding, True)
    cells = (plan.dy * side + plan.dx) * 2 + plan.flip.long()
    counts = torch.bincount(cells, minlength=2 * side**2).double()
    assert len(counts) == 2 * side**2
    expected = 40_000 / len(counts)
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    freedom = len(counts) - 1
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)


def test_crops_do_not_follow_the_order() -> None:
    plan = epoch_plan(1, 2, 40_000, 4, True)
    for draw in (plan.dy, plan.dx, plan.flip):
        pair = torch.stack((plan.order.double(), draw.double()))
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.02


def test_plan_without_flips_flips_nothing_and_crops_the_same() -> None:
    with_flips = epoch_plan(1, 2, 500, 4, True)
    without = epoch_plan(1, 2, 500, 4, False)
    assert not without.flip.any()
    assert plan_numbers(without)[:3] == plan_numbers(with_flips)[:3]


def test_plan_is_pinned() -> None:
    """Other values would make every earlier seed's result irreproducible."""
    plan = epoch_plan(42, 1, 8, 4, True)
    assert plan.order.tolist() == [4, 5, 3, 0, 2, 7, 1, 6]
    assert plan.dy.tolist() == [1, 0, 5, 1, 6, 5, 7, 5]
    assert plan.dx.tolist() == [5, 6, 2, 4, 0, 1, 5, 4]
    assert plan.flip.long().tolist() == [0, 0, 1, 1, 1, 0, 1, 0]
    whole = np.array(plan_numbers(epoch_plan(42, 7, 12_406, 4, True)), dtype="<i8")
    assert hashlib.sha256(whole.tobytes()).hexdigest()[:16] == "f40d825eadefb950"
