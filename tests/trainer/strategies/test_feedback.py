"""Feedback: moving averages of losses, factors of classes, and images that are taken for noise."""

import numpy as np
import pytest

from spaces.parts.feedback import Feedback
from spaces.schedule import Ramp
from trainer.strategies.feedback import LossMemory, averaged, class_means
from trainer.strategies.sampling import ClassImages

LABELS = np.array([0, 1, 0, 2, 0, 1])
CLASSES = ClassImages.of(LABELS, 4)
"""The last class has no images."""
ORDER = np.array([5, 0, 2, 4, 1, 0])
LOSSES = np.array([4.0, 1.0, 2.0, 3.0, 6.0, 2.0], dtype=np.float32)
"""By position in ORDER: image 3 is not shown, image 0 twice."""


def memory_of(feedback: Feedback, epochs: int = 11) -> LossMemory:
    return LossMemory(feedback, epochs, CLASSES)


def test_losses_are_averaged_by_image_and_by_class_and_what_is_not_shown_keeps_its_own() -> None:
    memory = memory_of(Feedback("weights", memory=0.5))
    memory.observe(1, ORDER, LOSSES)
    np.testing.assert_array_equal(memory.by_image, [1.5, 6.0, 2.0, np.nan, 3.0, 4.0])
    np.testing.assert_array_equal(memory.by_class, [2.0, 5.0, np.nan, np.nan])
    memory.observe(2, np.array([3, 3, 3, 3, 0, 0]), np.array([7, 7, 7, 7, 3, 4], dtype=np.float32))
    np.testing.assert_array_equal(memory.by_image, [2.5, 6.0, 2.0, 7.0, 3.0, 4.0])
    np.testing.assert_array_equal(memory.by_class, [2.75, 5.0, 7.0, np.nan])


def test_confusion_before_the_ramp_begins_does_not_count_for_classes() -> None:
    memory = memory_of(Feedback("weights", ramp=Ramp(0.1, 0.3)))
    memory.observe(1, ORDER, LOSSES)
    assert np.isnan(memory.by_class).all()
    assert memory.by_image[0] == 1.5
    memory.observe(2, ORDER, LOSSES)
    assert memory.factors(2) is None, "the share of its ramp is 0 there"
    assert memory.by_class[0] == 2.0


@pytest.mark.parametrize("strength", (0.5, 1.0, 3.0))
def test_harder_classes_have_larger_factors_within_the_limit(strength: float) -> None:
    memory = memory_of(Feedback("weights", strength, limit=1.5))
    assert memory.factors(1) is None
    memory.observe(1, ORDER, LOSSES)
    expected = np.clip((np.array([2.0, 5.0]) / 3.5) ** strength, 1 / 1.5, 1.5)
    factors = memory.factors(2)
    assert factors is not None
    np.testing.assert_allclose(factors[:2], expected, rtol=1e-15)
    assert factors[2:].tolist() == [1.0, 1.0]
    memory.by_class[:2] = 0.0
    assert memory.factors(2) is None


def test_factors_rise_with_the_share_of_the_ramp() -> None:
    whole, half = (memory_of(Feedback("weights", ramp=Ramp(0, 1, stop=stop))) for stop in (1, 0.5))
    found = []
    for memory in (whole, half):
        memory.observe(1, ORDER, LOSSES)
        factors = memory.factors(11)
        assert factors is not None
        found.append(factors)
    np.testing.assert_allclose(found[1], found[0] ** 0.5, rtol=1e-15)


def test_the_images_of_the_highest_losses_are_spared_and_others_of_their_class_shown() -> None:
    memory = memory_of(Feedback(spared=0.34))
    assert memory.spared(1, 1, ORDER) is ORDER
    memory.observe(1, ORDER, LOSSES)
    for epoch in range(2, 9):
        shown = memory.spared(1, epoch, np.arange(6))
        assert np.array_equal(LABELS[shown], LABELS)
        assert set(shown[[0, 2, 4]]) == {0, 2}, "of losses 1.5, 2 and 3 in class 0"
        assert 3 in shown, "the only image of its class"


def test_means_and_averages_are_those_of_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    labels, losses = random.integers(0, 5, 200), random.random(200)
    means = class_means(losses, labels, 7)
    assert means[:5] == pytest.approx([losses[labels == c].mean() for c in range(5)], rel=1e-12)
    assert np.isnan(means[5:]).all()
    value = np.array([np.nan])
    for now in (2.0, np.nan, 4.0):
        value = averaged(value, np.array([now]), 0.75)
    assert value[0] == 0.75 * 2 + 0.25 * 4


def test_a_restored_memory_goes_on_as_the_saved_one() -> None:
    feedback = Feedback("weights")
    saved, restored = memory_of(feedback), memory_of(feedback)
    saved.observe(1, ORDER, LOSSES)
    restored.restore(saved.state())
    for memory in (saved, restored):
        memory.observe(2, ORDER[::-1], LOSSES)
    np.testing.assert_array_equal(saved.by_image, restored.by_image)
    np.testing.assert_array_equal(saved.by_class, restored.by_class)
