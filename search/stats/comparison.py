"""Joint posterior of a few arms' true accuracies, from runs with the same seeds.

What a seed does to every arm cancels in their differences, and candidates are pulled towards their
mean as in `search.stats.ranking`. Values are accuracies in percent and deviations points, or both
in any other unit that the guess of the noise shares.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from search.stats.posterior import Blocks, solve
from search.stats.priors import GRID, GUESS, NoisePrior, ratio_grid
from search.stats.ties import in_order
from spaces.counts import FloatArray


@dataclass(frozen=True)
class SeededRun:
    """A finished run of the confirmation.

    Attributes:
        arm: the weighting's name.
        seed: index of the training seed, from 0; an index means the same seed for all arms.
        value: its score (``Objective.score``); None if it diverged.
    """

    arm: str
    seed: int
    value: float | None


@dataclass(frozen=True)
class Comparison:
    """The joint posterior of the arms of a confirmation.

    Attributes:
        arms: k names.
        values: (k, J) what the runs reached by seed, percent; nan where an arm has not run.
        mean: (k,) posterior means of the true accuracies, percent, as if they had no bounds: these
            name the winner, so that equal results are equal.
        draws: (D, k) joint draws from their posterior, percent.
        noise_sd: posterior mean, between runs of one arm with different seeds, points.
        seed_share: posterior mean of the part of the noise variance that arms share in a seed.
        places: (k,) of the arms in the order in which equal means are preferred.
    """

    arms: tuple[str, ...]
    values: FloatArray
    mean: FloatArray
    draws: FloatArray
    noise_sd: float
    seed_share: float
    places: tuple[int, ...]

    def by_mean(self) -> list[int]:
        """Return the indices of the arms, the highest posterior mean first."""
        return in_order(self.mean.tolist(), lambda arm: self.places[arm])

    @property
    def winner(self) -> str:
        """The arm of the highest posterior mean: the choice that loses least on average."""
        return self.arms[self.by_mean()[0]]

    def probability_best(self) -> FloatArray:
        """Return the probability of each arm to be truly the best, (k,), summing to 1.

        Arms that a draw has equally high, as at a bound, share it evenly.
        """
        highest = self.draws == self.draws.max(axis=1, keepdims=True)
        return np.asarray((highest / highest.sum(axis=1, keepdims=True)).mean(axis=0))

    def probability_of(self, arm: str) -> float:
        """Return the probability of one arm to be truly the best."""
        return float(self.probability_best()[self.arms.index(arm)])

    def of(self, arm: str) -> FloatArray:
        """Return the draws of one arm's true accuracy, (D,)."""
        return np.asarray(self.draws[:, self.arms.index(arm)])


def compare(
    runs: Sequence[SeededRun],
    controls: Collection[str],
    draws: int = 10_000,
    prior: NoisePrior = GUESS,
    order: Sequence[str] = (),
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Comparison:
    """Return the joint posterior of the true accuracies of the arms that did not diverge.

    A value is the arm's true accuracy, plus what the seed does to all arms, plus noise. With
    total noise variance v, seed effects have variance r v and the rest (1 - r) v; candidates are
    N(centre, l v) with an unknown centre. Controls are known weightings, not a sample of what was
    searched, and are not pulled anywhere, which favours them a little among near-equals. v has
    the conjugate prior of `priors.NoisePrior`; the square roots of r / (1 - r) and l are
    half-Cauchy. Given r and l all is exact (a multivariate t; Gelman et al., BDA3, section 3.2 and
    chapter 15), and r and l are summed over a grid. The rule by which arms were given their next
    seeds looks at nothing but these runs, so that it does not bias the posterior (an ignorable
    design, BDA3 section 8.1).

    Args:
        runs: of all arms, each (arm, seed) once.
        controls: the arms that are controls.
        draws: how many to take of the posterior; the same data give the same draws.
        prior: of the noise between seeds, in the unit of the values.
        order: arms that are preferred where posterior means are equal, the first most.
        bounds: the lowest and the highest true accuracy that there can be.

    Raises:
        ValueError: no arm that did not diverge, an arm and seed twice, a value not finite, a
            negative seed.
    """
    arms, table = run_table(runs)
    if not arms:
        raise ValueError(f"runs: got {len(runs)} and no arm without a diverged one; need an arm")
    offset = float(np.nanmean(table))
    blocks = Blocks.of(table - offset)
    candidate = np.array([arm not in controls for arm in arms])
    seed_ratios = np.repeat(ratio_grid() ** 2, GRID)
    shares, ratios = seed_ratios / (1 + seed_ratios), np.tile(ratio_grid() ** 2, GRID)
    mixture = solve(blocks, candidate, shares, ratios, prior)
    low, high = bounds
    variances, accuracies = mixture.sample(draws, low - offset, high - offset)
    return Comparison(
        arms=arms,
        values=table,
        mean=offset + mixture.weights @ mixture.means,
        draws=np.clip(offset + accuracies, low, high),
        noise_sd=float(np.sqrt(variances).mean()),
        seed_share=float(mixture.weights @ shares),
        places=tuple([*order, *(a for a in arms if a not in order)].index(arm) for arm in arms),
    )


def diverged(runs: Sequence[SeededRun]) -> tuple[str, ...]:
    """Return the arms with a diverged run, in the order in which they first did."""
    return tuple(dict.fromkeys(run.arm for run in runs if run.value is None))


def run_table(runs: Sequence[SeededRun]) -> tuple[tuple[str, ...], FloatArray]:
    """Return the k arms without a diverged run, by name, and their values (k, J), nan if not run.

    Sorted by name, so that the order in which parallel runs ended does not matter.

    Raises:
        ValueError: an arm and seed twice, a value that is not finite, a negative seed.
    """
    out = diverged(runs)
    kept = [run for run in runs if run.arm not in out]
    arms = tuple(sorted({run.arm for run in kept}))
    table = np.full((len(arms), 1 + max((run.seed for run in kept), default=-1)), np.nan)
    for run in kept:
        if run.seed < 0 or run.value is None or not np.isfinite(run.value):
            raise ValueError(f"run: got {run}; the seed must be >= 0 and the value finite")
        where = arms.index(run.arm), run.seed
        if np.isfinite(table[where]):
            raise ValueError(f"runs: got {run.arm!r} with seed {run.seed} twice; must be once")
        table[where] = run.value
    return arms, table
