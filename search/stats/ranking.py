"""Ranking of the weightings of a search, nearly all of which ran once.

Two runs of one weighting differ by more than most weightings differ from each other, so that a
result is an estimate. A normal model with exchangeable weightings pulls every estimate towards the
mean of all by as much as the data call for (James and Stein 1961; Efron and Morris 1975). Scores
are accuracies in percent, or in any other unit that the guess of the noise shares.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from search.stats.priors import GUESS, NoisePrior, normalised, ratio_grid
from spaces.counts import FloatArray


@dataclass(frozen=True)
class GroupPosterior:
    """What is known of one weighting after a search.

    Attributes:
        group: its id.
        n: its runs, replicates included.
        raw_mean: of the runs, percent.
        mean: of the true accuracy, percent: ``raw_mean`` pulled towards the mean of all.
        sd: of the true accuracy, points.
    """

    group: int
    n: int
    raw_mean: float
    mean: float
    sd: float


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
    order = np.lexsort((names, -mean))
    columns = (names, n, means, mean, sd)
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
