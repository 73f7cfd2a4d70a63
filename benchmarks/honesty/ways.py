"""The ways of searching that the honesty study compares, and what each says in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.honesty.world import Setting, World
from search.stats.best_arm import Confirmation
from search.stats.comparison import SeededRun, run_table
from search.stats.estimate import Difference, Estimate
from search.stats.ranking import rank
from search.stats.verdict import Verdict, verdict
from spaces.counts import FloatArray

SINGLE, RERUN = "best single run", "top 8, 3 seeds"
PLAIN, CONFIRMED = "its plain means", "confirmation"
WAYS = (SINGLE, RERUN, PLAIN, CONFIRMED)
RERUN_ARMS, RERUN_SEEDS = 8, 3
SLOTS = 4
"""Runs that end together, before the next are chosen."""


@dataclass(frozen=True)
class Statement:
    """What a way of searching says in the end; 0 stands for uniform, 1 for the best baseline.

    Attributes:
        chosen: index of the winner.
        differences: to the controls, None to the winner itself.
        runs: of search and confirmation.
        probability: that the winner is the best of its arms, as stated; nan where none is.
        best_in_set: whether the winner and its ties hold the best arm.
        is_best: whether the winner is the best arm.
    """

    chosen: int
    accuracy: Estimate
    differences: tuple[Estimate | None, Estimate | None]
    runs: int
    probability: float = np.nan
    best_in_set: float = np.nan
    is_best: float = np.nan


def around(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half)


def best_single_run(world: World, setting: Setting) -> Statement:
    """Name the highest result; the noise is taken as known, which is generous."""
    chosen = int(world.search.argmax())
    value, half = float(world.search[chosen]), float(stats.norm.ppf(0.975)) * setting.noise_sd
    to_uniform, to_baseline = (
        around(value - float(world.search[control]), half * 2**0.5) if control != chosen else None
        for control in (0, world.baseline())
    )
    return Statement(chosen, around(value, half), (to_uniform, to_baseline), setting.trials)


def rerun_top(world: World) -> list[SeededRun]:
    """The best eight and the controls with three fresh seeds."""
    controls = (0, world.baseline())
    top = [int(i) for i in np.argsort(-world.search) if i not in controls][:RERUN_ARMS]
    return [world.run(str(arm), seed) for arm in (*top, *controls) for seed in range(RERUN_SEEDS)]


def confirm(world: World, setting: Setting) -> list[SeededRun]:
    """Rank the search, and run the best with fresh seeds until it is decided."""
    controls = (0, world.baseline())
    ranking = rank(setting.groups, world.search, setting.prior)
    candidates = ranking.top(setting.k, without=controls)
    plan = Confirmation(
        tuple(map(str, candidates)),
        tuple(map(str, controls)),
        setting.budget,
        prior=setting.prior,
    )
    runs: list[SeededRun] = []
    while planned := plan.next_runs(runs, [], SLOTS):
        runs += [world.run(p.arm, p.seed) for p in planned]
    return runs


def plain_means(world: World, setting: Setting, runs: list[SeededRun]) -> Statement:
    """State the highest mean, and differences, with t intervals of the pooled variance."""
    arms, values = run_table(runs)
    n, means = np.isfinite(values).sum(axis=1), np.nanmean(values, axis=1)
    freedom = int((n - 1).sum())
    variance = float(np.nansum((values - means[:, None]) ** 2)) / freedom
    quantile, best = float(stats.t.ppf(0.975, freedom)), int(means.argmax())

    def difference(control: int) -> Estimate | None:
        i = arms.index(str(control))
        half = quantile * float(variance / n[best] + variance / n[i]) ** 0.5
        return None if i == best else around(float(means[best] - means[i]), half)

    accuracy = around(float(means[best]), quantile * float(variance / n[best]) ** 0.5)
    differences = difference(0), difference(world.baseline())
    return Statement(int(arms[best]), accuracy, differences, setting.trials + len(runs))


def judged_by_verdict(world: World, setting: Setting, runs: list[SeededRun]) -> Statement:
    """State what the verdict over the runs does."""
    found = verdict(runs, "0", str(world.baseline()), prior=setting.prior)
    numbers = {arm.name: int(arm.name) for arm in found.arms}
    return stated(found, numbers, world.truth, setting.trials + len(runs))


def stated(found: Verdict, numbers: Mapping[str, int], truth: FloatArray, runs: int) -> Statement:
    """Return the statement of a verdict; ``numbers`` are the places of its arms in ``truth``."""
    best = max(numbers, key=lambda arm: float(truth[numbers[arm]]))

    def points(difference: Difference | None) -> Estimate | None:
        return difference.points if difference else None

    return Statement(
        chosen=numbers[found.winner],
        accuracy=found.best.accuracy,
        differences=(points(found.to_uniform), points(found.to_baseline)),
        runs=runs,
        probability=found.best.probability_best,
        best_in_set=float(best in (found.winner, *found.ties)),
        is_best=float(best == found.winner),
    )


def statements(world: World, setting: Setting) -> dict[str, Statement]:
    """What every way says of one world."""
    runs = confirm(world, setting)
    return {
        SINGLE: best_single_run(world, setting),
        RERUN: plain_means(world, setting, rerun_top(world)),
        PLAIN: plain_means(world, setting, runs),
        CONFIRMED: judged_by_verdict(world, setting, runs),
    }
