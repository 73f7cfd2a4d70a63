"""Made-up benchmarks in pairs: one of 10 classes that was searched, and one of 100 that will be.

Both have the class counts of their CIFAR benchmarks, and the spread and noise of
``benchmarks.replay.synthetic``. Truths are functions that exist on either: ``mech`` is its
mechanism, in which classes compete by their relative counts; ``smooth`` and ``rough`` are Matern
processes over the gradient shares of the tenths of the classes, by rank.
"""

from __future__ import annotations

import functools

import numpy as np

from benchmarks.heavy_tail import heavy_tailed
from benchmarks.recording.design import first_points
from benchmarks.replay.synthetic import (
    AVERAGE,
    EPOCHS,
    ROUGH,
    SPREAD,
    WEIGHTINGS,
    Function,
    Surface,
    correlations,
    mechanism,
    process,
    replicates_of,
    scaled,
)
from benchmarks.replay.world import World
from spaces import gradient_shares
from spaces.counts import FloatArray
from trainer.benchmarks import BENCHMARKS

BEFORE, NOW = "resnet32-cifar10lt", "resnet32-cifar100lt"
KINDS = {"mech": None, "smooth": (2.5, 1.0), "rough": ROUGH}
"""Kind -> smoothness and length scale of its process; None for the mechanism."""

RELATIONS = {"same": 1.0, "related": 0.7, "unrelated": 0.0, "opposite": -1.0}
"""Truth of 10 classes -> its correlation with that of 100."""


def world_of(kind: str, benchmark: str, seed: int, correlation: float = 1.0) -> World:
    """Draw a benchmark whose truth has this correlation with the truth of ``seed``."""
    shares = design_shares(benchmark)
    mine, other = (standard(kind, benchmark, [seed, part]) for part in range(2))
    rest = np.sqrt(1 - correlation**2)

    def final(points: FloatArray) -> FloatArray:
        height = correlation * mine(points) + (rest * other(points) if rest else 0)
        return np.asarray(AVERAGE[-1] + SPREAD * height)

    random = np.random.default_rng([seed, len(shares), round(100 * correlation) + 100])
    ends, ways = heavy_tailed((500, 1), random), random.standard_normal((500, EPOCHS))
    replicates = replicates_of(shares, np.empty((0, EPOCHS)), ends, ways)
    surface = Surface(replicates, final, lambda points: 0 * final(points), correlations(1), AVERAGE)
    return World(surface, np.array(BENCHMARKS[benchmark].counts), "core")


@functools.cache
def design_shares(benchmark: str) -> FloatArray:
    """Return the gradient shares of the design's first weightings, (W, C)."""
    counts = np.array(BENCHMARKS[benchmark].counts)
    points = first_points(counts, WEIGHTINGS)
    return np.stack([gradient_shares(counts, p.weighting.weights(counts)) for p in points])


def standard(kind: str, benchmark: str, seed: list[int]) -> Function:
    """Draw a truth of mean 0 and standard deviation 1 over the design, the same on both counts."""
    random = np.random.default_rng(seed)
    shape = KINDS[kind]
    if shape is None:
        drawn = mechanism(np.array(BENCHMARKS[benchmark].counts, dtype=np.float64), random)
    else:
        of_tenths = process(tenths(design_shares(NOW)), *shape, random)

        def drawn(shares: FloatArray) -> FloatArray:
            return of_tenths(tenths(shares))

    return scaled(drawn, design_shares(benchmark), 1.0, 0.0)


def tenths(shares: FloatArray) -> FloatArray:
    """Return the sums of shares (N, C) over the tenths of the classes, (N, 10)."""
    return np.asarray(shares.reshape(len(shares), 10, -1).sum(axis=2))
