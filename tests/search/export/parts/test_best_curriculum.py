"""The exported sampler of a curriculum shows open images only, and says what it misses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exporting import load

from spaces import Curriculum, Sampling, Strategy, Weighting

LABELS = [label for label, count in enumerate((50, 20, 5)) for _ in range(count)]
EASY = Strategy(curriculum=Curriculum("easy", first=0.4, full_at=0.5))
HARDNESS = np.random.default_rng(0).permutation(75)


def sampler_of(strategy: Strategy, difficulty: object = HARDNESS, seed: int = 1) -> object:
    module, generator = load(strategy), torch.Generator().manual_seed(seed)
    inner = module["EpochSampler"](LABELS, 5, generator)
    return module["CurriculumSampler"](inner, difficulty, generator)


@pytest.mark.parametrize("epoch", (1, 2, 3))
def test_the_easiest_images_of_each_class_are_shown_and_in_the_end_all(epoch: int) -> None:
    sampler = sampler_of(EASY)
    sampler.set_epoch(epoch)
    shown = np.array(list(sampler))
    assert len(shown) == len(sampler) == 75
    for label, count in enumerate((50, 20, 5)):
        mine = np.flatnonzero(label == np.array(LABELS))
        allowed = mine[np.argsort(HARDNESS[mine])][: int(np.ceil((0.1 + 0.3 * epoch) * count))]
        seen = shown[np.isin(shown, mine)]
        assert len(seen) == count
        assert set(seen) == set(allowed)


def test_draws_by_class_and_a_random_order_go_together() -> None:
    both = Strategy(
        sampling=Sampling(Weighting(exponent=1)), curriculum=Curriculum("random", first=0.4)
    )
    seen = []
    for seed in (1, 2):
        sampler = sampler_of(both, None, seed)
        sampler.set_epoch(1)
        shown = np.concatenate([list(sampler) for _ in range(30)])
        shares = np.bincount(np.take(LABELS, shown)) / len(shown)
        assert shares == pytest.approx([1 / 3] * 3, abs=0.03)
        seen.append(set(shown))
        assert len(seen[-1]) == 20 + 8 + 2
    assert seen[0] != seen[1]


def test_a_module_without_a_curriculum_has_no_sampler_of_one() -> None:
    assert "CurriculumSampler" not in load(Strategy(focusing=1))


class WithoutDoubles(torch.Tensor):
    """A tensor of a device that has no float64, as Apple's have none."""

    def double(self):
        raise TypeError("the device has no float64")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_images_and_difficulties_may_be_on_a_device_without_float64() -> None:
    module = load(EASY)
    pixels = torch.arange(24).view(2, 3, 2, 2)
    measure = module["image_difficulty"]
    assert measure(pixels.as_subclass(WithoutDoubles)).tolist() == measure(pixels).tolist()
    orders = []
    for difficulty in (torch.tensor(HARDNESS), torch.tensor(HARDNESS).as_subclass(WithoutDoubles)):
        sampler = sampler_of(EASY, difficulty)
        sampler.set_epoch(1)
        orders.append(list(sampler))
    assert orders[0] == orders[1]


@pytest.mark.parametrize("shape", ((2, 8, 8), (2, 64), (2, 8, 8, 3), (2, 8, 8, 1)))
def test_images_of_another_shape_are_refused(shape) -> None:
    with pytest.raises(ValueError, match=r"has the shape .*; it must be \(C, H, W\)"):
        load(EASY)["image_difficulty"](torch.zeros(shape))
    assert len(load(EASY)["image_difficulty"](torch.zeros(2, 3, 1, 3))) == 2


@pytest.mark.parametrize(
    ("difficulty", "given"),
    (("loss", "a running loss before each epoch"), ("column", "that of each image")),
)
def test_a_difficulty_that_pixels_do_not_tell_is_asked_for(difficulty, given) -> None:
    module = load(Strategy(curriculum=Curriculum("easy", difficulty, first=0.4)))
    sentence = (
        f"is the {difficulty} of each image, which pixels do not .*; give the sampler {given}"
    )
    with pytest.raises(ValueError, match=sentence):
        module["image_difficulty"](torch.zeros(2, 1, 3, 3))


def test_a_sampler_by_a_column_asks_for_the_column() -> None:
    column = Strategy(curriculum=Curriculum("easy", "column", first=0.4))
    with pytest.raises(ValueError, match="the order is easy; give that of each image"):
        sampler_of(column, None)


@pytest.mark.parametrize(
    ("difficulty", "sentence"),
    ((None, "difficulty is missing, and the order is easy"), ([1, 2], r"shape \(2,\).* 75 images")),
)
def test_a_sampler_without_a_difficulty_for_each_image_is_refused(difficulty, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        sampler_of(EASY, difficulty)
