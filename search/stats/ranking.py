"""Which weightings of a search look best, when nearly all of them ran once?

Two runs of one weighting differ by more than most weightings differ from each other, so that a
result is an estimate. A normal model with exchangeable weightings pulls every estimate towards the
mean of all by as much as the data call for (James and Stein 1961; Efron and Morris 1975). Scores
are accuracies in percent, or in any other unit that the guess of the noise shares.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from spaces.weighting.measures import gradient_shares

FloatArray = npt.NDArray[np.float64]

SAME_WEIGHTING = 0.01
"""Total variation under which two weightings train as replicates of each other (protocol)."""

NOISE_SD = 0.7
"""Seed-to-seed standard deviation of the best accuracy where none is known, points (protocol)."""

GUESSED_RUNS = 2.0
"""Degrees of freedom of that guess: as good as what three replicates of one weighting say."""

KNOWN_RUNS = 4.0
"""Degrees of freedom of a standard deviation that the benchmark states.

More than one pair of runs has, and few enough for a statement that is wrong. Coverage of the 95 %
intervals of accuracies in `benchmarks.honesty` (1,000 replays of "64 trials" and "32 trials"),
where the stated noise is right / 1.5 times / twice too low; regret is the same for all:

    2: 97.7 / 97.0 / 96.0 and 97.8 / 94.9 / 93.9 %
    4: 97.7 / 95.7 / 94.9 and 98.0 / 94.4 / 93.3 %
    8: 97.5 / 95.0 / 93.3 and 97.5 / 93.6 / 89.8 %
"""

GRID = 12
"""Number of values that a ratio of standard deviations with a half-Cauchy prior may take."""


@dataclass(frozen=True)
class NoisePrior:
    """What is known of the noise between runs of one weighting before they run.

    A scaled inverse chi-square distribution of its variance (Gelman et al., BDA3, section 2.6).

    Attributes:
        sd: standard deviation around which it lies, in the unit of the scores, above 0.
        runs: degrees of freedom, as many as replicates of one weighting would bring after a first
            run.
    """

    sd: float = NOISE_SD
    runs: float = GUESSED_RUNS

    def __post_init__(self) -> None:
        if not (self.sd > 0 and self.runs > 0):
            raise ValueError(f"noise prior: got {self}; both numbers must be above 0")


GUESS = NoisePrior()
"""Where nothing is known."""


@dataclass(frozen=True)
class GroupPosterior:
    """What is known of one weighting after a search.

    Attributes:
        group: its id.
        n: its runs, replicates included.
        raw_mean: of the runs, percent.
        mean: of the true accuracy, percent: ``raw_mean`` pulled towards the mean of all.
        sd: of the true accuracy, points.
        shrinkage: how far it was pulled, from 0 (not at all) to 1 (onto the mean of all).
    """

    group: int
    n: int
    raw_mean: float
    mean: float
    sd: float
    shrinkage: float


@dataclass(frozen=True)
class Ranking:
    """The weightings of a search, the best posterior mean first.

    Attributes:
        noise_sd: between runs of one weighting, points.
        noise_freedom: degrees of freedom that replicates gave ``noise_sd``; 0: it is the prior's.
        spread_sd: between weightings, points.
    """

    groups: tuple[GroupPosterior, ...]
    noise_sd: float
    noise_freedom: int
    spread_sd: float

    def top(self, k: int, without: Collection[int] = ()) -> list[int]:
        """Return the ids of the best ``k`` groups, leaving out those in ``without``."""
        return [g.group for g in self.groups if g.group not in without][:k]


class Groups:
    """Which weightings are the same, told as they come, for a search on one or more benchmarks.

    A weighting joins the first group whose first member is within a total variation of .01 on
    every benchmark; else it founds the next group. Members are compared with the first member and
    not with each other, so that a chain of small steps cannot join distant weightings.

    Args:
        counts: class counts of each of the B benchmarks, (C_b,).

    Raises:
        ValueError: no benchmark.
    """

    def __init__(self, counts: Sequence[npt.ArrayLike]) -> None:
        if not counts:
            raise ValueError("counts: got no benchmark; there must be one or more")
        self._counts = [np.asarray(numbers) for numbers in counts]
        sizes = [numbers.size for numbers in self._counts]
        self._starts = np.cumsum([0, *sizes[:-1]])
        self._half = (sizes[0] + 1) // 2
        # Grown by doubling; the first len(self) rows are in use.
        self._founders = np.empty((64, sum(sizes)))
        self._halves = np.empty(64)
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def add(self, weights: Sequence[npt.ArrayLike]) -> int:
        """Return the group, from 0, of a weighting with these weights (C_b,) on each benchmark.

        Raises:
            ValueError: not one vector per benchmark.
            WeightingError: as ``spaces.weighting.measures.gradient_shares``.
        """
        pairs = zip(self._counts, weights, strict=True)
        shares = np.concatenate([gradient_shares(numbers, values) for numbers, values in pairs])
        near = self._near(shares)
        return int(near[0]) if near.size else self._found(shares)

    def _near(self, shares: FloatArray) -> npt.NDArray[np.intp]:
        """The groups that shares (sum of C_b,) belong to, ascending."""
        # No set of classes differs in its share by more than the total variation: one number per
        # founder spares most of the comparisons.
        halves = self._halves[: len(self)] - shares[: self._half].sum()
        possible = np.flatnonzero(np.abs(halves) < SAME_WEIGHTING)
        gaps = np.abs(self._founders[possible] - shares)
        distances = 0.5 * np.add.reduceat(gaps, self._starts, axis=1)
        return possible[(distances < SAME_WEIGHTING).all(axis=1)]

    def _found(self, shares: FloatArray) -> int:
        group = len(self)
        if group == len(self._founders):
            self._founders = np.concatenate([self._founders, np.empty_like(self._founders)])
            self._halves = np.concatenate([self._halves, np.empty_like(self._halves)])
        self._founders[group] = shares
        self._halves[group] = shares[: self._half].sum()
        self._number += 1
        return group


def pooled_noise(
    groups: npt.ArrayLike, values: npt.ArrayLike, prior: NoisePrior
) -> tuple[float, int]:
    """Return the noise SD in points and the degrees of freedom that replicates gave it.

    The mean of the variance by the prior and by the pooled variance within groups, each with the
    weight of its degrees of freedom.
    """
    ids, numbers = _checked(groups, values)
    _, inverse, n = np.unique(ids, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, numbers) / n
    squares = float(((numbers - means[inverse]) ** 2).sum())
    freedom = len(numbers) - len(n)
    variance = (prior.runs * prior.sd**2 + squares) / (prior.runs + freedom)
    return float(np.sqrt(variance)), freedom


def rank(groups: npt.ArrayLike, values: npt.ArrayLike, prior: NoisePrior = GUESS) -> Ranking:
    """Rank the weightings of a search by the posterior means of their true accuracies.

    The spread between weightings is integrated over its marginal likelihood with a half-Cauchy
    prior at the noise's scale (Gelman 2006), for a search too small or too noisy to show a spread
    must still rank. Values far below the rest are drawn in before the mean and the spread of all
    are estimated: a weighting that collapsed says nothing of how far the good ones lie apart.

    Args:
        groups: (T,) integer ids; results of one id are replicates.
        values: (T,) scores of full-length runs, percent.
        prior: of the noise.

    Raises:
        ValueError: no results, unequal lengths, a value that is not finite.
    """
    ids, numbers = _checked(groups, values)
    noise, freedom = pooled_noise(ids, numbers, prior)
    names, inverse, n = np.unique(ids, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, numbers) / n
    spreads = noise * ratio_grid()
    weights, centres, centre_variances = _spread_posterior(_drawn_in(means, noise), n, noise)
    keep = spreads[:, None] ** 2 / (spreads[:, None] ** 2 + noise**2 / n)
    posterior = keep * means + (1 - keep) * centres[:, None]
    variance = keep * noise**2 / n + (1 - keep) ** 2 * centre_variances[:, None]
    mean = weights @ posterior
    sd = np.sqrt(weights @ (variance + (posterior - mean) ** 2))
    shrinkage = 1 - weights @ keep
    order = np.lexsort((names, -mean))
    columns = (names, n, means, mean, sd, shrinkage)
    rows = zip(*(column[order].tolist() for column in columns), strict=True)
    ranked = tuple(GroupPosterior(*row) for row in rows)
    return Ranking(ranked, noise, freedom, float(weights @ spreads))


def _checked(
    groups: npt.ArrayLike, values: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    ids, numbers = np.asarray(groups), np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or ids.shape != numbers.shape or not numbers.size:
        raise ValueError(
            f"results: got {ids.shape} groups and {numbers.shape} values; "
            "must be one group per value, and at least one value"
        )
    if not np.isfinite(numbers).all():
        raise ValueError(f"values: got {numbers[~np.isfinite(numbers)][0]}; must be finite")
    return ids, numbers


def _drawn_in(means: FloatArray, noise: float) -> FloatArray:
    """The means (G,), none more than two robust deviations below their median."""
    median = np.median(means)
    robust_sd = np.median(np.abs(means - median)) / special.ndtri(0.75)  # of a normal: its SD
    return np.asarray(np.maximum(means, median - 2 * max(robust_sd, noise)))


def _spread_posterior(
    means: FloatArray, n: npt.NDArray[np.int64], noise: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """For each spread of the grid: its probability, and mean and variance of the centre of all.

    The restricted likelihood of group means ~ N(centre, spread^2 + noise^2 / n), the centre
    integrated out; all (GRID,).
    """
    variances = (noise * ratio_grid()[:, None]) ** 2 + noise**2 / n
    precision = (1 / variances).sum(axis=1)
    centres = (means / variances).sum(axis=1) / precision
    squares = ((means - centres[:, None]) ** 2 / variances).sum(axis=1)
    log_likelihood = -0.5 * (np.log(variances).sum(axis=1) + np.log(precision) + squares)
    return normalised(log_likelihood), centres, 1 / precision


@functools.cache
def ratio_grid() -> FloatArray:
    """Equally likely values, ascending, of a half-Cauchy variable of scale 1, (GRID,)."""
    return np.asarray(np.tan(np.pi / 2 * ((np.arange(GRID) + 0.5) / GRID)))


def normalised(log_weights: FloatArray) -> FloatArray:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())
