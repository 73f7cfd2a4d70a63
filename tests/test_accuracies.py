"""What the runs of an arm reached: chosen on one half, reported on the other, class by class."""

import json

import numpy as np
import numpy.typing as npt
import pytest

from search.accuracies import accuracies, gains, half_split

HALVES = np.array([[50, 50], [50, 50]])


def curve(half_a: list[int], half_b: list[int]) -> npt.NDArray[np.int64]:
    """Correct images (epochs, 2, 2) with all changes in class 0."""
    return np.array([[[a, 25], [b, 25]] for a, b in zip(half_a, half_b, strict=True)])


def test_the_epoch_is_chosen_on_half_a_and_reported_on_half_b() -> None:
    found = accuracies({0: curve([10, 30, 20], [40, 15, 35])}, HALVES)
    assert found.half_a == pytest.approx(55.0)
    assert found.half_b == pytest.approx(40.0)
    assert found.best == pytest.approx(100 * (20 + 35 + 50) / 200)
    assert found.last == found.best


def test_of_two_equal_epochs_the_earlier_is_chosen() -> None:
    assert accuracies({0: curve([30, 30], [10, 20])}, HALVES).half_b == pytest.approx(35.0)


def test_the_last_ten_epochs_are_averaged_and_runs_too() -> None:
    climbing = curve([0] * 5 + list(range(10)), [0] * 15)
    flat = curve([10] * 15, [10] * 15)
    found = accuracies({0: climbing, 3: flat}, HALVES)
    assert found.runs == 2
    assert found.last_ten == pytest.approx(((4.5 + 50) / 2 + (20 + 50) / 2) / 2)
    assert found.last == pytest.approx(((9 + 50) / 2 + (20 + 50) / 2) / 2)


def test_the_published_seeds_stand_beside_the_published_numbers() -> None:
    runs = {s: curve([10, x], [10, x]) for s, x in enumerate((30, 36, 42, 50))}
    found = accuracies(runs, HALVES)
    assert found.seed_42 == pytest.approx(55.0)
    assert found.published_mean == pytest.approx((55.0 + 61.0 + 67.0) / 3)


def test_what_a_missing_published_seed_would_say_is_left_out() -> None:
    first, other = curve([30], [30]), curve([40], [40])
    assert accuracies({0: first, 1: other, 3: other}, HALVES).published_mean is None
    assert accuracies({0: first, 1: other, 3: other}, HALVES).seed_42 == pytest.approx(55.0)
    assert accuracies({1: other, 2: other}, HALVES).seed_42 is None


def test_the_arm_is_chosen_on_half_a_and_the_official_one_on_all_images() -> None:
    arms = {"a": {0: curve([40], [5])}, "b": {0: curve([30], [40])}}
    found = half_split(arms, HALVES)
    assert (found.arm, found.official_arm) == ("a", "b")
    assert found.accuracies.half_b == pytest.approx(30.0)
    assert found.official == pytest.approx(60.0)


def test_gains_are_taken_within_common_seeds() -> None:
    winner = {0: curve([30], [30]), 1: curve([20], [20]), 9: curve([50], [50])}
    uniform = {0: curve([20], [20]), 1: curve([10], [10])}
    found = gains(winner, uniform, HALVES, counts=[500, 50])
    assert found.seeds == 2
    assert found.classes == pytest.approx((20.0, 0.0))
    assert found.shots["many"].mean == pytest.approx(20.0)
    assert found.shots["many"].high == pytest.approx(20.0)
    assert found.shots["medium"].mean == 0.0
    assert "few" not in found.shots


def test_the_interval_of_a_gain_is_that_of_a_paired_t_test() -> None:
    winner = {s: curve([x], [x]) for s, x in enumerate((30, 32, 37))}
    uniform = {s: curve([20], [20]) for s in range(3)}
    # Differences of 20, 24 and 34 points; t of .975 with 2 degrees of freedom is 4.3027.
    half = 4.302653 * np.std([20, 24, 34], ddof=1) / 3**0.5
    found = gains(winner, uniform, HALVES, counts=[500, 50]).shots["many"]
    assert found.high - found.mean == pytest.approx(half, rel=1e-5)


def test_one_common_seed_is_too_few_for_gains() -> None:
    with pytest.raises(ValueError, match="got 1 common"):
        gains({0: curve([1], [1])}, {0: curve([1], [1])}, HALVES, counts=[500, 50])


def test_what_the_runs_reached_is_jsonable() -> None:
    arms = {"a": {s: curve([40], [5]) for s in range(2)}}
    split = half_split(arms, HALVES).to_dict()
    gained = gains(arms["a"], arms["a"], HALVES, counts=[500, 50]).to_dict()
    assert json.loads(json.dumps([split, gained])) == [split, gained]


def test_curves_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got shape \(3, 2\)"):
        accuracies({0: np.zeros((3, 2), dtype=np.int64)}, HALVES)
    with pytest.raises(ValueError, match="got no run"):
        accuracies({}, HALVES)
    with pytest.raises(ValueError, match="arms: got none"):
        half_split({}, HALVES)
