"""Arms adjusted after training: the strength is chosen on half A and stated on half B."""

import pytest

from search.results.adjusted import Adjusted, adjusted
from search.stats.estimate import Estimate
from spaces import POSTHOC, PostHoc
from trainer.results import EpochResult

NOTHING, QUARTER = POSTHOC[:2]


def epoch(**halves: tuple[float, float]) -> EpochResult:
    """Return an epoch with these scores on halves A and B, 50 after all other adjustments."""
    known = {NOTHING: halves["plain"], QUARTER: halves["quarter"]}
    profile = tuple((*known.get(one, (50.0, 50.0)), 50.0) for one in POSTHOC)
    return EpochResult(1, 1.0, 1.0, 0.1, 1.0, 50.0, 50.0, ((1,), (1,)), None, profile)


RUNS = (
    [epoch(plain=(60, 99), quarter=(70, 66)), epoch(plain=(62, 61), quarter=(69, 98))],
    [epoch(plain=(61, 63), quarter=(71, 70)), epoch(plain=(60, 99), quarter=(60, 99))],
)


def test_the_strength_and_the_epochs_are_chosen_on_half_a_and_half_b_states_them() -> None:
    found = adjusted(RUNS, NOTHING)
    assert found is not None
    assert (found.posthoc, found.runs) == (QUARTER, 2)
    assert (found.half_a, found.half_b, found.unadjusted) == (70.5, 68, 62)
    assert isinstance(found.gain, Estimate)
    assert found.gain.mean == 6
    assert found.gain.low < 0 < found.gain.high


def test_an_arm_that_is_the_best_as_it_was_scored_stays_so() -> None:
    assert adjusted(RUNS[:1], QUARTER) == Adjusted(QUARTER, 1, 70, 66, 66, None)
    alike = [epoch(plain=(60, 55), quarter=(60, 57))]
    for own in (NOTHING, QUARTER):
        found = adjusted([alike], own)
        assert found is not None
        assert found.posthoc == own


@pytest.mark.parametrize("missing", (0, 1))
def test_a_record_from_before_profiles_says_nothing(missing: int) -> None:
    old = EpochResult(1, 1.0, 1.0, 0.1, 1.0, 50.0, 50.0, ((1,), (1,)))
    runs = [list(run) for run in RUNS]
    runs[missing].append(old)
    assert adjusted(runs, PostHoc()) is None
