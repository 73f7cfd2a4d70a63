"""What the runs of an arm reached: chosen on one half, reported on the other, class by class."""

import json

import numpy as np
import pytest

from search.stats.accuracies import accuracies, gains, half_split
from search.stats.scoring import Curve, Scoring

HALVES = Scoring("accuracy", ((50, 50), (50, 50)))
UNEQUAL = ((30, 2), (30, 2))


def curve(half_a: list[int], half_b: list[int]) -> Curve:
    """Correct images (epochs, 2, 2) with all changes in class 0."""
    return Curve(np.array([[[a, 25], [b, 25]] for a, b in zip(half_a, half_b, strict=True)]))


def epochs_of(*epochs: list[list[int]]) -> Curve:
    """Epochs of the correct images [half][class] of ``UNEQUAL``."""
    correct = np.array(epochs)
    wrong = np.array(UNEQUAL) - correct
    return Curve(correct, correct + wrong[..., ::-1])


IGNORING = epochs_of([[30, 0], [30, 0]])
"""Every image is called class 0."""
FAIR = epochs_of([[24, 2], [18, 1]])


@pytest.mark.parametrize(
    ("metric", "ignoring", "fair"),
    (
        ("accuracy", 100 * 60 / 64, 100 * 45 / 64),
        ("balanced_accuracy", 50.0, 100 * (42 / 60 + 3 / 4) / 2),
        ("macro_f1", 50 * 120 / 124, 50 * (84 / (60 + 43) + 6 / (4 + 21))),
        ("worst_class", 0.0, 70.0),
    ),
)
def test_arms_are_measured_by_the_metric(metric: str, ignoring: float, fair: float) -> None:
    scoring = Scoring(metric, UNEQUAL)
    found = [accuracies({0: arm}, scoring) for arm in (IGNORING, FAIR)]
    assert [arm.best for arm in found] == pytest.approx([ignoring, fair])
    assert [arm.metrics[metric] for arm in found] == [arm.best for arm in found]
    chosen = half_split({"ignoring": {0: IGNORING}, "fair": {0: FAIR}}, scoring).arm
    assert chosen == ("ignoring" if metric == "accuracy" else "fair")


def test_a_test_set_that_is_held_out_says_what_validation_chose() -> None:
    scoring = Scoring("balanced_accuracy", UNEQUAL, test_held_out=True)
    run = epochs_of([[30, 1], [30, 2]], [[15, 2], [6, 1]], [[30, 1], [30, 2]])
    better_there = epochs_of([[24, 2], [18, 1]])
    found = accuracies({0: run}, scoring)
    assert found.best == found.half_a == found.last == 75.0, "the first of equals on validation"
    assert found.half_b == found.metrics["balanced_accuracy"] == 100.0
    assert found.classes == (100.0, 100.0)
    gained = gains({0: better_there, 1: better_there}, {0: run, 1: run}, scoring, [500, 50])
    assert gained.classes == pytest.approx((60 - 100, 50 - 100))


def test_a_metric_that_is_not_known_of_every_run_is_none() -> None:
    runs = {0: FAIR, 1: Curve(FAIR.correct)}
    found = accuracies(runs, Scoring("accuracy", UNEQUAL)).metrics
    assert found["macro_f1"] is None
    assert found["worst_class"] == 70.0
    with pytest.raises(ValueError, match="got no predicted counts, which macro_f1 needs"):
        accuracies(runs, Scoring("macro_f1", UNEQUAL))


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
    text = json.dumps([split, gained])
    assert json.dumps(json.loads(text)) == text


def test_curves_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got shape \(3, 2\)"):
        accuracies({0: Curve(np.zeros((3, 2), dtype=np.int64))}, HALVES)
    with pytest.raises(ValueError, match="got no run"):
        accuracies({}, HALVES)
    with pytest.raises(ValueError, match="arms: got none"):
        half_split({}, HALVES)
    in_one_piece = {"a": {0: Curve(np.array([[[1, 25], [0, 0]]]))}}
    with pytest.raises(ValueError, match="do not come in halves"):
        half_split(in_one_piece, Scoring("accuracy", ((50, 50), (0, 0))))
    alone = {seed: Curve(None, reported=np.array([50.0])) for seed in range(2)}
    with pytest.raises(ValueError, match="got no numbers of images by class"):
        gains(alone, alone, Scoring("accuracy", None), counts=[500, 50])
