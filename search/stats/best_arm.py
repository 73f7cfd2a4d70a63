"""Best-arm identification: which weighting runs next with which seed, and when one has won.

A search picks candidates by single runs. Here the best few and the controls are run again with
fresh seeds, the same for all arms, so that what a seed does to every arm cancels in their
differences. Every arm first gets a few seeds; then runs go where they help to tell the best arm
from its rivals. All decisions are functions of the results: a confirmation is resumed from them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.stats.comparison import Comparison, SeededRun, compare, diverged
from search.stats.estimate import Estimate, Unit
from search.stats.priors import GUESS, NoisePrior
from spaces.counts import FloatArray
from trainer.benchmarks.published import PUBLISHED_SEEDS

DRAWS = 2_000
"""Of the posterior for a decision; a probability near .95 is then known to half a percent."""

CONFIRMATION_STREAM = 2
"""Sets confirmation seeds apart from those of the search, whose streams are 0 and 1."""

SEEDS_EACH = 3
"""Runs with which every arm of a confirmation begins."""

TWO_SIDED = 1.96
"""Half of a normal's 95 % interval, standard deviations."""


@dataclass(frozen=True)
class Planned:
    """A run to start, or one that is under way: an arm and the index of a seed, from 0."""

    arm: str
    seed: int


@dataclass(frozen=True)
class Decision:
    """Where a confirmation stands.

    Attributes:
        decided: no further run is needed, or none is left.
        reason: why, or what it is waiting for, in words.
        leader: the arm of the highest posterior mean, None before every arm has a result.
        probability: of the leader to be truly the best, 0 where there is no leader.
        out: the arms that are out because a run of theirs diverged.
    """

    decided: bool
    reason: str
    leader: str | None
    probability: float
    out: tuple[str, ...]


def seeds_for(interval: float, noise_sd: float) -> int:
    """Return with how many seeds two arms are told apart to ``interval``, each way with 95 %.

    As if the seeds had nothing in common, with a noise of ``noise_sd`` between them.
    """
    return max(SEEDS_EACH, math.ceil(2 * (TWO_SIDED * noise_sd / interval) ** 2))


def confirmation_seed(seed: int, index: int) -> int:
    """Return the training seed of an index (from 0) in the run whose seed is ``seed``.

    The published ones come first. They are fresh: those of a search are hashes of 32 bits.
    """
    if index < len(PUBLISHED_SEEDS):
        return PUBLISHED_SEEDS[index]
    return int(np.random.SeedSequence([seed, CONFIRMATION_STREAM, index]).generate_state(1)[0])


@dataclass(frozen=True)
class Confirmation:
    """The plan of a confirmation; what has happened is passed to every method.

    Attributes:
        candidates: the weightings of which the best is sought, by name.
        controls: what the winner is compared with; they can win, too.
        budget: runs of 1 or more, diverged ones included.
        first_block: seeds that every arm gets before any choice is made, 2 or more.
        threshold: probability of being the best, in (0, 1), at which an arm has won.
        prior: of the noise between seeds, in the unit of the runs.
        unit: of the runs' values.
        interval: to how much the lead of the first candidate over the first control is to be known,
            each way with 95 %, before it ends; its runs go to all arms in turns then. None: it ends
            when an arm has won.
    """

    candidates: tuple[str, ...]
    controls: tuple[str, ...]
    budget: int
    first_block: int = SEEDS_EACH
    threshold: float = 0.95
    prior: NoisePrior = GUESS
    unit: Unit = Unit.PERCENT
    interval: float | None = None

    def __post_init__(self) -> None:
        if not self.candidates:
            raise ValueError("candidates: got none; there must be one or more")
        if len(set(self.arms)) < len(self.arms):
            twice = next(arm for arm, n in Counter(self.arms).items() if n > 1)
            raise ValueError(f"arms: got {twice!r} twice; every arm must be named once")
        if self.budget < 1 or self.first_block < 2 or not 0 < self.threshold < 1:
            raise ValueError(
                f"got budget={self.budget}, first_block={self.first_block}, "
                f"threshold={self.threshold}; must be >= 1, >= 2 and between 0 and 1"
            )

    @property
    def arms(self) -> tuple[str, ...]:
        return self.candidates + self.controls

    def is_decided(self, runs: Sequence[SeededRun]) -> bool:
        """Whether the confirmation has come to its end."""
        return self.decision(runs).decided

    def decision(self, runs: Sequence[SeededRun]) -> Decision:
        """Say where the confirmation stands after ``runs``, in whatever order they ended.

        Raises:
            ValueError: a run of an arm that is not in this plan, or as ``comparison.run_table``.
        """
        return self._decision(runs, self._compare(runs))

    def _decision(self, runs: Sequence[SeededRun], comparison: Comparison | None) -> Decision:
        left, out = self._left(runs), diverged(runs)
        reason = None
        if len(runs) >= self.budget:
            reason = f"the budget of {self.budget} runs is used up"
        if not set(left) & set(self.candidates):
            reason = "every candidate diverged"
        elif len(left) == 1:
            reason = "only one arm is left"
        if comparison is None:
            waiting = "not every arm has a result"
            return Decision(reason is not None, reason or waiting, None, 0.0, out)
        leader, probability = comparison.winner, comparison.probability_of(comparison.winner)
        seeds = Counter(run.arm for run in runs)
        if all(seeds[arm] >= self.first_block for arm in left):
            reason = reason or self._enough(comparison, leader, probability)
        return Decision(reason is not None, reason or "undecided", leader, probability, out)

    def _enough(self, comparison: Comparison, leader: str, probability: float) -> str | None:
        """Why no more runs are needed, None if they are."""
        first, control = self.candidates[0], self.controls[0]
        if self.interval is None or not {first, control} <= set(comparison.arms):
            won = probability >= self.threshold
            return f"{leader} is the best with a probability of {probability:.2f}" if won else None
        lead = Estimate.of(comparison.of(first) - comparison.of(control))
        half = (lead.high - lead.low) / 2
        if half > self.interval:
            return None
        return (
            f"the lead of {first} over {control} is known to {half:.2f} {self.unit.of_differences}"
        )

    def next_runs(
        self, runs: Sequence[SeededRun], pending: Sequence[Planned], slots: int
    ) -> list[Planned]:
        """Return up to ``slots`` runs to start now, none if the confirmation is decided.

        Pending runs count as given. An arm's seeds are 0, 1, 2, ... without gaps: one whose run
        was lost, so that it is neither finished nor pending, comes before the arm's next one.
        """
        room = min(slots, self.budget - len(runs) - len(pending))
        comparison = self._compare(runs)
        if room <= 0 or self._decision(runs, comparison).decided:
            return []
        pairs = [(p.arm, p.seed) for p in pending] + [(run.arm, run.seed) for run in runs]
        given = {a: {seed for arm, seed in pairs if arm == a} for a in self._left(runs)}
        chosen: list[Planned] = []
        while len(chosen) < room:
            arm = self._next_arm({arm: len(seeds) for arm, seeds in given.items()}, comparison)
            seed = next(j for j in range(len(given[arm]) + 1) if j not in given[arm])
            given[arm].add(seed)
            chosen.append(Planned(arm, seed))
        return chosen

    def _next_arm(self, given: dict[str, int], comparison: Comparison | None) -> str:
        """Fill the first block seed by seed; then let controls keep up; then seek the best arm."""
        fewest = min(given, key=lambda arm: given[arm])
        if comparison is None or given[fewest] < self.first_block or self.interval is not None:
            return fewest
        # Half of the leader's seeds for a control keep the difference nearly as sure as equal
        # numbers would, and leave the rest for the rivals.
        behind = [
            arm for arm in self.controls if 2 * given.get(arm, np.inf) < given[comparison.winner]
        ]
        if behind:
            return min(behind, key=lambda arm: given[arm])
        # The arm that lags most behind its share of what was given beyond the first block
        # (D-tracking; Garivier and Kaufmann 2016, "Optimal Best Arm Identification").
        extra = np.array([given[arm] - self.first_block for arm in comparison.arms])
        wanted = top_two_shares(comparison.probability_best()) * (1 + extra.sum())
        return comparison.arms[int(np.argmax(wanted - extra))]

    def _left(self, runs: Sequence[SeededRun]) -> list[str]:
        strangers = {run.arm for run in runs} - set(self.arms)
        if strangers:
            raise ValueError(f"runs: got arm {min(strangers)!r}; must be one of {self.arms}")
        out = diverged(runs)
        return [arm for arm in self.arms if arm not in out]

    def _compare(self, runs: Sequence[SeededRun]) -> Comparison | None:
        """The posterior of the arms that are left, None while one of them has no result."""
        left = self._left(runs)
        if not left or not {run.arm for run in runs}.issuperset(left):
            return None
        order = (*self.controls, *self.candidates)
        return compare(runs, self.controls, DRAWS, self.prior, order, self.unit.bounds)


def top_two_shares(probability_best: FloatArray) -> FloatArray:
    """Return the share of the next runs that each of k arms should get, (k,), summing to 1.

    What top-two Thompson sampling gives an arm on average (Russo 2020, "Simple Bayesian
    Algorithms for Best-Arm Identification", with beta = 1/2): half of the runs go to an arm drawn
    with its probability of being the best, half to another one drawn alike. Shares in place of
    draws make a choice a function of the results.
    """
    # No arm has lost for good, nor won, by a finite number of posterior draws.
    p = (probability_best * DRAWS + 0.5) / (DRAWS + 0.5 * len(probability_best))
    if len(p) == 1:
        return np.ones(1)
    odds = p / (1 - p)
    return np.asarray(0.5 * p * (1 + odds.sum() - odds))
