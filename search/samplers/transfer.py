"""Transfer of an earlier search: what its model expected of weightings, at a new one's candidates.

A weighting is a function of class counts, by their ranks and their ratios to the largest. So the
weightings of a search on 10 classes are weightings on 8,142, too, and are neighbours of the new
candidates there: a Gaussian process passes through what was expected of them, and is 0, the
average, far from all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist, pdist

from search.samplers.candidates import Candidates, Counts
from search.samplers.matern import matern
from search.samplers.registry import PRIOR_POINTS
from search.samplers.shares_posterior import Posterior
from spaces import Weighting, WeightingError
from spaces.counts import FloatArray

NUGGET = 1e-4
"""Variance of what is passed on, besides the process of variance 1."""


@dataclass(frozen=True)
class Expected:
    """What an earlier search expects of weightings, the first of which are uniform weights.

    Attributes:
        weightings: P of them, PRIOR_POINTS at most.
        means: posterior means less the average of all candidates, in noise SDs of the earlier
            search, (P,).
    """

    weightings: tuple[Weighting, ...]
    means: tuple[float, ...]


def expected_of(candidates: Candidates, posterior: Posterior) -> Expected:
    """Return what a search expects; its first candidate is uniform weights."""
    means = (posterior.mean - posterior.mean.mean())[:PRIOR_POINTS] / posterior.noise_sd
    return Expected(candidates.weightings[:PRIOR_POINTS], tuple(round(float(m), 6) for m in means))


def transferred(candidates: Candidates, counts: Counts, earlier: Sequence[Expected]) -> FloatArray:
    """Return what E earlier searches expect of the M candidates, in noise SDs, (M, E).

    Uniform weights, the first candidate, are uniform weights there, too. Weightings that the guards
    refuse on the counts say nothing.
    """
    columns = [_column(candidates, counts, one) for one in earlier]
    return np.stack(columns, axis=1) if columns else np.zeros((len(candidates), 0))


def _column(candidates: Candidates, counts: Counts, expected: Expected) -> FloatArray:
    shares, means = [], []
    for weighting, mean in zip(expected.weightings[1:], expected.means[1:], strict=True):
        try:
            shares.append(counts.shares(weighting))
        except WeightingError:
            continue
        means.append(mean)
    found = np.zeros(len(candidates))
    if means and len(candidates) > 1:
        known = counts.features(np.stack(shares))
        length = float(np.median(pdist(candidates.features)))
        covariance = matern(cdist(known, known) / length) + NUGGET * np.eye(len(known))
        pull = cho_solve(cho_factor(covariance), np.array(means))
        found = matern(cdist(candidates.features, known) / length) @ pull
    found[0] = expected.means[0]
    return found
