"""What do the runs of a few arms say of their true accuracies, if seeds shift all arms alike?

The linear algebra behind `search.comparison.compare`, which states the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.ranking import PRIOR_RUNS, FloatArray, normalised


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

    def sample(self, draws: int) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
        """Draw pairs (D,), noise variances (D,) and true accuracies (D, k); always the same."""
        random = np.random.default_rng(0)
        picks = random.choice(len(self.weights), size=draws, p=self.weights)
        variances = self.scales[picks] / random.chisquare(self.freedom, draws)
        normal = random.standard_normal((draws, self.means.shape[1]))
        deviations = np.einsum("dij,dj->di", self.roots[picks], normal)
        return picks, variances, self.means[picks] + np.sqrt(variances)[:, None] * deviations


def solve(
    blocks: Blocks,
    candidate: npt.NDArray[np.bool_],
    shares: FloatArray,
    ratios: FloatArray,
    noise_guess: float,
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
    freedom = float(PRIOR_RUNS + blocks.ran.sum() - flat)
    residual = np.maximum(squares - (means * right).sum(axis=1), 0)
    scales = PRIOR_RUNS * noise_guess**2 + residual
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
