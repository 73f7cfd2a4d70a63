"""Matern-5/2 process over many points, reduced to its leading eigenfunctions."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from spaces.counts import FloatArray

RANK = 48
"""Eigenfunctions at most."""
PIVOTS = 160
"""Points at most from which they are computed."""
NOTHING_LEFT = 1e-9
"""Share of the variance of a point below which it adds nothing."""


def eigenfunctions(features: FloatArray, length: float) -> FloatArray:
    """Return the leading eigenfunctions of a Matern-5/2 process over M points, (M, up to RANK).

    Each is scaled by the root of its eigenvalue, so that independent standard normal coefficients
    give a process of variance 1. The eigenvalues are those of a pivoted Cholesky factor (Harbrecht,
    Peters and Schneider 2012), which costs M times its squared rank.

    Args:
        features: (M, F).
        length: length scale, in their unit.
    """
    m = len(features)
    rest, factor = np.ones(m), np.zeros((m, min(PIVOTS, m)))
    for k in range(factor.shape[1]):
        pivot = int(rest.argmax())
        if rest[pivot] < NOTHING_LEFT:
            break
        column = matern(cdist(features, features[pivot : pivot + 1])[:, 0] / length)
        column -= factor[:, :k] @ factor[pivot, :k]
        factor[:, k] = column / np.sqrt(rest[pivot])
        rest = np.maximum(rest - factor[:, k] ** 2, 0)
    left, values, _ = np.linalg.svd(factor, full_matrices=False)
    return np.asarray((left * values)[:, :RANK])


def matern(distances: FloatArray) -> FloatArray:
    """Return the Matern-5/2 correlations at distances in length scales."""
    scaled = np.sqrt(5) * distances
    return np.asarray((1 + scaled + scaled**2 / 3) * np.exp(-scaled))
