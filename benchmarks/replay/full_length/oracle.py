"""Oracle of a replay: a model that knows what truths its world draws, and how runs scatter.

What it does not know is the truth that was drawn. A search with it says what is within reach: no
other model can do better on average, but for two things. It looks one trial ahead, as the search
that it is compared with does; and of truths that are no Gaussian process it knows mean and
covariance alone.

- A recorded table, ``late``, ``early`` and ``reversed``: the kernel that was fitted to the means.
- ``rough``: its kernel.
- ``mech`` and ``peak``: mean and covariance of ``DRAWS`` other truths of the kind.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.gaussian_process.kernels import Matern

from benchmarks.replay.surrogate import Surrogate
from benchmarks.replay.synthetic import ROUGH, SPREAD, design_shares, surface_function
from benchmarks.replay.world import World
from search.samplers.candidates import Candidates
from search.samplers.shares_model import LEVEL_VARIANCE, ModelPrior, SharesModel
from search.stats.priors import NoisePrior
from spaces import gradient_shares
from spaces.counts import FloatArray

ORACLE = "oracle"
"""Name of its arm."""
DRAWS = 2000
OTHERS = 1_000_000
"""First seed of these draws, which are none of a repetition's."""
RANK = 160
"""Eigenfunctions that the oracle keeps."""
CERTAIN = 1e-8
"""Prior variance of what is known, in units of the noise variance."""
KNOWN_RUNS = 1000.0
"""Degrees of freedom of a noise that is known."""


class OracleModel(SharesModel):
    """The model of shares, with the mean and the covariance of the truth in place of a guess."""

    def __init__(
        self, candidates: Candidates, mean: FloatArray, covariance: FloatArray, world: World
    ) -> None:
        """``mean`` (M,) and ``covariance`` (M, M) are of the true accuracies, points."""
        runs = world.surrogate.replicates
        share = runs.seed_sd**2 / runs.noise_sd**2
        values, vectors = np.linalg.eigh(covariance)
        functions = vectors[:, -RANK:] * np.sqrt(np.maximum(values[-RANK:], 0))
        m = len(candidates)
        self.candidates, self.earlier = candidates, np.zeros((m, 0))
        self.prior = ModelPrior(seed_shares=(share,), noise=NoisePrior(runs.noise_sd, KNOWN_RUNS))
        columns = [np.ones((m, 1)), mean[:, None], functions / runs.noise_sd, np.zeros((m, 1))]
        self.bases = np.concatenate(columns, axis=1)[None]
        self.combinations = [(0, share, 1.0)]
        rank = functions.shape[1]
        variances = [LEVEL_VARIANCE, CERTAIN, *[1.0] * rank, max(share, CERTAIN)]
        self.precisions = 1 / np.array([variances])
        self.expected = np.eye(rank + 3)[1]


def oracle(world: World, candidates: Candidates) -> OracleModel:
    """Return the model of an oracle for a world."""
    weights = [weighting.weights(world.counts) for weighting in candidates.weightings]
    shares = np.stack([gradient_shares(world.counts, w) for w in weights])
    if isinstance(world.surrogate, Surrogate):
        covariance = world.surrogate.final_covariance(shares)
        return OracleModel(candidates, np.zeros(len(shares)), covariance, world)
    mean, covariance = moments(world.surrogate.kind, shares.tobytes(), shares.shape)
    return OracleModel(candidates, mean, covariance, world)


@functools.lru_cache(maxsize=4)
def moments(kind: str, content: bytes, shape: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Return mean (M,) and covariance (M, M) of truths that a kind of ``SURFACES`` draws, points.

    They are at shares (M, C) of this ``shape`` and, as bytes, this ``content``.
    """
    shares, design = np.frombuffer(content).reshape(shape), design_shares()
    if kind == "rough":
        smoothness, length = ROUGH
        kernel = Matern(length * float(np.median(pdist(design))), nu=smoothness)
        return np.zeros(len(shares)), SPREAD**2 * kernel(shares)
    drawn = []
    for number in range(DRAWS):
        function = surface_function(kind, design, np.random.default_rng(OTHERS + number))
        at_design = function(design)
        drawn.append(SPREAD * (function(shares) - at_design.mean()) / at_design.std())
    return np.mean(drawn, axis=0), np.cov(np.transpose(drawn))
