"""The confirmation: a first block for all, then runs where they decide, from the results alone."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from search.stats.best_arm import (
    SEEDS_EACH,
    Confirmation,
    Planned,
    confirmation_seed,
    seeds_for,
    top_two_shares,
)
from search.stats.comparison import SeededRun
from search.stats.estimate import Unit
from search.stats.priors import NOISE_SD, NoisePrior

CANDIDATES = ("a", "b", "c", "d")
CONTROLS = ("uniform", "inverse")
MEANS = {"a": 41.0, "b": 41.0, "c": 41.0, "d": 41.0, "uniform": 40.0, "inverse": 40.0}


class World:
    """Every run that could be made, known beforehand."""

    def __init__(self, means: Mapping[str, float], noise: float = 0.5) -> None:
        random = np.random.default_rng(11)
        self.values = {
            (arm, seed): mean + noise * random.standard_normal()
            for arm, mean in means.items()
            for seed in range(60)
        }

    def run(self, planned: Planned) -> SeededRun:
        return SeededRun(planned.arm, planned.seed, self.values[planned.arm, planned.seed])


def plan(budget: int = 60) -> Confirmation:
    return Confirmation(CANDIDATES, CONTROLS, budget)


def carried_out(confirmation: Confirmation, world: World, slots: int = 3) -> list[SeededRun]:
    runs: list[SeededRun] = []
    while planned := confirmation.next_runs(runs, [], slots):
        runs += [world.run(p) for p in planned]
    return runs


def test_every_arm_first_gets_the_same_seeds() -> None:
    first = plan().next_runs([], [], slots=18)
    assert Counter(first) == Counter(Planned(a, s) for a in plan().arms for s in range(3))


def test_the_first_block_goes_seed_by_seed() -> None:
    assert [p.seed for p in plan().next_runs([], [], slots=12)] == [0] * 6 + [1] * 6


def test_a_clear_winner_is_decided_after_the_first_block() -> None:
    runs = carried_out(plan(), World(MEANS | {"c": 44.0}))
    decision = plan().decision(runs)
    assert len(runs) == 18
    assert decision.decided
    assert decision.leader == "c"
    assert decision.probability > 0.95
    assert "probability" in decision.reason


def test_equal_arms_go_on_to_the_budget() -> None:
    runs = carried_out(plan(budget=40), World(MEANS))
    assert len(runs) == 40
    decision = plan(budget=40).decision(runs)
    assert decision.decided
    assert "budget of 40 runs" in decision.reason


def test_rivals_get_more_seeds_than_arms_that_lost() -> None:
    world = World(MEANS | {"a": 42.6, "b": 42.5}, noise=0.7)
    seeds = Counter(run.arm for run in carried_out(plan(budget=48), world))
    assert min(seeds["a"], seeds["b"]) > 2 * max(seeds["c"], seeds["d"])


def test_controls_keep_at_least_half_of_the_winners_seeds() -> None:
    runs = carried_out(plan(budget=48), World(MEANS | {"a": 42.6, "b": 42.5}, noise=0.7), slots=1)
    seeds = Counter(run.arm for run in runs)
    winner = plan(budget=48).decision(runs).leader
    assert winner is not None
    assert all(2 * seeds[control] >= seeds[winner] - 1 for control in CONTROLS)


def test_an_arms_seeds_have_no_gaps() -> None:
    runs = carried_out(plan(budget=48), World(MEANS), slots=5)
    for arm in plan().arms:
        seeds = sorted(run.seed for run in runs if run.arm == arm)
        assert seeds == list(range(len(seeds)))


@pytest.mark.parametrize("means", ({"a": 44.0}, {"a": 40.1}), ids=("sure", "unsure"))
def test_an_interval_is_reached_in_turns_whoever_has_won(means: dict[str, float]) -> None:
    block = Confirmation(("a",), CONTROLS, 90, interval=0.4)
    runs = carried_out(block, World(MEANS | means))
    seeds = Counter(run.arm for run in runs)
    assert max(seeds.values()) - min(seeds.values()) <= 1
    assert 9 < len(runs) < 90
    decision = block.decision(runs)
    assert decision.decided
    assert decision.reason.startswith("the lead of a over uniform is known to 0.")
    wide = Confirmation(("a",), CONTROLS, 90, interval=5.0)
    assert len(carried_out(wide, World(MEANS | means))) == 9


def test_seeds_for_an_interval_are_those_of_two_independent_means() -> None:
    assert seeds_for(1.96, 1.0) == SEEDS_EACH
    assert seeds_for(0.5, 0.7) == 16
    assert seeds_for(0.25, 0.7) == 61


def test_pending_runs_are_not_given_again() -> None:
    pending = plan().next_runs([], [], slots=4)
    more = plan().next_runs([], pending, slots=4)
    assert not set(more) & set(pending)
    assert len(more) == 4


def test_a_run_that_was_lost_is_given_again() -> None:
    world = World(MEANS)
    block = plan().next_runs([], [], slots=18)
    lost = block.pop(0)
    assert plan().next_runs([world.run(p) for p in block], [], slots=1) == [lost]


def test_pending_runs_count_towards_the_budget() -> None:
    pending = plan(budget=10).next_runs([], [], slots=8)
    assert len(plan(budget=10).next_runs([], pending, slots=8)) == 2


def test_what_runs_next_depends_on_the_results_alone() -> None:
    world = World(MEANS)
    runs = carried_out(plan(budget=30), world)
    shuffled = [runs[i] for i in np.random.default_rng(0).permutation(len(runs))]
    assert plan().next_runs(runs, [], 4) == plan().next_runs(shuffled, [], 4)


def test_a_resumed_confirmation_ends_like_an_uninterrupted_one() -> None:
    world = World(MEANS | {"a": 41.5})
    whole = carried_out(plan(budget=36), world)
    resumed = whole[:21]
    while planned := plan(budget=36).next_runs(resumed, [], 3):
        resumed += [world.run(p) for p in planned]
    assert resumed == whole


def test_a_diverged_arm_is_out_and_named() -> None:
    world = World(MEANS | {"c": 44.0})
    runs = [world.run(p) for p in plan().next_runs([], [], 18)]
    runs = [SeededRun("c", 1, None) if (r.arm, r.seed) == ("c", 1) else r for r in runs]
    decision = plan().decision(runs)
    assert decision.out == ("c",)
    assert decision.leader != "c"
    more = plan().next_runs(runs, [], 8)
    assert len(more) == 8
    assert all(p.arm != "c" for p in more)


def test_it_ends_when_every_candidate_diverged() -> None:
    runs = [SeededRun(arm, 0, None) for arm in CANDIDATES] + [SeededRun("uniform", 0, 40.0)]
    decision = plan().decision(runs)
    assert (decision.decided, decision.reason) == (True, "every candidate diverged")
    assert plan().next_runs(runs, [], 4) == []


def test_nothing_is_decided_before_every_arm_has_its_first_block() -> None:
    world = World(MEANS | {"c": 60.0})
    runs = [world.run(p) for p in plan().next_runs([], [], 17)]
    assert not plan().is_decided(runs)


def test_a_candidate_without_controls_needs_no_run() -> None:
    assert Confirmation(("a",), (), 10).is_decided([])


def test_top_two_shares_by_hand() -> None:
    p = (np.array([0.6, 0.3, 0.1]) * 2000 + 0.5) / 2001.5
    rival = p[0] * p[1] / (1 - p[0]) + p[2] * p[1] / (1 - p[2])
    shares = top_two_shares(np.array([0.6, 0.3, 0.1]))
    assert shares.sum() == pytest.approx(1)
    assert shares[1] == pytest.approx(0.5 * (p[1] + rival))


def test_a_sure_winner_and_its_closest_rival_share_the_runs() -> None:
    shares = top_two_shares(np.array([1.0, 0.0, 0.0]))
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.01)


@pytest.mark.parametrize("better", ("a", "uniform"))
def test_one_candidate_and_one_control_are_enough(better: str) -> None:
    small = Confirmation(("a",), ("uniform",), budget=30)
    runs = carried_out(small, World({"a": 40.0, "uniform": 40.0, better: 43.0}), slots=2)
    decision = small.decision(runs)
    assert (decision.decided, decision.leader) == (True, better)
    assert len(runs) < 30


def test_a_diverged_control_leaves_the_candidate_alone() -> None:
    small = Confirmation(("a",), ("uniform",), budget=30)
    decision = small.decision([SeededRun("a", 0, 40.0), SeededRun("uniform", 0, None)])
    assert (decision.decided, decision.leader) == (True, "a")
    assert decision.reason == "only one arm is left"


def test_in_another_unit_the_same_runs_are_planned() -> None:
    world, loud = World(MEANS | {"a": 41.5}), World(MEANS | {"a": 41.5})
    loud.values = {key: 8 * value for key, value in world.values.items()}
    scaled = Confirmation(
        CANDIDATES, CONTROLS, 60, prior=NoisePrior(8 * NOISE_SD), unit=Unit.NOISE_SDS
    )
    planned = [(run.arm, run.seed) for run in carried_out(scaled, loud)]
    assert planned == [(run.arm, run.seed) for run in carried_out(plan(), world)]


def test_the_published_seeds_come_first() -> None:
    assert [confirmation_seed(7, index) for index in range(3)] == [42, 123, 456]
    assert confirmation_seed(7, 3) != confirmation_seed(8, 3)


def test_confirmation_seeds_are_fresh() -> None:
    from search.store.trials import BASELINES, PROPOSALS, trial_seed

    fresh = {confirmation_seed(42, index) for index in range(50)}
    used = {trial_seed(42, study, n) for study in (BASELINES, PROPOSALS) for n in range(50)}
    assert len(fresh) == 50
    assert not fresh & used


@pytest.mark.parametrize(
    ("arguments", "message"),
    (
        (((), ("u",), 9), "candidates"),
        ((("u",), ("u",), 9), "'u' twice"),
        ((("a",), ("u",), 0), "budget=0"),
        ((("a",), ("u",), 9, 1), "first_block=1"),
        ((("a",), ("u",), 9, 3, 1.0), "threshold=1.0"),
    ),
)
def test_impossible_plans_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Confirmation(*arguments)


def test_runs_of_a_stranger_are_refused() -> None:
    with pytest.raises(ValueError, match="'stranger'"):
        plan().decision([SeededRun("stranger", 0, 40.0)])
