"""Whole searches of the honesty study: made-up benchmarks, and what the verdicts on them say."""

from __future__ import annotations

import functools
import math

import numpy as np

from benchmarks.honesty.ways import Statement, stated
from benchmarks.honesty.world import Truths
from benchmarks.replay.arms import Method
from benchmarks.replay.choosing import Confirmed, Pool, full_length
from benchmarks.replay.full_length.shares_search import BLOCK_RUNS, SharesSearch
from benchmarks.replay.run import searcher_of
from benchmarks.replay.simulation import Simulation
from benchmarks.replay.synthetic import BENCHMARK, design_shares, made_up
from benchmarks.replay.world import Candidate, World
from search.samplers.registry import KNOWLEDGE_GRADIENT
from search.session.design.run_model import compared
from search.stats.comparison import Comparison, SeededRun
from search.stats.verdict import verdict
from spaces.counts import FloatArray

BUDGET, WORKERS = 64, 4
SEARCHED = 2 * BUDGET // 3
"""Trials whose epochs the default spends on its search."""
CANDIDATES = 5
DEFAULT, MODEL = "default", KNOWLEDGE_GRADIENT
"""Ways."""

shares_of_design = functools.cache(design_shares)


def searched(kind: str, seed: int, replay: int) -> dict[str, tuple[Statement, Truths]]:
    """Search on a made-up benchmark of a kind; return what each way says, and what is true."""
    truth = made_up(kind, shares_of_design(), seed + replay)
    world = World(truth, np.array(BENCHMARK.counts), "core")
    seeds = seed, replay
    return {DEFAULT: by_default(world, seeds), MODEL: by_model(world, seeds)}


def by_default(world: World, seeds: tuple[int, int]) -> tuple[Statement, Truths]:
    """Search by TPE that is shown posterior means, stop early if that helps, and confirm."""
    searcher = searcher_of(Method("tpe", "auto", pooled=True), world, seeds)
    history = Simulation(searcher, world, True, seeds).run(WORKERS, SEARCHED * world.epochs)
    runs = BUDGET - math.ceil(history.epochs / world.epochs)
    pool = Pool(full_length(history), world)
    fresh = Confirmed(runs, CANDIDATES, WORKERS).fresh_runs(pool, world, seeds)
    uniform, baseline = fresh.controls[0], fresh.controls[-1]
    return judgement(world, fresh.runs, fresh.arms, (uniform, baseline))


def by_model(world: World, seeds: tuple[int, int]) -> tuple[Statement, Truths]:
    """Search by knowledge gradient, and confirm by the last runs and the model together."""
    search = SharesSearch(world, "spread", WORKERS, seeds)
    search.search(BUDGET - BLOCK_RUNS)
    before = search.posterior()
    named = sorted(set(search.model.candidates.named) - {0})
    baseline = named[int(before.mean[named].argmax())]
    search.block(BLOCK_RUNS)
    block = search.trials[BUDGET - BLOCK_RUNS :]
    numbers = {str(trial.candidate): trial.candidate for trial in block}
    runs = [SeededRun(str(trial.candidate), trial.seed, trial.value) for trial in block]
    comparison = compared(search.posterior(), search.trials, numbers, range(len(numbers)))
    arms = {name: search.candidate(number) for name, number in numbers.items()}
    return judgement(world, runs, arms, ("0", str(baseline)), comparison)


def judgement(
    world: World,
    runs: list[SeededRun],
    arms: dict[str, Candidate],
    controls: tuple[str, str],
    comparison: Comparison | None = None,
) -> tuple[Statement, Truths]:
    """Return what the verdict over the runs says, and what is true of its arms."""
    found = verdict(runs, *controls, comparison=comparison)
    names = list(dict.fromkeys((*controls, *arms)))
    numbers = {name: place for place, name in enumerate(names)}
    truth: FloatArray = np.array([arms[name].truth for name in names])
    truths = Truths(truth, numbers[controls[1]], world.best, world.average)
    return stated(found, numbers, truth, BUDGET), truths
