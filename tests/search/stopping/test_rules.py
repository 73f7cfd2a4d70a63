"""Rules of early stopping: which trials they end, and Ray Tune's beside them."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from search.stopping.rules import (
    FULL_LENGTH_TRIALS,
    STOPPING_RULES,
    Asha,
    EarlyStopping,
    GatedAsha,
    NeverStop,
    quantile,
    rank_correlation,
)

Event = tuple[str, int, float]


def random_events(seed: int, trials: int, epochs: int, rule: EarlyStopping) -> list[Event]:
    """Return interleaved observations of many trials, of which the rule ends some."""
    random = np.random.default_rng(seed)
    epoch = {f"trial-{number}": 0 for number in range(trials)}
    events = []
    while epoch:
        key = str(random.choice(sorted(epoch)))
        epoch[key] += 1
        event = (key, epoch[key], float(random.integers(0, 30)))  # coarse, so that ties occur
        events.append(event)
        if rule.observe(*event) or epoch[key] == epochs:
            del epoch[key]
    return events


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize(("grace", "factor", "epochs"), ((1, 2, 16), (3, 2, 20), (2, 3, 50)))
def test_asha_decides_as_the_scheduler_of_ray_tune_does(
    seed: int, grace: int, factor: int, epochs: int
) -> None:
    theirs = AsyncHyperBandScheduler(
        time_attr="epoch",
        metric="value",
        mode="max",
        grace_period=grace,
        max_t=epochs,
        reduction_factor=factor,
        brackets=1,
        stop_last_trials=False,
    )
    trials = {f"trial-{number}": SimpleNamespace(trial_id=str(number)) for number in range(30)}
    for trial in trials.values():
        theirs.on_trial_add(None, trial)
    ours, stops = Asha(grace, factor, epochs), 0
    for key, epoch, value in random_events(seed, 30, epochs, Asha(grace, factor, epochs)):
        if epoch == epochs:
            continue  # both let the trial end there
        result = {"epoch": epoch, "value": value}
        decision = theirs.on_trial_result(None, trials[key], result)
        assert ours.observe(key, epoch, value) == (decision == TrialScheduler.STOP)
        stops += decision == TrialScheduler.STOP
    assert stops > 5


@pytest.mark.parametrize(
    ("grace", "factor", "epochs", "rungs"),
    (
        (50, 2, 200, (50, 100)),
        (1, 3, 28, (1, 3, 9, 27)),
        (1, 3, 27, (1, 3, 9)),
        (10, 2, 10, ()),
        (11, 2, 10, ()),
    ),
)
def test_asha_rungs_lie_below_the_full_length(
    grace: int, factor: int, epochs: int, rungs: tuple[int, ...]
) -> None:
    assert Asha(grace, factor, epochs).rungs == rungs


def test_asha_stops_below_the_quantile_of_those_before_and_not_at_it() -> None:
    rule = Asha(1, 2, 8)
    assert not rule.observe("a", 1, 10.0)
    assert not rule.observe("b", 1, 30.0)
    assert not rule.observe("c", 1, 20.0)  # the median of 10 and 30
    assert rule.observe("d", 1, 19.9)


def test_never_stop_has_no_rungs() -> None:
    assert NeverStop().rungs == ()


@pytest.mark.parametrize("fraction", (0.5, 2 / 3, 0.75, 0.9))
def test_the_quantile_is_numpys(fraction: float) -> None:
    random = np.random.default_rng(0)
    for length in (1, 2, 3, 10, 101):
        values = sorted(random.uniform(0, 100, length).tolist())
        assert quantile(values, fraction) == pytest.approx(np.quantile(values, fraction), rel=1e-12)


def full_length(rule: EarlyStopping, finals: Sequence[float], first: int = 0) -> None:
    """Let full-length trials pass rung 1 with the values 0, 1, 2, ... and end with ``finals``."""
    for number, final in enumerate(finals, first):
        rule.observe(f"proposals-{number:05d}", 1, float(number))
        rule.complete(f"proposals-{number:05d}", float(final))


def test_a_rung_earns_its_right_with_twelve_full_length_trials() -> None:
    rule = GatedAsha(1, 2, 4)
    full_length(rule, range(FULL_LENGTH_TRIALS - 1))
    assert not rule.may_stop(1)
    assert not rule.observe("proposals-00100", 1, -1.0)
    rule.observe("proposals-00050", 1, 50.0)
    assert not rule.observe("proposals-00101", 1, -1.0)  # it has passed, but its end is unknown
    rule.complete("proposals-00050", 50.0)
    assert rule.may_stop(1)
    assert rule.observe("proposals-00102", 1, -1.0)
    assert not rule.observe("proposals-00103", 1, 60.0)
    assert not rule.may_stop(2)  # nobody was seen there
    assert not rule.may_stop(3)  # no rung


@pytest.mark.parametrize(
    "finals",
    (range(20, 0, -1), [7.0] * 20, [3, 17, 8, 1, 12, 6, 19, 2, 15, 5, 11, 9, 18, 4, 13]),
    ids=("reversed", "constant", "unrelated"),
)
def test_a_rung_that_does_not_foretell_the_end_stops_nothing(finals: Sequence[float]) -> None:
    rule = GatedAsha(1, 2, 4)
    full_length(rule, finals)
    assert not rule.observe("proposals-00100", 1, -1.0)


def test_a_rung_can_lose_its_right() -> None:
    rule = GatedAsha(1, 2, 4)
    full_length(rule, range(12))
    assert rule.observe("proposals-00100", 1, -1.0)
    full_length(rule, range(0, -40, -1), first=200)
    assert not rule.observe("proposals-00101", 1, -2.0)


def test_an_end_that_is_told_again_changes_nothing() -> None:
    rule = GatedAsha(1, 2, 4)
    full_length(rule, range(12))
    full_length(rule, range(12, 0, -1))
    assert rule.observe("proposals-00100", 1, -1.0)


@pytest.mark.parametrize("seed", range(5))
def test_auto_rebuilt_in_any_order_decides_alike(seed: int) -> None:
    random = np.random.default_rng(seed)
    lived, rebuilt = GatedAsha(1, 2, 4), GatedAsha(1, 2, 4)
    told = []
    for number in range(40):
        value = float(random.normal())
        told.append(("observe", (f"proposals-{number:05d}", 1, value)))
        if random.random() < 0.5:
            final = (f"proposals-{number:05d}", value + float(random.normal()))
            told.append(("complete", final))
    for name, arguments in told:
        getattr(lived, name)(*arguments)
    for index in (*random.permutation(len(told)), *random.integers(len(told), size=9)):
        getattr(rebuilt, told[index][0])(*told[index][1])
        rebuilt.may_stop(1)  # whoever asks in between changes nothing
    values = random.normal(size=20)
    decided = [lived.observe(f"proposals-{n:05d}", 1, v) for n, v in enumerate(values, 100)]
    again = [rebuilt.observe(f"proposals-{n:05d}", 1, v) for n, v in enumerate(values, 100)]
    assert decided == again


def test_a_tenth_of_the_proposals_of_auto_is_immune() -> None:
    rule = STOPPING_RULES["auto"](1, 2, 4)
    immune = [number for number in range(100) if rule.is_immune(number)]
    assert immune == list(range(9, 100, 10))


@pytest.mark.parametrize("name", sorted(set(STOPPING_RULES) - {"auto"}))
def test_no_other_rule_has_immune_trials(name: str) -> None:
    assert not any(STOPPING_RULES[name](1, 2, 4).is_immune(n) for n in range(20))


def test_correlations_are_computed_only_after_new_full_length_trials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def counted(a: Sequence[float], b: Sequence[float]) -> float | None:
        calls.append(len(a))
        return rank_correlation(a, b)

    monkeypatch.setattr("search.stopping.rules.rank_correlation", counted)
    rule = GatedAsha(1, 2, 4)
    full_length(rule, range(12))
    for number in range(100, 20_000):
        rule.observe(f"proposals-{number:05d}", 1, float(-number))
    assert calls == [12]


def test_the_rank_correlation_is_none_where_there_is_none() -> None:
    assert rank_correlation([1.0, 2.0, 3.0], [1.0, 4.0, 9.0]) == pytest.approx(1.0)
    assert rank_correlation([1.0, 1.0, 1.0], [1.0, 4.0, 9.0]) is None
    assert rank_correlation([1.0], [2.0]) is None
    assert rank_correlation([], []) is None
