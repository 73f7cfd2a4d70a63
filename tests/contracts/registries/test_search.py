"""Every sampler and stopping rule keeps its contract."""

import itertools
import json

import numpy as np
import optuna
import pytest
from registered import COUNTS, check_strategy

from search.samplers import candidates
from search.samplers.candidates import cover
from search.samplers.registry import (
    OPTUNA_SAMPLERS,
    SAMPLERS,
    STARTUP_TRIALS,
    draw,
    make_sampler,
)
from search.samplers.sequential_design import Asked, SequentialDesign, start_points
from search.samplers.shares_model import ModelPrior, SharesModel
from search.stopping.rules import STOPPING_RULES
from spaces import (
    NAMED,
    SPACES,
    ParameterValue,
    Space,
    Strategy,
)
from trainer.trial import SCALE_FREE_LOSS


def proposed(
    sampler: str, space: Space, attempt: int, trials: int = STARTUP_TRIALS + 7
) -> list[dict[str, ParameterValue]]:
    """Return what a sampler proposes where a third of the trials are stopped early."""
    study = optuna.create_study(direction="maximize", sampler=make_sampler(sampler, 7, attempt))
    found = []
    for number in range(trials):
        trial = study.ask()
        domains = space.searched(SCALE_FREE_LOSS)
        found.append(draw(trial, space, domains, OPTUNA_SAMPLERS[sampler].conditional))
        value = float(np.random.default_rng(number).uniform(20, 80))
        trial.report(value, 5)
        if number % 3 == 1:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, value)
    return found


@pytest.mark.parametrize("name", OPTUNA_SAMPLERS)
def test_proposals_lie_in_the_space_and_follow_from_seed_and_attempt(name: str) -> None:
    space = SPACES["core"]
    found = proposed(name, space, attempt=3)
    assert proposed(name, space, attempt=3) == found
    other = proposed(name, space, attempt=4, trials=3)
    assert (other != found[:3]) == OPTUNA_SAMPLERS[name].fresh_seed
    for params in found:
        check_strategy(space.strategy(params), COUNTS["ties"])  # refuses what no domain holds
    assert len({json.dumps(params) for params in found}) == len(found)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_says_how_it_proposes_and_is_made_without_a_warning(name: str) -> None:
    assert SAMPLERS[name].summary
    if name in OPTUNA_SAMPLERS:
        assert isinstance(make_sampler(name, 7, 1), optuna.samplers.BaseSampler)


@pytest.mark.parametrize("space", [s.name for s in SPACES.values() if s.class_weights_alone])
@pytest.mark.parametrize("counts", ("ties", "two-classes", "one-class"))
def test_a_design_asks_for_points_of_the_space_and_repeats_none_with_its_seed(
    monkeypatch: pytest.MonkeyPatch, space: str, counts: str
) -> None:
    monkeypatch.setattr(candidates, "POINTS", 256)
    named = [NAMED["uniform"].weighting]
    found = cover(SPACES[space], [COUNTS[counts]], named, most=30)
    design = SequentialDesign(SharesModel(found, ModelPrior()), start_points(found))
    trials: list[Asked] = []
    for number in range(24):
        (asked,) = design.ask(trials, 1)
        trials.append(Asked(asked.candidate, asked.seed, float(50 + number % 5)))
    assert len({(trial.candidate, trial.seed) for trial in trials}) == 24
    for trial in trials:
        params = found.params[trial.candidate]
        strategy = Strategy.of(found.weightings[trial.candidate])
        assert params is None or SPACES[space].strategy(params) == strategy
        check_strategy(strategy, COUNTS[counts])


Event = tuple[str, int, float]


def observations(seed: int) -> list[Event]:
    """Return what 30 trials reach at 16 epochs, in any order, with ties."""
    random = np.random.default_rng(seed)
    pairs = random.permutation(list(itertools.product(range(30), range(1, 17))))
    return [(f"trial-{n}", int(epoch), float(random.integers(30))) for n, epoch in pairs]


@pytest.mark.parametrize("name", STOPPING_RULES)
def test_the_first_trial_and_epochs_off_the_rungs_never_stop(name: str) -> None:
    rule = STOPPING_RULES[name](2, 2, 20)
    assert not any(rule.observe("first", epoch, 0.0) for epoch in range(1, 21))
    for number in range(20):
        rule.observe(f"trial-{number}", 2, 50.0)
    off = [epoch for epoch in range(1, 21) if epoch not in rule.rungs]
    assert not any(rule.observe("last", epoch, 0.0) for epoch in off)
    assert list(rule.rungs) == sorted({rung for rung in rule.rungs if 2 <= rung < 20})


@pytest.mark.parametrize("name", STOPPING_RULES)
def test_a_repeated_observation_changes_nothing(name: str) -> None:
    once, twice = STOPPING_RULES[name](1, 2, 16), STOPPING_RULES[name](1, 2, 16)
    for key, epoch, value in observations(0):
        assert once.observe(key, epoch, value) == twice.observe(key, epoch, value)
        assert not twice.observe(key, epoch, value)
        assert not twice.observe(key, epoch, value - 50.0)


@pytest.mark.parametrize("name", STOPPING_RULES)
def test_rungs_rebuilt_in_any_order_decide_alike(name: str) -> None:
    events = observations(1)
    lived, rebuilt = STOPPING_RULES[name](1, 2, 16), STOPPING_RULES[name](1, 2, 16)
    for event in events[:200]:
        lived.observe(*event)
    for event in sorted(events[:200]):
        rebuilt.observe(*event)
    for event in events[200:]:
        assert rebuilt.observe(*event) == lived.observe(*event)
