"""What the throughput benchmark compares: arms, and ratios of their times."""

import pytest
from training import DIGITS

from benchmarks.throughput.arms import Arm, grid
from benchmarks.throughput.comparison import Comparison, Outcome, Segment, Spread
from benchmarks.throughput.floors import Work
from benchmarks.throughput.views import table


def test_on_a_gpu_every_fast_arm_has_a_reproducible_twin() -> None:
    arms = grid("cuda", ["tf32", "bf16"], [1, 4], [0, 4], compiled=True)
    assert len(set(arms)) == len(arms)
    fast = [arm for arm in arms if not arm.reproducible]
    assert {arm.label for arm in fast} == {
        *("tf32 x4 fast", "bf16 x4 fast", "tf32 x4 compiled fast", "bf16 x4 compiled fast")
    }
    assert all(arm.twin() in arms for arm in fast)


def comparison_of(seconds: dict[Arm, list[float]]) -> Comparison:
    outcomes = [
        Outcome(arm, segments={i: Segment(1.0, s, []) for i, s in enumerate(row)})
        for arm, row in seconds.items()
    ]
    return Comparison(DIGITS, "", Work(1, 1), None, outcomes)


def test_ratios_are_taken_within_rounds_and_to_the_fastest_reference() -> None:
    slow, quick, engine = Arm("fp32", workers=4), Arm("fp32", workers=0), Arm("fp32")
    times = {slow: [80.0, 90.0, 99.0], quick: [20.0, 60.0, 40.0], engine: [10.0, 20.0, 5.0]}
    comparison = comparison_of(times)
    references = comparison.references()
    assert [outcome.arm for outcome in references] == [quick, slow]
    assert comparison.outcomes[2].speedup(references[0]) == Spread(3, 3.0, 2.0, 2.5, 5.5, 8.0)


def test_a_round_that_an_arm_missed_gives_no_ratio() -> None:
    plain, engine = Arm("fp32", workers=0), Arm("fp32")
    comparison = comparison_of({plain: [20.0, 60.0], engine: [10.0]})
    ratio = comparison.outcomes[1].speedup(comparison.outcomes[0])
    assert ratio is not None
    assert (ratio.n, ratio.median) == (1, 2.0)


def test_the_cost_of_reproducibility_is_in_percent_of_the_fast_profile() -> None:
    fast = Arm("bf16", 4, reproducible=False)
    comparison = comparison_of({fast: [10.0, 10.0], fast.twin(): [11.0, 13.0]})
    cost = comparison.costs_of_reproducibility()["bf16 x4 fast"]
    assert (cost.median, cost.low, cost.high) == pytest.approx((20.0, 10.0, 30.0))
    assert "reproducible instead of bf16 x4 fast: +20.0 % time per trial" in table(comparison)
