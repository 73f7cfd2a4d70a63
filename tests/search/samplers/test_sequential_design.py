"""Sequential design: knowledge gradient against simulation, and which trials come next."""

import numpy as np
import pytest

from search.samplers import candidates
from search.samplers.candidates import cover
from search.samplers.knowledge_gradient import knowledge_gradient, picks
from search.samplers.sequential_design import (
    Asked,
    SequentialDesign,
    best_tried,
    results,
    start_points,
)
from search.samplers.shares_model import ModelPrior, Results, SharesModel
from spaces import NAMED, SPACES
from trainer.benchmarks import BENCHMARKS

COUNTS = np.array(BENCHMARKS["resnet8-digitslt"].counts)


@pytest.fixture(scope="module")
def model() -> SharesModel:
    return model_on(COUNTS)


def model_on(counts: np.ndarray, space: str = "core") -> SharesModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "POINTS", 256)
        named = [NAMED[name].weighting for name in ("uniform", "sqrt_inverse")]
        return SharesModel(cover(SPACES[space], [counts], named, 40), ModelPrior(apart=2.0))


def design(model: SharesModel) -> SequentialDesign:
    return SequentialDesign(model, start_points(model.candidates))


def searched(model: SharesModel, trials: int, slots: int = 4) -> list[Asked]:
    """A search whose results are those of the exponent, with noise."""
    plan, known = design(model), []
    while len(known) < trials:
        for asked in plan.ask(known, min(slots, trials - len(known))):
            random = np.random.default_rng([asked.candidate, asked.seed])
            height = 60 - 4 * abs(model.candidates.weightings[asked.candidate].exponent - 0.7)
            known.append(Asked(asked.candidate, asked.seed, height + random.standard_normal() / 2))
    return known


def test_the_knowledge_gradient_is_the_expected_rise_of_the_best() -> None:
    random = np.random.default_rng(0)
    root = random.standard_normal((6, 6))
    covariance, means, noise = root @ root.T, random.standard_normal(5), 0.5
    found = knowledge_gradient(means, covariance, noise)
    truths = random.multivariate_normal([*means, 0], covariance, 200_000)
    for trial in range(5):
        seen = truths[:, trial] + truths[:, -1] + 0.5**0.5 * random.standard_normal(len(truths))
        shared = covariance[:5, trial] + covariance[:5, -1]
        variance = covariance[trial, trial] + 2 * covariance[trial, -1] + covariance[-1, -1] + noise
        after = means + np.outer(seen - means[trial], shared / variance)
        assert found[trial] == pytest.approx(after.max(axis=1).mean() - means.max(), rel=0.05)


def test_picks_of_one_seed_differ_and_leave_out_what_is_taken(model: SharesModel) -> None:
    posterior = model.posterior(results(searched(model, 16)), seed=4)
    first = picks(posterior, 6)
    assert len(set(first)) == 6
    again = picks(posterior, 50, taken=first)
    assert len(set(again)) == len(again) == len(model.candidates) - 6
    assert not set(again) & set(first)


def test_a_trial_is_repeated_where_that_tells_more_than_a_new_one(model: SharesModel) -> None:
    trials = searched(model, 48)
    assert len({trial.candidate for trial in trials}) < 40
    assert len({(trial.candidate, trial.seed) for trial in trials}) == 48
    tops = [model.candidates.weightings[trial.candidate].exponent for trial in trials[-12:]]
    assert np.mean(np.abs(np.array(tops) - 0.7)) < 0.2


def test_the_start_holds_the_named_ones_and_what_follows_is_the_same_after_a_restart(
    model: SharesModel,
) -> None:
    plan, known = design(model), searched(model, 20)
    assert [trial.candidate for trial in known[:2]] == [0, 1]
    assert len({trial.candidate for trial in known[:8]}) == 8
    assert [trial.seed for trial in known[:10]] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert searched(model_on(COUNTS), 20) == known
    assert plan.ask(known[:18], 2) == plan.ask(list(known[:18]), 2)


def test_hundreds_at_a_time_differ_in_candidate_or_seed(model: SharesModel) -> None:
    asked = design(model).ask([], 200)
    assert len({(trial.candidate, trial.seed) for trial in asked}) == 200
    assert len({trial.candidate for trial in asked}) > 20
    more = design(model).ask(asked, 3)
    assert not {(t.candidate, t.seed) for t in more} & {(t.candidate, t.seed) for t in asked}


@pytest.mark.parametrize("counts", ((9,), (50, 50, 50)))
def test_one_weighting_is_repeated_with_new_seeds(counts: tuple[int, ...]) -> None:
    only = model_on(np.array(counts))
    trials = searched(only, 6)
    assert {trial.candidate for trial in trials} == {0}
    assert len({trial.seed for trial in trials}) == 6


def test_the_best_is_one_with_a_result_and_of_equals_the_first(model: SharesModel) -> None:
    trials = [Asked(c, seed, 50.0) for c, seed in ((9, 0), (3, 0), (9, 1), (3, 1))]
    posterior = model.posterior(Results.of([]))
    assert best_tried(posterior, [*trials, Asked(0, 2)]) == 3
    assert best_tried(model.posterior(results([*trials, Asked(7, 2, 70.0)])), trials) in (3, 9)
