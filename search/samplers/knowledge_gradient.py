"""Knowledge gradient: the trial after which the best choice is expected to be the most better.

The value of a trial is by how much it is expected to raise the highest posterior mean (Frazier,
Powell and Dayanik 2009), over all candidates that still could be the best. New candidates and
repetitions are told apart by nothing but that value.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from search.samplers.shares_posterior import Posterior
from spaces.counts import FloatArray

CONTENDERS = 70
"""Candidates of the highest mean plus ``OPTIMISM`` standard deviations, which are looked at."""
OPTIMISM = 2.0
NODES = np.linspace(-4.0, 4.0, 41)
"""What a trial may say, in standard deviations from what is expected: nodes of a quadrature."""


def knowledge_gradient(means: FloatArray, covariance: FloatArray, noise: float) -> FloatArray:
    """Return the expected rise of the highest mean by one trial of each of R candidates, (R,).

    Args:
        means: posterior means, (R,).
        covariance: of the R true scores and, last, of what the seed of the trial does to all,
            (R + 1, R + 1).
        noise: variance of a result besides both.
    """
    chances = np.exp(-(NODES**2) / 2)
    steps = np.ascontiguousarray(_steps(covariance, noise)[:, :-1].T)
    after = np.zeros(len(means))
    for node, chance in zip(NODES, chances / chances.sum(), strict=True):
        after += chance * (means[:, None] + node * steps).max(axis=0)
    return np.asarray(after - means.max())


def _steps(covariance: FloatArray, noise: float) -> FloatArray:
    """By how much a result one SD too high raises each mean, (R, R + 1): a row for each trial."""
    shared = covariance[:-1] + covariance[-1]
    variance = np.diagonal(shared) + shared[:, -1] + noise
    return np.asarray(shared / np.sqrt(variance)[:, None])


def picks(posterior: Posterior, number: int, taken: Collection[int] = ()) -> list[int]:
    """Return up to ``number`` candidates for trials with one seed, one picked after the other.

    Each pick changes what the next are worth, as if its trial had been run without its result
    being known. All differ: a trial repeated with its seed says nothing new.

    Args:
        posterior: with the seed of these trials.
        taken: candidates that have a trial with this seed.
    """
    mean = posterior.mean
    order = np.argsort(-(mean + OPTIMISM * posterior.contender_sd()), kind="stable")
    rows = order[: CONTENDERS + len(taken) + number]
    covariance, noise = posterior.covariance(rows), posterior.own_noise
    free = ~np.isin(rows, list(taken))
    found: list[int] = []
    while len(found) < number and free.any():
        gains = np.where(free, knowledge_gradient(mean[rows], covariance, noise), -np.inf)
        best = int(gains.argmax())
        found.append(int(rows[best]))
        free[best] = False
        step = _steps(covariance, noise)[best]
        covariance = covariance - np.outer(step, step)
    return found
