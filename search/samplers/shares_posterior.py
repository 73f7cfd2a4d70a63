"""Posterior of the model of gradient shares: what is known of all candidates' true scores."""

from __future__ import annotations

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
        design: features of the candidates, (K, M, D); the last of the D stands for one seed.
        coefficients: their posterior means, (K, D).
        roots: (K, D, D) matrices S: S S' times ``scales`` is the covariance of the coefficients,
            given that the pending trials will end.
    """

    weights: FloatArray
    means: FloatArray
    scales: FloatArray
    freedom: float
    seed_shares: FloatArray
    design: FloatArray
    coefficients: FloatArray
    roots: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Posterior means of the true scores, (M,)."""
        return np.asarray(self.weights @ self.means)

    @property
    def own_noise(self) -> float:
        """Variance of a result besides what its seed does to all."""
        return float(self.weights @ (self.scales * (1 - self.seed_shares)))

    def sd(self) -> FloatArray:
        """Return the posterior standard deviations of the true scores, (M,)."""
        variances = self.scales[:, None] * ((self.design @ self.roots) ** 2).sum(axis=2)
        spread = (self.means - self.mean) ** 2
        return np.asarray(np.sqrt(self.weights @ (variances + spread)))

    def covariance(self, rows: npt.NDArray[np.int64]) -> FloatArray:
        """Return the covariance of R candidates' true scores and the seed, (R + 1, R + 1)."""
        k, _, d = self.design.shape
        seed = np.zeros((k, 1, d))
        seed[:, :, -1] = 1.0
        half = np.concatenate([self.design[:, rows], seed], axis=1) @ self.roots
        half *= np.sqrt(self.weights * self.scales)[:, None, None]
        away = np.zeros((k, len(rows) + 1))
        away[:, :-1] = (self.means - self.mean)[:, rows] * np.sqrt(self.weights)[:, None]
        flat = np.concatenate([half, away[:, :, None]], axis=2)
        flat = flat.transpose(1, 0, 2).reshape(len(rows) + 1, -1)
        return np.asarray(flat @ flat.T)

    def sample(self, rows: npt.NDArray[np.int64], draws: int) -> FloatArray:
        """Draw true scores of R candidates jointly, (draws, R); always the same."""
        random = np.random.default_rng(0)
        picks = random.choice(len(self.weights), size=draws, p=self.weights)
        variances = self.scales[picks] * self.freedom / random.chisquare(self.freedom, draws)
        half = self.design[:, rows] @ self.roots
        normal = random.standard_normal((draws, half.shape[2]))
        deviations = np.empty((draws, len(rows)))
        for k in np.unique(picks):
            deviations[picks == k] = normal[picks == k] @ half[k].T
        return np.asarray(self.means[picks][:, rows] + np.sqrt(variances)[:, None] * deviations)

    def interval(self, a: int, b: int | None = None) -> tuple[float, float]:
        """Return the 95 % interval of a candidate's true score, or of its lead over another."""
        contrast = self.design[:, a] - (0 if b is None else self.design[:, b])
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
