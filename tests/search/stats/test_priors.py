"""Priors of the noise: what is refused, and the guess where a benchmark states none."""

import math

import pytest

from search.stats.priors import IMAGES, NOISE_SD, NoisePrior, guessed_noise
from trainer.benchmarks.metrics import METRICS


@pytest.mark.parametrize("numbers", ((0.0, 2.0), (1.0, 0.0), (math.nan, 2.0)))
def test_a_prior_of_no_noise_or_no_weight_is_refused(numbers: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="both numbers must be above 0"):
        NoisePrior(*numbers)


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
