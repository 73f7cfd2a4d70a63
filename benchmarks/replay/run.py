"""One repetition of a replay, and the means of many: what each arm comes to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.replay.arms import BLOCK, RAY, SINGLE, Arm, Method
from benchmarks.replay.choosing import (
    Choice,
    Confirmed,
    Interval,
    Pool,
    best_single_run,
    full_length,
    truth_over_time,
)
from benchmarks.replay.full_length.peer_search import PeerSearch
from benchmarks.replay.full_length.peers import PEERS
from benchmarks.replay.full_length.shares_search import BLOCK_RUNS, SharesSearch
from benchmarks.replay.searchers import Pooled, RayTuneSearcher, Searcher, StudySearcher
from benchmarks.replay.simulation import History, Simulation
from benchmarks.replay.world import World
from search.samplers.registry import KNOWLEDGE_GRADIENT
from search.stopping.rules import STOPPING_RULES
from spaces.counts import FloatArray

A_HAIR = 1e-9
RESAMPLES = 2000

Figure = dict[str, float]
"""``mean``, ``low`` and ``high``."""


@dataclass(frozen=True)
class Setting:
    """What all arms share.

    Attributes:
        budget_trials: full-length trials whose epochs each arm may spend.
        workers: trials at a time.
    """

    budget_trials: int
    workers: int
    seed: int


@dataclass(frozen=True)
class Measured:
    """What an arm came to; accuracies in percent, differences in points.

    Attributes:
        true, reported: accuracy of the winner; ``bias`` is by how much the report is too high.
        covered: 1 if the 95 % interval of the stated accuracy holds the true one, else 0; nan
            where no interval is stated.
        lead_bias, lead_covered: the same two of the stated lead over uniform weights; nan where
            none is stated, or they won.
        regret: by how much the winner is truly worse than the best of the space.
        regret_quarter, regret_half: that of the choice after these parts of the budget.
        worse_than_uniform, worse_than_baseline: 1 if it is truly worse than uniform weights, or
            than the truly best baseline; else 0.
        best_stopped: 1 if the truly best of the trials was stopped early; else 0.
        trials: started in the search; ``runs``: of the confirmation.
        epochs: trained in all.
        utilisation: share of the workers' time that was spent training.
        curve: regret of the choice at even parts of the budget, nan before there is one.
        milliseconds: of processor time for a proposal, on average; no result of the arm, but of
            the machine.
    """

    true: float
    reported: float
    bias: float
    covered: float
    lead_bias: float
    lead_covered: float
    regret: float
    regret_quarter: float
    regret_half: float
    worse_than_uniform: float
    worse_than_baseline: float
    best_stopped: float
    trials: float
    runs: float
    epochs: float
    utilisation: float
    curve: tuple[float, ...]
    milliseconds: float = field(compare=False)


def repetition(
    world: World, arms: Sequence[Arm], setting: Setting, number: int
) -> dict[str, Measured]:
    """Run every arm once, with the same noise for all; the result follows from the arguments.

    Arms that search alike share their search.
    """
    seeds = setting.seed, number
    histories: dict[tuple[Method, int], History] = {}
    found = {}
    for arm in arms:
        if arm.method.sampler in (KNOWLEDGE_GRADIENT, *PEERS):
            found[arm.label] = measure_whole(arm, world, setting, seeds)
            continue
        trials = int(arm.pick.search_share * setting.budget_trials)
        key = arm.method, trials
        if key not in histories:
            searcher = searcher_of(arm.method, world, seeds)
            baselines = arm.method.sampler != RAY
            simulation = Simulation(searcher, world, baselines, seeds)
            histories[key] = simulation.run(setting.workers, trials * world.epochs)
        found[arm.label] = measure(arm, histories[key], world, setting, seeds)
    return found


def searcher_of(method: Method, world: World, seeds: tuple[int, int]) -> Searcher:
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    if method.sampler == RAY:
        return RayTuneSearcher(world.space, world.epochs, seed)
    grace = max(1, round(method.grace_share * world.epochs))
    rule = STOPPING_RULES[method.early_stopping](grace, method.factor, world.epochs)
    pooled = Pooled(world.counts, world.noise) if method.pooled else None
    return StudySearcher(method.sampler, rule, world.space, seed, pooled)


def measure(
    arm: Arm, history: History, world: World, setting: Setting, seeds: tuple[int, int]
) -> Measured:
    """Choose as the arm does, and compare the choice with the truth."""
    budget, trials = setting.budget_trials * world.epochs, full_length(history)
    pool = None if arm.pick == SINGLE else Pool(trials, world)
    choice = choose(arm, pool, history, world, setting, seeds)
    truths = truth_over_time(trials, pool, budget)
    if choice.epochs:
        truths[-1] = choice.truth
    best = max(history.trials, key=lambda trial: trial.candidate.truth)
    epochs, time = history.epochs + choice.epochs, history.time + choice.time
    return compared(
        world,
        choice,
        truths,
        best_stopped=float(best.stopped),
        trials=float(len(history.trials)),
        runs=choice.epochs / world.epochs,
        epochs=float(epochs),
        utilisation=epochs / (time * setting.workers),
        milliseconds=1000 * history.asking / max(len(history.trials), 1),
    )


def measure_whole(arm: Arm, world: World, setting: Setting, seeds: tuple[int, int]) -> Measured:
    """Search with full-length trials, choose as the arm does, and compare with the truth."""
    budget, workers = setting.budget_trials, setting.workers
    block = BLOCK_RUNS if arm.pick == BLOCK else 0
    search: SharesSearch | PeerSearch
    if arm.method.sampler in PEERS:
        search = PEERS[arm.method.sampler].search(world, budget, workers, seeds)
        search.search()
        truths = search.truths()
    else:
        search = SharesSearch(world, arm.method.start, workers, seeds)
        search.search(budget - block)
        search.block(block)
        truths = search.truths(budget)
    milliseconds = 1000 * search.asking / (budget - block)
    rounds = math.ceil((budget - block) / workers) + math.ceil(block / workers)
    return compared(
        world,
        search.choice(),
        truths,
        best_stopped=0.0,
        trials=float(budget - block),
        runs=float(block),
        epochs=float(budget * world.epochs),
        utilisation=budget / (rounds * workers),
        milliseconds=milliseconds,
    )


def compared(world: World, choice: Choice, truths: list[float], **facts: float) -> Measured:
    """Compare a choice, and those at even parts of the budget, with the truth."""
    uniform = world.controls["uniform"].truth
    baseline = max(candidate.truth for candidate in world.controls.values())
    curve = tuple(math.nan if math.isnan(t) else world.best - t for t in truths)
    lead, true_lead = choice.lead, choice.truth - uniform
    return Measured(
        true=choice.truth,
        reported=choice.reported,
        bias=choice.reported - choice.truth,
        covered=_holds(choice.interval, choice.truth),
        lead_bias=lead.value - true_lead if lead else math.nan,
        lead_covered=_holds(lead.interval, true_lead) if lead else math.nan,
        regret=world.best - choice.truth,
        regret_quarter=curve[len(curve) // 4 - 1],
        regret_half=curve[len(curve) // 2 - 1],
        worse_than_uniform=float(choice.truth < uniform - A_HAIR),
        worse_than_baseline=float(choice.truth < baseline - A_HAIR),
        curve=curve,
        **facts,
    )


def _holds(interval: Interval | None, value: float) -> float:
    return math.nan if interval is None else float(interval[0] <= value <= interval[1])


def choose(
    arm: Arm,
    pool: Pool | None,
    history: History,
    world: World,
    setting: Setting,
    seeds: tuple[int, int],
) -> Choice:
    if pool is None:
        return best_single_run(full_length(history))
    if not arm.pick.k:
        return pool.posterior_mean()
    runs = setting.budget_trials - math.ceil(history.epochs / world.epochs)
    return Confirmed(runs, arm.pick.k, setting.workers).choice(pool, world, seeds)


FIGURES = tuple(f.name for f in dataclasses.fields(Measured) if f.compare and f.name != "curve")


def summarize(repetitions: Sequence[dict[str, Measured]], seed: int) -> dict[str, dict[str, Any]]:
    """Return, by arm, the mean of every figure with its bootstrap 95 % interval.

    ``against_first`` is the regret less that of the first arm in the same repetition; ``curve``
    has means, and ``curve_low`` and ``curve_high`` the ends of their intervals, None where a
    repetition had no result yet.
    """
    random = np.random.default_rng(seed)
    n = len(repetitions)
    picks = random.integers(n, size=(RESAMPLES, n))
    first = [next(iter(found.values())).regret for found in repetitions]
    summaries: dict[str, dict[str, Any]] = {}
    for arm in repetitions[0]:
        rows = [found[arm] for found in repetitions]
        summary: dict[str, Any] = {
            name: figure(np.array([getattr(row, name) for row in rows]), picks) for name in FIGURES
        }
        differences = np.array([row.regret for row in rows]) - first
        summary["against_first"] = figure(differences, picks)
        curves = [row.curve for row in rows]
        points = [_point(np.array(values), picks) for values in zip(*curves, strict=True)]
        for name, end in (("curve", "mean"), ("curve_low", "low"), ("curve_high", "high")):
            summary[name] = [point and point[end] for point in points]
        summaries[arm] = summary
    return summaries


def _point(values: FloatArray, picks: npt.NDArray[np.int64]) -> Figure | None:
    """The figure of values (R,), None where one is nan."""
    return None if np.isnan(values).any() else figure(values, picks)


def figure(values: FloatArray, picks: npt.NDArray[np.int64]) -> Figure | None:
    """Return the mean of values (R,) with the 95 % interval of resamples (B, R) of them.

    Values that are nan do not count; None where all are.
    """
    known = np.isfinite(values)
    if not known.any():
        return None
    numbers = np.where(known, values, 0.0)
    counts = known[picks].sum(axis=1)
    means = numbers[picks].sum(axis=1)[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    return {"mean": float(numbers.sum() / known.sum()), "low": float(low), "high": float(high)}
