"""Posterior of the model of gradient shares: what is known of all candidates' true scores."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import stdtr

from spaces.counts import FloatArray


@dataclass(frozen=True)
class Posterior:
    """Posterior over the M candidates: a mixture over K combinations of the model's few numbers.

    Attributes:
        weights: probabilities of the combinations, (K,).
        means: of the true scores, (K, M).
        scales: noise variances, (K,): their posterior is ``freedom`` times this, over a
            chi-square variable.
        freedom: degrees of freedom.
        seed_shares: parts of the noise that are the seed's, (K,).
        bases: features of the candidates for each of L kernels, (L, M, D); the last of the D stands
            for one seed.
        kernel: that of each combination, (K,).
        coefficients: their posterior means, (K, D).
        roots: (K, D, D) matrices S: S S' times ``scales`` is the covariance of the coefficients,
            given that the pending trials will end.
    """

    weights: FloatArray
    means: FloatArray
    scales: FloatArray
    freedom: float
    seed_shares: FloatArray
    bases: FloatArray
    kernel: npt.NDArray[np.int64]
    coefficients: FloatArray
    roots: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Posterior means of the true scores, (M,)."""
        return np.asarray(self.weights @ self.means)

    @property
    def noise_sd(self) -> float:
        """Standard deviation of a result, its seed's part included."""
        return float(np.sqrt(self.weights @ self.scales))

    @property
    def own_noise(self) -> float:
        """Variance of a result besides what its seed does to all."""
        return float(self.weights @ (self.scales * (1 - self.seed_shares)))

    def sd(self) -> FloatArray:
        """Return the posterior standard deviations of the true scores, (M,).

        They are infinite up to 2 degrees of freedom.
        """
        variances, spread = self._variances
        factor = self.freedom / (self.freedom - 2) if self.freedom > 2 else np.inf
        return np.asarray(np.sqrt(factor * variances + spread))

    def contender_sd(self) -> FloatArray:
        """Return what ``sd`` would be if the noise variances were known to be ``scales``, (M,)."""
        variances, spread = self._variances
        return np.asarray(np.sqrt(variances + spread))

    @property
    def _variances(self) -> tuple[FloatArray, FloatArray]:
        """Variances within the combinations, of noise ``scales``, and between their means, (M,)."""
        variances = ((self.bases @ self._between) * self.bases).sum(axis=(0, 2))
        return np.maximum(variances, 0), self.weights @ (self.means - self.mean) ** 2

    def covariance(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        """Return the covariance of R candidates' true scores and the seed, (R + 1, R + 1).

        The noise variances are taken to be ``scales``, as in ``contender_sd``.
        """
        kernels, _, d = self.bases.shape
        seed = np.zeros((kernels, 1, d))
        seed[:, :, -1] = 1.0
        features = np.concatenate([self.bases[:, rows], seed], axis=1)
        away = np.zeros((len(self.weights), len(rows) + 1))
        away[:, :-1] = (self.means - self.mean)[:, rows]
        found = (features @ self._between @ features.transpose(0, 2, 1)).sum(axis=0)
        return np.asarray(found + (away.T * self.weights) @ away)

    @functools.cached_property
    def _between(self) -> FloatArray:
        """Covariances of the coefficients, summed over the combinations of a kernel with their
        weights, (L, D, D)."""
        scaled = self.roots * np.sqrt(self.weights * self.scales)[:, None, None]
        found = np.zeros((len(self.bases), *self.roots.shape[1:]))
        for kernel in np.unique(self.kernel):
            flat = np.concatenate(list(scaled[self.kernel == kernel]), axis=1)
            found[kernel] = flat @ flat.T
        return found

    def sample(self, rows: npt.NDArray[np.int64], draws: int) -> FloatArray:
        """Draw true scores of R candidates jointly, (draws, R); always the same."""
        random = np.random.default_rng(0)
        picks = random.choice(len(self.weights), size=draws, p=self.weights)
        variances = self.scales[picks] * self.freedom / random.chisquare(self.freedom, draws)
        normal = random.standard_normal((draws, self.roots.shape[2]))
        deviations = np.empty((draws, len(rows)))
        for k in np.unique(picks):
            half = self.bases[self.kernel[k]][rows] @ self.roots[k]
            deviations[picks == k] = normal[picks == k] @ half.T
        return np.asarray(self.means[picks][:, rows] + np.sqrt(variances)[:, None] * deviations)

    def interval(self, a: int, b: int | None = None) -> tuple[float, float]:
        """Return the 95 % interval of a candidate's true score, or of its lead over another."""
        contrast = (self.bases[:, a] - (0 if b is None else self.bases[:, b]))[self.kernel]
        centres = self.means[:, a] - (0 if b is None else self.means[:, b])
        return self._interval(centres, (contrast[:, None] @ self.roots)[:, 0])

    def coefficient(self, number: int) -> tuple[float, float, float]:
        """Return the mean and the 95 % interval of a coefficient, from 0 to D - 1."""
        low, high = self._interval(self.coefficients[:, number], self.roots[:, number])
        return float(self.weights @ self.coefficients[:, number]), low, high

    def _interval(self, centres: FloatArray, half: FloatArray) -> tuple[float, float]:
        """The 95 % interval of what has means (K,) and, times its transpose, covariance (K, D)."""
        sds = np.sqrt(self.scales * (half**2).sum(axis=1))
        return _quantile(self, centres, sds, 0.025), _quantile(self, centres, sds, 0.975)


def _quantile(posterior: Posterior, centres: FloatArray, sds: FloatArray, level: float) -> float:
    """A quantile of the mixture of t distributions with these centres and scales, (K,)."""
    if not sds.max() > 0:
        return float(posterior.weights @ centres)

    def excess(x: float) -> float:
        below = stdtr(posterior.freedom, (x - centres) / np.maximum(sds, 1e-12))
        return float(posterior.weights @ below) - level

    low, high = float((centres - 50 * sds).min()), float((centres + 50 * sds).max())
    return float(brentq(excess, low, high, xtol=1e-6))
