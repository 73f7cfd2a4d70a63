"""What a replayed confirmation runs, as a search does: the best, and two controls."""

import numpy as np
import pytest
from replaying import made_table, made_world, smooth

from benchmarks.replay.arms import Method
from benchmarks.replay.choosing import Confirmed, Pool, full_length
from benchmarks.replay.full_length.shares_search import BLOCK_RUNS, SharesSearch
from benchmarks.replay.run import searcher_of
from benchmarks.replay.simulation import Simulation
from benchmarks.replay.world import World
from spaces.counts import FloatArray

SEEDS = (0, 0)


def head_alone(shares: FloatArray) -> FloatArray:
    """True final accuracies that are the highest where frequent classes weigh the most."""
    return np.asarray(50 + 10 * shares[:, 0])


@pytest.fixture(scope="module", params=(smooth, head_alone), ids=("a proposal", "uniform"))
def best(request: pytest.FixtureRequest) -> World:
    """The world in which that is the best."""
    return made_world(made_table(noise=0.7, truth=request.param))


def test_a_confirmation_has_uniform_weights_and_the_best_other_baseline(best: World) -> None:
    simulation = Simulation(searcher_of(Method("random"), best, SEEDS), best, True, SEEDS)
    pool = Pool(full_length(simulation.run(4, 24 * best.epochs)), best)
    fresh = Confirmed(15, 3, 4).fresh_runs(pool, best, SEEDS)
    uniform, *others = (str(pool.controls[name]) for name in ("uniform", *best.controls))
    assert fresh.controls[0] == uniform
    assert fresh.controls[1] in set(others) - {uniform}
    assert set(fresh.controls) <= fresh.arms.keys()
    assert len(fresh.arms) == 5


def test_the_last_runs_are_of_three_arms_with_fresh_seeds_of_which_one_is_named(
    best: World,
) -> None:
    search = SharesSearch(best, "spread", 4, SEEDS)
    search.search(15)
    search.block(BLOCK_RUNS)
    before, block = search.trials[:15], search.trials[15:]
    arms = {trial.candidate for trial in block}
    named = arms & {*search.model.candidates.named}
    assert len(arms) == 3
    assert 0 in named
    assert len(named) > 1
    assert {(t.candidate, t.seed) for t in block} == {(c, t.seed) for c in arms for t in block[:9]}
    assert not {trial.seed for trial in before} & {trial.seed for trial in block}
    assert search.choice().truth == search.truths(24)[-1]
    assert search.choice().truth in {search.candidate(arm).truth for arm in arms}
