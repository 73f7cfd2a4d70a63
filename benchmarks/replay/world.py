"""Truth of a replay: every weighting's accuracy, and the best that could be found."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from benchmarks.recording.design import candidates
from benchmarks.replay.surrogate import LEAST_NOISE, Surrogate
from benchmarks.replay.synthetic import Surface
from search.config.controls import controls_for
from search.stats.priors import GUESS, NoisePrior
from spaces import (
    BASELINES,
    NAMED,
    SPACES,
    Weighting,
    WeightingError,
    check_weights,
    gradient_shares,
)
from spaces.counts import FloatArray

DENSE = 4096
"""Points of low discrepancy over the space, the best of which is taken for the best of all."""

SEARCH, OWN, SEED = range(3)
"""Independent sources of noise: search runs, confirmation runs, and what their seeds do."""


@dataclass(frozen=True)
class Candidate:
    """A weighting in the replay.

    Attributes:
        weights: on the class counts, (C,).
        curve: true mean best accuracy so far, percent, (E,).
    """

    weights: FloatArray
    curve: FloatArray

    @property
    def truth(self) -> float:
        """The true final accuracy, percent."""
        return float(self.curve[-1])


class World:
    """The surrogate over a space, with the controls and the best in it.

    Attributes:
        counts: training images per class, (C,).
        epochs: E of a full-length trial.
        controls: the baselines, by name; ``uniform`` is one of them.
        best: the highest true accuracy of a dense set of the space and the controls, percent.
        average, spread: mean and standard deviation of the true accuracies of that set, points.
        noise: what a search knows of the noise beforehand.
    """

    def __init__(
        self,
        surrogate: Surrogate | Surface,
        counts: npt.NDArray[np.int64],
        space: str,
        noise: NoisePrior = GUESS,
    ) -> None:
        self.noise = noise
        self.surrogate, self.counts, self.space = surrogate, counts, SPACES[space]
        self.epochs = int(surrogate.replicates.means.shape[1])
        names = controls_for(BASELINES, [counts]).names
        self.controls = {name: self.candidate(NAMED[name].weighting) for name in names}
        dense = surrogate.finals(_dense_shares(tuple(counts.tolist()), space))
        self.average, self.spread = float(dense.mean()), float(dense.std())
        self.best = max(float(dense.max()), *(c.truth for c in self.controls.values()))

    def candidate(self, weighting: Weighting) -> Candidate:
        """Return what is true of a weighting.

        Raises:
            WeightingError: the guards refuse it.
        """
        weights = weighting.weights(self.counts)
        check_weights(self.counts, weights)
        shares = gradient_shares(self.counts, weights)
        return Candidate(weights, self.surrogate.curves(shares[None])[0])

    def search_run(self, candidate: Candidate, repetition: tuple[int, ...], n: int) -> FloatArray:
        """Return the curve of the n-th run of a search, (E,): the same noise in every arm."""
        random = np.random.default_rng([*repetition, SEARCH, n])
        return candidate.curve + self.surrogate.residual(random)

    def confirmation_run(
        self, candidate: Candidate, repetition: tuple[int, ...], arm: int, seed: int
    ) -> float:
        """Return the final accuracy, percent, of an arm with a seed that all arms share."""
        noise = self.surrogate.replicates
        of_seed = np.random.default_rng([*repetition, SEED, seed]).standard_normal()
        random = np.random.default_rng([*repetition, OWN, arm, seed])
        own = self.surrogate.residual(random)[-1] / max(noise.noise_sd, LEAST_NOISE)
        return candidate.truth + float(noise.seed_sd * of_seed + noise.own_sd * own)


@functools.cache
def _dense_shares(counts: tuple[int, ...], space: str) -> FloatArray:
    """Gradient shares (N, C) of the first points of a space that the guards let through."""
    shares = []
    for weighting in islice(candidates(SPACES[space]), DENSE):
        weights = weighting.weights(counts)
        try:
            check_weights(counts, weights)
        except WeightingError:
            continue
        shares.append(gradient_shares(counts, weights))
    return np.stack(shares)
