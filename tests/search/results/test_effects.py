"""Effects of parameters: known ones are found with their direction, and luck is not."""

import numpy as np
import pytest

from search.results.effects import FEWEST_TRIALS, effects
from spaces import ParameterValue

TRIALS = 60


def drawn(seed: int) -> tuple[list[dict[str, ParameterValue]], np.ndarray]:
    random = np.random.default_rng(seed)
    params: list[dict[str, ParameterValue]] = []
    for _ in range(TRIALS):
        trial: dict[str, ParameterValue] = {"exponent": float(random.uniform(0, 1))}
        trial["bend"] = str(random.choice(["none", "split"]))
        if trial["bend"] == "split":
            trial["head_ratio"] = float(random.uniform(0, 1))
        params.append(trial)
    return params, random.normal(size=TRIALS)


def test_a_parameter_that_acts_is_found_with_its_direction() -> None:
    params, noise = drawn(1)
    scores = [90 + 6 * float(trial["exponent"]) + e for trial, e in zip(params, noise, strict=True)]
    first, *others = effects(params, scores)
    assert first.name == "exponent"
    assert first.is_known
    assert not any(effect.is_known for effect in others)
    means = [level.score.mean for level in first.levels]
    assert means == sorted(means)
    assert sum(level.trials for level in first.levels) == TRIALS


def test_what_luck_explains_is_rarely_told_as_an_effect() -> None:
    told = [e.is_known for seed in range(12) for e in effects(*drawn(seed))]
    assert sum(told) <= 0.2 * len(told)


def test_intervals_hold_the_true_mean_of_a_word() -> None:
    covered = []
    for seed in range(50):
        params, noise = drawn(seed)
        split = np.array([trial["bend"] == "split" for trial in params])
        scores = (92 - 2 * split + noise).tolist()
        bend = next(e for e in effects(params, scores) if e.name == "bend")
        level = next(level for level in bend.levels if level.name == "split")
        covered.append(level.score.low < 90 < level.score.high)
    assert 0.88 <= np.mean(covered) <= 1


def test_a_parameter_that_does_not_act_in_a_trial_has_a_level_of_its_own() -> None:
    params, noise = drawn(3)
    head = next(e for e in effects(params, noise.tolist()) if e.name == "head_ratio")
    assert head.levels[-1].name == "not in use"
    assert head.levels[-1].trials == sum("head_ratio" not in trial for trial in params)


@pytest.mark.parametrize("scores", ([90.0] * TRIALS, [float(i) for i in range(FEWEST_TRIALS - 1)]))
def test_equal_scores_and_few_trials_have_no_effects(scores: list[float]) -> None:
    assert effects(drawn(1)[0][: len(scores)], scores) == []


def test_a_number_that_never_varies_and_one_of_two_values_are_borne() -> None:
    params: list[dict[str, ParameterValue]] = [
        {"constant": 1.0, "two": float(i % 2)} for i in range(TRIALS)
    ]
    scores = [float(i % 2) + 0.01 * i for i in range(TRIALS)]
    assert [effect.name for effect in effects(params, scores)] == ["two"]
