"""The guess of a metric's noise where a benchmark states none."""

import pytest

from search.stats.noise import IMAGES, guessed_noise
from search.stats.ranking import NOISE_SD
from trainer.metrics import METRICS


def test_every_metric_has_a_guess() -> None:
    assert IMAGES.keys() == METRICS.keys()


@pytest.mark.parametrize("name", METRICS)
def test_a_guess_is_that_of_accuracy_at_least(name: str) -> None:
    assert guessed_noise(name, [20, 20]) >= NOISE_SD
    assert guessed_noise(name, [60, 4]) == guessed_noise(name, [60, 0, 4])
    assert guessed_noise("accuracy", [60, 4]) == NOISE_SD


def test_few_images_of_a_class_make_a_metric_that_counts_it_noisier() -> None:
    assert guessed_noise("balanced_accuracy", [20, 20]) == pytest.approx(NOISE_SD)
    balanced, worst = (guessed_noise(m, [60, 4]) for m in ("balanced_accuracy", "worst_class"))
    # A share of 15 images is as uncertain as the mean of shares of 60 and of 4.
    assert balanced == pytest.approx(NOISE_SD * (64 / 15) ** 0.5)
    assert worst == pytest.approx(1.5 * NOISE_SD * 4)


def test_the_worst_of_ten_classes_is_as_noisy_as_recorded() -> None:
    """4.3 and 4.8 times accuracy on the recorded digits, with 60 test images of each class."""
    assert 4.3 < guessed_noise("worst_class", [60] * 10) / NOISE_SD < 4.8
