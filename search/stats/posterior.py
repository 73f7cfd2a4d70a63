"""Posterior of a linear mixed model: a few arms, and seeds that shift all arms alike.

The linear algebra behind `search.stats.comparison.compare`, which states the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from search.stats.priors import NoisePrior, normalised
from spaces.counts import FloatArray

SMALLEST, LARGEST = 1e-300, 1 - 1e-16
"""Probabilities of which the normal quantile is finite."""


@dataclass(frozen=True)
class Blocks:
    """Sums over the runs of k arms and J seeds.

    Attributes:
        ran: (k, J), 1 where the arm ran with the seed.
        arm_sums, seed_sums: of the values, (k,) and (J,); ``square_sum`` of their squares.
    """

    ran: FloatArray
    arm_sums: FloatArray
    seed_sums: FloatArray
    square_sum: float

    @classmethod
    def of(cls, table: FloatArray) -> Blocks:
        ran = np.isfinite(table).astype(np.float64)
        values = np.where(ran > 0, table, 0.0)
        return cls(ran, values.sum(axis=1), values.sum(axis=0), float((values**2).sum()))


@dataclass(frozen=True)
class Mixture:
    """The posterior as a mixture over G pairs of seed share and spread ratio.

    Attributes:
        weights: (G,) probabilities of the pairs.
        means: (G, k) of the true accuracies.
        roots: (G, k, k) matrices S; given the noise variance v, S S' v is the covariance.
        scales, freedom: v is scale / chi-square(freedom), scales (G,).
    """

    weights: FloatArray
    means: FloatArray
    roots: FloatArray
    scales: FloatArray
    freedom: float

    def sample(self, draws: int, low: float, high: float) -> tuple[FloatArray, FloatArray]:
        """Draw noise variances (D,) and true accuracies (D, k); always the same.

        Accuracies outside of [low, high] are not possible: where some are drawn, all draws are
        made again on condition that none is.
        """
        random = np.random.default_rng(0)
        picks = random.choice(len(self.weights), size=draws, p=self.weights)
        variances = self.scales[picks] / random.chisquare(self.freedom, draws)
        normal = random.standard_normal((draws, self.means.shape[1]))
        deviations = np.einsum("dij,dj->di", self.roots[picks], normal)
        values = self.means[picks] + np.sqrt(variances)[:, None] * deviations
        if ((values >= low) & (values <= high)).all():
            return variances, values
        roots = self.roots[picks] * np.sqrt(variances)[:, None, None]
        values, weights = truncated_normal(self.means[picks], roots, normal, low, high)
        kept = random.choice(draws, size=draws, p=weights)
        return variances[kept], values[kept]


def truncated_normal(
    means: FloatArray, roots: FloatArray, normal: FloatArray, low: float, high: float
) -> tuple[FloatArray, FloatArray]:
    """Draw from D normal distributions in k dimensions, truncated to [low, high]^k.

    One coordinate after the other, each given those before it, with the weights of importance
    sampling (Geweke, Hajivassiliou and Keane; Geweke 1991, "Efficient simulation from the
    multivariate normal and Student-t distributions subject to linear constraints").

    Args:
        means: (D, k).
        roots: (D, k, k) lower triangular S, S S' the covariance.
        normal: (D, k) independent standard normal numbers.

    Returns:
        The draws (D, k) and their weights (D,), summing to 1.
    """
    within = np.zeros_like(normal)
    log_weights = np.zeros(len(normal))
    for i in range(normal.shape[1]):
        given = means[:, i] + (roots[:, i, :i] * within[:, :i]).sum(axis=1)
        below = ndtr((low - given) / roots[:, i, i])
        share = np.maximum(ndtr((high - given) / roots[:, i, i]) - below, SMALLEST)
        within[:, i] = ndtri(np.clip(below + ndtr(normal[:, i]) * share, SMALLEST, LARGEST))
        log_weights += np.log(share)
    values = means + (roots * within[:, None, :]).sum(axis=2)
    return np.clip(values, low, high), normalised(log_weights)


def solve(
    blocks: Blocks,
    candidate: npt.NDArray[np.bool_],
    shares: FloatArray,
    ratios: FloatArray,
    prior: NoisePrior,
) -> Mixture:
    """Solve the model at G pairs; ``candidate`` (k,) is False for controls."""
    data, right, squares, log_noise = _whitened(blocks, shares)
    k, flat = int(candidate.sum()), int((~candidate).sum()) + bool(candidate.any())
    # Candidates are pulled to their mean, which has a flat prior, as have the controls.
    pull = np.diag(candidate.astype(np.float64)) - np.outer(candidate, candidate) / max(k, 1)
    covariance = np.linalg.inv(data + pull / ratios[:, None, None])
    roots = np.linalg.cholesky(covariance)
    means = (covariance @ right[:, :, None])[:, :, 0]
    log_covariance = 2 * np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
    freedom = float(prior.runs + blocks.ran.sum() - flat)
    residual = np.maximum(squares - (means * right).sum(axis=1), 0)
    scales = prior.runs * prior.sd**2 + residual
    log_weights = log_covariance - log_noise - max(k - 1, 0) * np.log(ratios)
    weights = normalised(0.5 * (log_weights - freedom * np.log(scales)))
    return Mixture(weights, means, roots, scales, freedom)


def _whitened(
    blocks: Blocks, shares: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The sums of generalised least squares at noise variance 1, for G seed shares.

    With X (N, k) the arm of each run, y (N,) the values and V their covariance, which is compound
    symmetric within a seed: X' V^-1 X (G, k, k), X' V^-1 y (G, k), y' V^-1 y and log |V|, (G,).
    """
    ran, own = blocks.ran, 1 - shares
    in_seed = own[:, None] + shares[:, None] * ran.sum(axis=0)
    shared = shares[:, None] / (own[:, None] * in_seed)
    design = np.diag(ran.sum(axis=1)) / own[:, None, None]
    design -= np.einsum("ij,gj,lj->gil", ran, shared, ran)
    right = blocks.arm_sums / own[:, None] - (shared * blocks.seed_sums) @ ran.T
    squares = blocks.square_sum / own - shared @ blocks.seed_sums**2
    used = ran.sum(axis=0) > 0
    log_noise = (ran.sum() - used.sum()) * np.log(own) + np.log(in_seed[:, used]).sum(axis=1)
    return design, right, squares, log_noise
