"""A ramp rises where it says, and a schedule that means nothing is refused."""

import json
import math
from typing import Any

import pytest

from spaces import Ramp, Sampling, Schedule, Weighting, WeightingError

STEP = Ramp(begin=0.8, end=0.8)
INVERSE = Weighting(exponent=1)


def test_the_default_is_in_full_force_in_every_epoch() -> None:
    assert [Ramp().at(epoch, 3) for epoch in (1, 2, 3)] == [1, 1, 1]
    assert Ramp().at(1, 1) == 1
    assert Ramp().first_constant_epoch(200) == 1


def test_a_step_at_80_percent_of_200_epochs_first_acts_where_deferred_reweighting_does() -> None:
    taus = [STEP.at(epoch, 200) for epoch in range(1, 201)]
    assert taus == [min(epoch // 160, 1) for epoch in range(200)]
    assert STEP.first_constant_epoch(200) == 161


def test_a_training_of_one_epoch_stays_at_the_start() -> None:
    assert STEP.at(1, 1) == 0
    assert STEP.first_constant_epoch(1) == 1


@pytest.mark.parametrize("power", (0.3, 1.0, 3.0))
def test_a_ramp_rises_with_its_power_between_begin_and_end(power: float) -> None:
    ramp = Ramp(0.25, 0.75, power, 0.1, 0.9)
    assert [ramp.tau(x) for x in (0, 0.25, 0.75, 1)] == [0.1, 0.1, 0.9, 0.9]
    assert ramp.tau(0.5) == pytest.approx(0.1 + 0.8 * 0.5**power)
    assert ramp.at(3, 5) == ramp.tau(0.5)
    assert [ramp.first_constant_epoch(epochs) for epochs in (1, 2, 5, 9)] == [1, 2, 4, 7]


@pytest.mark.parametrize("ramp", (Ramp(), STEP, Ramp(0, 1, 2.5), Ramp(0.1, 0.4, start=1, stop=0.5)))
@pytest.mark.parametrize("kind", (Schedule, Sampling))
def test_a_schedule_survives_a_round_trip_through_json(ramp: Ramp, kind: type[Schedule]) -> None:
    assert Ramp.from_dict(json.loads(json.dumps(ramp.to_dict()))) == ramp
    schedule = kind(INVERSE, ramp, "power" if ramp == Ramp() else "mixture")
    assert kind.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule


def test_the_flat_form_of_a_constant_schedule_is_that_of_its_weighting() -> None:
    assert Schedule(INVERSE).to_dict() == INVERSE.to_dict()
    assert Sampling(INVERSE, draw="cycled").to_dict() == {"exponent": 1.0, "draw": "cycled"}
    assert Schedule().to_dict() == Ramp().to_dict() == {}


@pytest.mark.parametrize(
    ("schedule", "words"),
    (
        (Schedule(), "uniform"),
        (Schedule(INVERSE, STEP), "p=1 from 80 %"),
        (Schedule(INVERSE, Ramp(0.2, 0.6, 2), "mixture"), "p=1 from 20 % to 60 % power 2 mixture"),
        (Sampling(INVERSE, Ramp(0, 1, stop=0.5)), "p=1 from 0 % to 100 % share 0 to 0.5"),
        (Sampling(INVERSE, draw="cycled"), "p=1 cycled"),
    ),
)
def test_a_schedule_describes_itself_in_one_line(schedule: Schedule, words: str) -> None:
    assert schedule.describe() == words


@pytest.mark.parametrize(
    ("fields", "sentence"),
    (
        ({"begin": -0.1}, r"begin: got -0.1; must be a number in \[0, 1\]"),
        ({"begin": math.nan}, "begin: got nan"),
        ({"begin": True}, "begin: got True"),
        ({"end": 1.1}, "end: got 1.1"),
        ({"begin": 0.8}, "end: got 0.0; must be at least begin 0.8; a step has both alike"),
        ({"end": 1, "power": 0}, r"power: got 0; must be a number in \(0, 100\]"),
        ({"power": 2}, "power: got 2.0; must be 1 for a step"),
        ({"end": 1, "start": 2}, "start: got 2"),
        ({"start": 0.5}, "start: got 0.5; must be 0 for a ramp that ends at 0"),
        ({"stop": -1}, "stop: got -1"),
    ),
)
def test_a_ramp_out_of_range_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WeightingError, match=sentence):
        Ramp(**fields)


@pytest.mark.parametrize(
    ("values", "sentence"),
    (
        ({"exponent": 1, "mix": "mixtur"}, "mix: got 'mixtur'; .*did you mean 'mixture'"),
        ({"exponent": 1, "mix": "mixture"}, "mix: got 'mixture'; needs a ramp"),
        ({"ramp": {"end": 1}}, "ramp: got {'end': 1.0}; needs a weighting with an exponent > 0"),
        ({"exponent": 1, "ramp": 3}, "ramp: got 3; must be a mapping"),
        ({"exponent": 1, "ramp": {"begn": 1}}, "ramp.begn: got 1; .*did you mean 'begin'"),
        ({"exponent": 1, "ramp": {"end": 2}}, "ramp.end: got 2; must be a number"),
        ({"draw": "cycled"}, "draw: got 'cycled'; needs a weighting with an exponent > 0"),
        ({"exponent": 1, "draw": 3}, "draw: got 3; must be one of independent, cycled"),
        ({"exponnent": 1}, "exponnent: got 1; is not a field of a sampling .*'exponent'"),
        ({"exponent": -1}, "exponent: got -1"),
        ([], "sampling: got"),
    ),
)
def test_a_schedule_that_means_nothing_is_refused(values: Any, sentence: str) -> None:
    with pytest.raises(WeightingError, match=sentence):
        Sampling.from_dict(values)
