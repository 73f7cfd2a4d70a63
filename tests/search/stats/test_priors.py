"""Priors of the noise: what is refused, and the guess where a benchmark states none."""

import math

import pytest

from search.stats.priors import NOISE_SD, NoisePrior, guessed_noise


@pytest.mark.parametrize("numbers", ((0.0, 2.0), (1.0, 0.0), (math.nan, 2.0)))
def test_a_prior_of_no_noise_or_no_weight_is_refused(numbers: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="both numbers must be above 0"):
        NoisePrior(*numbers)


def test_few_images_of_a_class_make_a_metric_that_counts_it_noisier() -> None:
    assert guessed_noise("balanced_accuracy", [20, 20]) == pytest.approx(NOISE_SD)
    balanced, worst = (guessed_noise(m, [60, 4]) for m in ("balanced_accuracy", "worst_class"))
    # A share of 15 images is as uncertain as the mean of shares of 60 and of 4.
    assert balanced == pytest.approx(NOISE_SD * (64 / 15) ** 0.5)
    assert worst == pytest.approx(1.5 * NOISE_SD * 4)


def test_the_worst_of_ten_classes_is_as_noisy_as_recorded() -> None:
    """4.3 and 4.8 times accuracy on the recorded digits, with 60 test images of each class."""
    assert 4.3 < guessed_noise("worst_class", [60] * 10) / NOISE_SD < 4.8
