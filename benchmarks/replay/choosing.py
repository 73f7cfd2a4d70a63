"""Choice after a replayed search: the weighting that is named the best, and its further cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.replay.simulation import Ended, History
from benchmarks.replay.world import Candidate, World
from search.stats.best_arm import DRAWS, Confirmation
from search.stats.comparison import Comparison, SeededRun, compare
from search.stats.ranking import Ranking, rank
from search.stats.replicates import Groups
from spaces.counts import FloatArray

POINTS = 16
"""Of the curve of regret over the epochs spent."""


Interval = tuple[float, float]
"""Ends of a 95 % interval."""


@dataclass(frozen=True)
class Lead:
    """What was stated of the winner's accuracy less that of uniform weights, points."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Choice:
    """A weighting that was named the best.

    Attributes:
        truth: its true accuracy, percent.
        reported: the accuracy that was stated, percent.
        epochs: trained for the choice, besides the search.
        time: that it took, epochs.
        interval: of the stated accuracy; None where none is stated.
        lead: over uniform weights; None where none is stated, or they won.
    """

    truth: float
    reported: float
    epochs: int = 0
    time: int = 0
    interval: Interval | None = None
    lead: Lead | None = None


def best_single_run(trials: Sequence[Ended]) -> Choice:
    """Name the trial of the highest value."""
    best = max(trials, key=lambda trial: trial.value)
    return Choice(best.candidate.truth, best.value)


class Pool:
    """The full-length trials of a search by distinct weighting, in the order of their ends."""

    def __init__(self, trials: Sequence[Ended], world: World) -> None:
        groups, self.noise = Groups([world.counts]), world.noise
        self.group = [groups.add([trial.candidate.weights]) for trial in trials]
        self.value = [trial.value for trial in trials]
        self.first: dict[int, Candidate] = {}
        for group, trial in zip(self.group, trials, strict=True):
            self.first.setdefault(group, trial.candidate)
        self.controls = {n: groups.add([c.weights]) for n, c in world.controls.items()}

    def ranking(self, trials: int | None = None) -> Ranking:
        """Rank the weightings by the first ``trials`` trials to end; by all where it is None."""
        return rank(self.group[:trials], self.value[:trials], self.noise)

    def posterior_mean(self, trials: int | None = None) -> Choice:
        """Name the weighting of the highest posterior mean."""
        best = self.ranking(trials).groups[0]
        return Choice(self.first[best.group].truth, best.mean)


@dataclass(frozen=True)
class FreshRuns:
    """The runs of a confirmation.

    Attributes:
        arms: by name.
        controls: names of uniform weights and of the best other baseline.
        rounds: of runs at a time.
    """

    arms: dict[str, Candidate]
    controls: tuple[str, ...]
    runs: list[SeededRun]
    rounds: int


@dataclass(frozen=True)
class Confirmed:
    """The choice by a confirmation with fresh seeds.

    Attributes:
        budget: runs.
        k: candidates, besides the controls.
        workers: runs at a time; they end together.
    """

    budget: int
    k: int
    workers: int

    def fresh_runs(self, pool: Pool, world: World, repetition: tuple[int, ...]) -> FreshRuns:
        """Run the best by posterior mean beside uniform weights and the best other baseline."""
        ranking = pool.ranking()
        controls = _controls(pool, ranking)
        candidates = ranking.top(self.k, without=controls)
        arms = {str(g): pool.first[g] for g in (*candidates, *controls)}
        names = tuple(map(str, candidates)), tuple(map(str, controls))
        plan = Confirmation(*names, self.budget, prior=world.noise)
        runs: list[SeededRun] = []
        rounds = 0
        while planned := plan.next_runs(runs, [], self.workers):
            rounds += 1
            for run in planned:
                value = world.confirmation_run(arms[run.arm], repetition, int(run.arm), run.seed)
                runs.append(SeededRun(run.arm, run.seed, value))
        return FreshRuns(arms, plan.controls, runs, rounds)

    def choice(self, pool: Pool, world: World, repetition: tuple[int, ...]) -> Choice:
        """Confirm, and name the arm of the highest posterior mean."""
        fresh = self.fresh_runs(pool, world, repetition)
        found = compare(fresh.runs, fresh.controls, DRAWS, world.noise)
        uniform = fresh.controls[0]
        lead = None if found.winner == uniform else _lead(found, uniform)
        return Choice(
            truth=fresh.arms[found.winner].truth,
            reported=float(found.mean.max()),
            epochs=len(fresh.runs) * world.epochs,
            time=fresh.rounds * world.epochs,
            interval=_interval(found.of(found.winner)),
            lead=lead,
        )


def _lead(found: Comparison, uniform: str) -> Lead:
    value = found.mean.max() - found.mean[found.arms.index(uniform)]
    return Lead(float(value), _interval(found.of(found.winner) - found.of(uniform)))


def _interval(draws: FloatArray) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _controls(pool: Pool, ranking: Ranking) -> tuple[int, ...]:
    """The groups of uniform weights and of the best other baseline, if there is one."""
    uniform = pool.controls["uniform"]
    others = set(pool.controls.values()) - {uniform}
    return uniform, *[g.group for g in ranking.groups if g.group in others][:1]


def full_length(history: History) -> tuple[Ended, ...]:
    """Return the trials that count for a choice, in the order in which they ended."""
    return tuple(t for t in history.trials if history.believes_stopped or not t.stopped)


def known_after(trials: Sequence[Ended], budget: int) -> list[int]:
    """Return how many trials had ended at each of ``POINTS`` even parts of a budget of epochs."""
    spent = [trial.spent for trial in trials]
    parts = budget * np.arange(1, POINTS + 1) / POINTS
    return [int(n) for n in np.searchsorted(spent, parts, side="right")]


def truth_over_time(trials: Sequence[Ended], pool: Pool | None, budget: int) -> list[float]:
    """Return the truth of the choice at each part of the budget, nan before the first result.

    The choice is the posterior mean's by ``pool``; without one it is the best single run.
    """
    truths = []
    for n in known_after(trials, budget):
        if not n:
            truths.append(math.nan)
        elif pool is None:
            truths.append(best_single_run(trials[:n]).truth)
        else:
            truths.append(pool.posterior_mean(n).truth)
    return truths
