"""Gaussian process on gradient shares: what results say of all candidates, with their noise.

A result is ``y = c + u + f(x) + s(seed) + e``: a level, what uniform weights have besides, a
function of the candidate's shares, what the seed does to all candidates alike, and the rest of the
noise. ``f`` is a Matern-5/2 process (Rasmussen and Williams 2006, chapter 4) on its leading
eigenfunctions over the candidates, so that all of it is Bayesian linear regression (BDA3, chapter
14) of a fixed size. Distance, length scale, signal-to-noise ratio and seed share have few values
each, which are weighed by their marginal likelihood; the variance of the noise has a conjugate
prior and is integrated out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist

from search.samplers.candidates import Candidates
from search.samplers.least_squares import Sums, Whitened
from search.samplers.matern import eigenfunctions
from search.samplers.shares_posterior import Posterior
from search.stats.priors import GUESS, NoisePrior, normalised
from spaces.counts import FloatArray

LEVEL_VARIANCE = 1e4
"""Prior variance of the level, in units of the noise variance: as good as flat."""

NO_SHARE = 1e-9
"""Seed share in the place of 0, for which a coefficient would have no prior variance."""

KEPT, KEPT_SD = 0.5, 0.5
"""How much of what earlier searches expect is expected here, and how uncertain that is."""

LEAST_WEIGHT = 0.01
"""Combinations of lower weight than this share of the highest are left out."""


@dataclass(frozen=True)
class ModelPrior:
    """What is assumed before any result.

    Attributes:
        lengths: length scales, in medians of the distances between candidates.
        signals: standard deviations of ``f``, in noise SDs.
        seed_shares: parts of the noise variance that a seed brings to all candidates alike.
        apart: prior standard deviation, in noise SDs, of what the uniform weights (the first
            candidate) have besides ``f``; 0: nothing.
        noise: of one result, in points.
    """

    lengths: tuple[float, ...] = (0.4, 1.0, 2.5)
    signals: tuple[float, ...] = (0.2, 0.6, 1.5, 4.0)
    seed_shares: tuple[float, ...] = (0.0, 0.45)
    apart: float = 0.0
    noise: NoisePrior = GUESS


@dataclass(frozen=True)
class Results:
    """Results in the order in which they came, N of them; pending trials have none yet.

    Attributes:
        candidate: of each, (N,).
        seed: of each, (N,): equal numbers are equal seeds.
        value: scores, (N,).
        pending: candidates and seeds of P trials that have not ended, (P, 2).
    """

    candidate: npt.NDArray[np.int64]
    seed: npt.NDArray[np.int64]
    value: FloatArray
    pending: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        ended: Sequence[tuple[int, int, float]],
        pending: Sequence[tuple[int, int]] = (),
    ) -> Results:
        """Take (candidate, seed, value) of what has ended, (candidate, seed) of what has not."""
        columns = np.array(ended, dtype=np.float64).reshape(-1, 3)
        waiting = np.array(pending, dtype=np.int64).reshape(-1, 2)
        return cls(
            columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64), columns[:, 2], waiting
        )


class SharesModel:
    """The model over given candidates: its features are made once, a posterior from any results.

    Attributes:
        candidates, prior: as given.
        bases: features of the candidates for each of L kernels, which differ in distance (of
            logarithms of shares, of shares) and length scale, (L, M, D): the level, what earlier
            searches expect, the uniform weights apart, the process, and zeros for the seed.
        combinations: K of kernel (its index), seed share and signal-to-noise ratio.
        precisions: prior precisions of the coefficients, in units of the noise precision, (K, D).
        expected: prior means of the coefficients, (D,).
    """

    def __init__(
        self, candidates: Candidates, prior: ModelPrior, earlier: FloatArray | None = None
    ) -> None:
        """``earlier`` is what E earlier searches expect of the candidates, in noise SDs, (M, E)."""
        self.candidates, self.prior = candidates, prior
        self.earlier = np.zeros((len(candidates), 0)) if earlier is None else earlier
        fixed, variances, expected = _fixed_effects(candidates, prior, self.earlier)
        points = candidates.features, candidates.plain
        kernels = [(features, length) for features in points for length in prior.lengths]
        self.bases = _bases(kernels, fixed)
        numbers = range(len(kernels))
        self.combinations = list(product(numbers, prior.seed_shares, prior.signals))
        rank = self.bases.shape[2] - len(variances) - 1
        self.precisions = np.array(
            [
                [*(1 / v for v in variances), *[1 / signal**2] * rank, 1 / max(share, NO_SHARE)]
                for _, share, signal in self.combinations
            ]
        )
        self.expected = np.zeros(self.bases.shape[2])
        self.expected[: len(expected)] = expected

    @property
    def best_expected(self) -> int | None:
        """The candidate of which earlier searches expect the most; None without any."""
        return int(self.earlier.sum(axis=1).argmax()) if self.earlier.shape[1] else None

    def posterior(self, results: Results, seed: int = -1) -> Posterior:
        """Return the posterior after results; ``seed`` is that of the next trial.

        Means, and the weights of the combinations, rest on what has ended; covariances on what is
        pending, too. The order of the results does not matter but for rounding.
        """
        n = len(results.value)
        centre = float(results.value.mean()) if n else 0.0
        ended = Sums.of(results.candidate, results.seed, results.value - centre, seed)
        log_weights, coefficients, roots, scales = self._fit(ended, n)
        kept = np.flatnonzero(log_weights >= log_weights.max() + np.log(LEAST_WEIGHT))
        if len(results.pending):
            candidate, of_seed = np.concatenate(
                [np.stack([results.candidate, results.seed], axis=1), results.pending]
            ).T
            both = Sums.of(candidate, of_seed, np.zeros(len(candidate)), seed)
            found = self._whitened(both)
            grams = np.stack([found[self._pair(k)].gram for k in kept])
            roots = np.asarray(np.linalg.cholesky(grams + _diagonal(self.precisions[kept])))
        else:
            roots = roots[kept]
        identity = np.broadcast_to(np.eye(roots.shape[1]), roots.shape)
        inverses = np.asarray(np.linalg.solve(roots, identity))
        kernel = np.array([self.combinations[k][0] for k in kept])
        means = np.empty((len(kept), len(self.candidates)))
        for number in np.unique(kernel):
            of_kernel = kernel == number
            means[of_kernel] = coefficients[kept][of_kernel] @ self.bases[number].T
        return Posterior(
            weights=normalised(log_weights[kept]),
            means=centre + means,
            scales=scales[kept],
            freedom=self.prior.noise.runs + n,
            seed_shares=np.array([self.combinations[k][1] for k in kept]),
            bases=self.bases,
            kernel=kernel,
            coefficients=coefficients[kept],
            roots=np.asarray(inverses.transpose(0, 2, 1), dtype=np.float64),
        )

    def kept(self, posterior: Posterior) -> list[tuple[float, float, float]]:
        """Return how much of what each earlier search expects holds here, and 95 % intervals.

        1: differences are as large as there, each in its own noise SDs; 0: nothing is left of them.
        """
        noise, found = posterior.noise_sd, []
        for column in range(1, 1 + self.earlier.shape[1]):
            mean, low, high = posterior.coefficient(column)
            found.append((mean / noise, low / noise, high / noise))
        return found

    def _fit(self, sums: Sums, n: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """By combination: log marginal likelihood (K,), coefficients (K, D), roots of their
        precision (K, D, D), and noise variances (K,), for n results."""
        found = self._whitened(sums)
        parts = [found[self._pair(k)] for k in range(len(self.combinations))]
        right = np.stack([part.right for part in parts]) + self.precisions * self.expected
        matrices = np.stack([part.gram for part in parts]) + _diagonal(self.precisions)
        roots = np.asarray(np.linalg.cholesky(matrices))
        coefficients = np.asarray(np.linalg.solve(matrices, right[:, :, None])[:, :, 0])
        squares = np.array([part.square for part in parts])
        squares += (self.precisions * self.expected**2).sum(axis=1)
        squares -= (coefficients * right).sum(axis=1)
        noise, freedom = self.prior.noise, self.prior.noise.runs + n
        totals = noise.runs * noise.sd**2 + np.maximum(squares, 0)
        log_likelihood = 0.5 * (
            np.log(self.precisions).sum(axis=1)
            - 2 * np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
            - np.array([part.log_noise for part in parts])
            - freedom * np.log(totals)
        )
        return log_likelihood, coefficients, roots, totals / freedom

    def _pair(self, combination: int | np.int64) -> tuple[int, float]:
        return self.combinations[combination][:2]

    def _whitened(self, sums: Sums) -> dict[tuple[int, float], Whitened]:
        """The whitened sums for each kernel and seed share."""
        found = {share: sums.whitened(self.bases, share) for share in self.prior.seed_shares}
        return {(k, share): parts[k] for share, parts in found.items() for k in range(len(parts))}


def _fixed_effects(
    candidates: Candidates, prior: ModelPrior, earlier: FloatArray
) -> tuple[FloatArray, list[float], list[float]]:
    """Features (M, H) besides the process, with the prior variances and means of their
    coefficients, in units of the noise variance and in points."""
    m, searches = len(candidates), earlier.shape[1]
    columns, variances, expected = [np.ones(m), *earlier.T], [LEVEL_VARIANCE], [0.0]
    variances += [KEPT_SD**2 / searches for _ in earlier.T]
    expected += [KEPT * prior.noise.sd / searches for _ in earlier.T]
    if prior.apart:
        columns.append(np.eye(m, 1)[:, 0])
        variances.append(prior.apart**2)
        expected.append(0.0)
    return np.stack(columns, axis=1), variances, expected


def _bases(kernels: Sequence[tuple[FloatArray, float]], fixed: FloatArray) -> FloatArray:
    """The fixed effects (M, H), the eigenfunctions and a column of zeros, (L, M, D).

    A kernel is features (M, F) and a length scale in medians of their distances.
    """
    m = len(fixed)
    functions = []
    for features, length in kernels:
        typical = float(np.median(pdist(features))) if m > 1 else 1.0
        functions.append(eigenfunctions(features, length * typical))
    rank = max(function.shape[1] for function in functions)
    bases = np.zeros((len(functions), m, fixed.shape[1] + rank + 1))
    bases[:, :, : fixed.shape[1]] = fixed
    for base, function in zip(bases, functions, strict=True):
        base[:, fixed.shape[1] : fixed.shape[1] + function.shape[1]] = function
    return bases


def _diagonal(entries: FloatArray) -> FloatArray:
    """Diagonal matrices (K, D, D) of entries (K, D)."""
    return np.asarray(entries[:, :, None] * np.eye(entries.shape[1]))
