"""Made-up benchmarks to search in, where the recorded ones do not tell: with known odds.

Each draws another truth: a smooth random function over the gradient shares of the family on the
class counts of CIFAR-100-LT, with the spread and the noise of the protocol. They differ in what
early epochs say of the end. A trial has 40 epochs: in 200 of them plain Ray Tune, which stops from
the first epoch on, starts thousands of trials, and a replay takes minutes.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.gaussian_process.kernels import Matern

from benchmarks.recording.design import first_points
from benchmarks.replay.surrogate import Replicates
from spaces import gradient_shares
from spaces.counts import FloatArray
from trainer.benchmarks import BENCHMARKS

BENCHMARK = BENCHMARKS["resnet32-cifar100lt"]
EPOCHS = 40
WEIGHTINGS = 120
EXACT = 10_000
"""Replicates that each mean is taken to be of: the surrogate then runs through all of them."""

CENTRE, SPREAD, NOISE, SEED_SHARE = 40.0, 0.8, 0.7, 0.3
"""Mean accuracy (percent), SD of true accuracies and of noise (points), seed's part of it."""


SYNTHETIC: dict[str, float] = {"early": 0.9, "late": 0.2, "reversed": -0.5}
"""Kind -> correlation of what is true before the first epoch with the end.

It rises to 1 with the square of the epochs.
"""


def design_shares() -> FloatArray:
    """Return the gradient shares of the design's first weightings, (W, C)."""
    counts = np.array(BENCHMARK.counts)
    points = first_points(counts, WEIGHTINGS)
    return np.stack([gradient_shares(counts, p.weighting.weights(counts)) for p in points])


def synthetic_replicates(foretells: float, shares: FloatArray, seed: int) -> Replicates:
    """Draw a benchmark: what weightings of these shares (W, C) truly give, and how runs scatter.

    ``foretells`` is as in ``SYNTHETIC``.
    """
    random = np.random.default_rng([seed, WEIGHTINGS])
    part = np.arange(1, EPOCHS + 1) / EPOCHS
    final, early = (SPREAD * _smooth(shares, random) for _ in range(2))
    told = foretells + (1 - foretells) * part**2
    average = CENTRE * (1 - np.exp(-8 * part))
    other = np.sqrt(np.maximum(1 - told**2, 0))
    means = average + np.outer(final, told) + np.outer(early, other)
    ends, ways = random.standard_normal((500, 1)), random.standard_normal((500, len(part)))
    residuals = NOISE * (np.sqrt(part) * ends + np.sqrt(1 - part) * ways)
    return Replicates(
        shares=shares,
        n=np.full(len(shares), EXACT),
        means=means,
        residuals=residuals - residuals.mean(axis=0),
        noise_sd=float(residuals[:, -1].std()),
        seed_sd=NOISE * SEED_SHARE**0.5,
    )


def _smooth(shares: FloatArray, random: np.random.Generator) -> FloatArray:
    """A smooth random function over the shares, mean 0 and standard deviation 1 over them, (W,)."""
    covariance = Matern(float(np.median(pdist(shares))), nu=2.5)(shares)
    drawn = random.multivariate_normal(np.zeros(len(shares)), covariance, method="eigh")
    return np.asarray((drawn - drawn.mean()) / drawn.std())
