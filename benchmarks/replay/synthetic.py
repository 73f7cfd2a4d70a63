"""Made-up benchmarks to search in, where the recorded ones do not tell: with known odds.

Each draws another truth over the gradient shares of the family on the class counts of
CIFAR-100-LT, with the spread and the noise of the protocol. A trial has 40 epochs: in 200 of them
plain Ray Tune, which stops from the first epoch on, starts thousands of trials, and a replay takes
minutes. ``early``, ``late`` and ``reversed`` are smooth random functions (a Matern-5/2 process,
interpolated between the weightings of the design), which differ in what early epochs say of the
end. The others are formulas, whose noise has a heavy lower tail (one run in ten ends 2.5 standard
deviations worse):

- ``mech``: classes compete. Class c has the margin ``q_c + g (ln s_c - mean ln s)``, its quality
  ``q_c = a + b ln(n_c / n_max)`` growing with its images; its recall is the logistic function of
  the margin, accuracy the mean recall, less ``h ln(1 / k)`` for weights that let few images count
  (k: Kish's fraction). a, b, g and h are drawn.
- ``peak``: accuracy falls off in proportion to the distance (root mean square of the differences of
  log shares) from a weighting of the design that is drawn.
- ``rough``: a Matern-3/2 process with half the length scale of ``late``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.gaussian_process.kernels import Matern

from benchmarks.heavy_tail import heavy_tailed
from benchmarks.recording.design import first_points
from benchmarks.replay.surrogate import Replicates, Surrogate
from spaces import gradient_shares
from spaces.counts import FloatArray
from trainer.benchmarks import BENCHMARKS

BENCHMARK = BENCHMARKS["resnet32-cifar100lt"]
COUNTS = np.array(BENCHMARK.counts, dtype=np.float64)
EPOCHS = 40
WEIGHTINGS = 120
EXACT = 10_000
"""Replicates that each mean is taken to be of: the surrogate then runs through all of them."""

CENTRE, SPREAD, NOISE, SEED_SHARE = 40.0, 0.8, 0.7, 0.3
"""Mean accuracy (percent), SD of true accuracies and of noise (points), seed's part of it."""

MECHANISM = (0.0, 0.1, 0.5, 0.0), (1.5, 0.4, 1.2, 0.03)
"""Lowest and highest a, b, g and h of ``mech``. The best exponent is then anywhere from 0 to 1."""
WAVES = 1000
"""Random Fourier features of a drawn process."""
ROUGH = 1.5, 0.5
"""Smoothness of ``rough``, and its length scale in medians of the distances."""
PART = np.arange(1, EPOCHS + 1) / EPOCHS
AVERAGE = CENTRE * (1 - np.exp(-8 * PART))
"""Mean curve of all weightings, percent, (EPOCHS,)."""

SURFACES = ("mech", "peak", "rough")
"""The kinds that are formulas."""

SYNTHETIC: dict[str, float] = {
    "early": 0.9,
    "late": 0.2,
    "reversed": -0.5,
    **dict.fromkeys(SURFACES, 0.2),
}
"""Kind -> correlation of what is true before the first epoch with the end.

It rises to 1 with the square of the epochs.
"""


Function = Callable[[FloatArray], FloatArray]
"""Shares (N, C) -> a number for each, (N,)."""


@dataclass(frozen=True)
class Surface:
    """A made-up truth, in the place of a ``Surrogate``.

    Attributes:
        replicates: what a table of the design's weightings would tell, with the noise.
        final: true final accuracies, percent; ``early``: what is true before the first epoch
            besides, points.
        told: correlation with the end by epoch, (E,); ``average``: mean curve, percent, (E,).
        kind: of ``SURFACES``; "" for none of them.
    """

    replicates: Replicates
    final: Function
    early: Function
    told: FloatArray
    average: FloatArray
    kind: str = ""

    def curves(self, shares: FloatArray) -> FloatArray:
        """Return the true mean curves, float64 (N, E) in percent, for gradient shares (N, C)."""
        other = np.sqrt(np.maximum(1 - self.told**2, 0))
        centre = self.average[-1]
        return np.asarray(
            self.average
            + np.outer(self.final(shares) - centre, self.told)
            + np.outer(self.early(shares), other)
        )

    def finals(self, shares: FloatArray) -> FloatArray:
        """Return the true final accuracies, float64 (N,) in percent."""
        return self.final(shares)

    def residual(self, random: np.random.Generator) -> FloatArray:
        """Draw by how much the curve of a single run differs from the mean, points, (E,)."""
        return np.asarray(random.choice(self.replicates.residuals))


def design_shares() -> FloatArray:
    """Return the gradient shares of the design's first weightings, (W, C)."""
    counts = np.array(BENCHMARK.counts)
    points = first_points(counts, WEIGHTINGS)
    return np.stack([gradient_shares(counts, p.weighting.weights(counts)) for p in points])


def made_up(kind: str, shares: FloatArray, seed: int) -> Surrogate | Surface:
    """Draw a benchmark of a kind of ``SYNTHETIC`` from its design's shares (W, C)."""
    if kind in SURFACES:
        return surface(kind, shares, seed)
    return Surrogate(synthetic_replicates(SYNTHETIC[kind], shares, seed))


def synthetic_replicates(foretells: float, shares: FloatArray, seed: int) -> Replicates:
    """Draw a benchmark: what weightings of these shares (W, C) truly give, and how runs scatter.

    ``foretells`` is as in ``SYNTHETIC``.
    """
    random = np.random.default_rng([seed, WEIGHTINGS])
    final, early = (SPREAD * _smooth(shares, random) for _ in range(2))
    told = correlations(foretells)
    other = np.sqrt(np.maximum(1 - told**2, 0))
    means = AVERAGE + np.outer(final, told) + np.outer(early, other)
    ends, ways = random.standard_normal((500, 1)), random.standard_normal((500, EPOCHS))
    return replicates_of(shares, means, ends, ways)


def surface(kind: str, shares: FloatArray, seed: int) -> Surface:
    """Draw a benchmark of a kind of ``SURFACES``."""
    random = np.random.default_rng([seed, WEIGHTINGS, SURFACES.index(kind)])
    final = scaled(surface_function(kind, shares, random), shares, SPREAD, AVERAGE[-1])
    early = scaled(process(shares, 2.5, 1.0, random), shares, SPREAD, 0.0)
    told = correlations(SYNTHETIC[kind])
    ends, ways = heavy_tailed((500, 1), random), random.standard_normal((500, EPOCHS))
    nothing = replicates_of(shares, np.empty((0, EPOCHS)), ends, ways)
    blank = Surface(nothing, final, early, told, AVERAGE, kind)
    means = blank.curves(shares)
    return dataclasses.replace(blank, replicates=dataclasses.replace(blank.replicates, means=means))


def correlations(foretells: float) -> FloatArray:
    """Return the correlation of what is true at each epoch with the end, (EPOCHS,)."""
    return np.asarray(foretells + (1 - foretells) * PART**2)


def replicates_of(
    shares: FloatArray, means: FloatArray, ends: FloatArray, ways: FloatArray
) -> Replicates:
    """A table of these means (W, EPOCHS), its noise from draws (500, 1) and (500, EPOCHS)."""
    residuals = NOISE * (np.sqrt(PART) * ends + np.sqrt(1 - PART) * ways)
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


def process(shares: FloatArray, nu: float, length: float, random: np.random.Generator) -> Function:
    """Draw a Matern process over shares (W, C) by random Fourier features (Rahimi, Recht 2007).

    Args:
        nu: smoothness.
        length: length scale, in medians of the distances between the shares.
    """
    scale = length * float(np.median(pdist(shares)))
    classes = shares.shape[1]
    # The spectral density of a Matern process is a multivariate t with 2 nu degrees of freedom.
    waves = random.standard_normal((classes, WAVES)) / scale
    waves *= np.sqrt(2 * nu / random.chisquare(2 * nu, WAVES))
    phases = random.uniform(0, 2 * np.pi, WAVES)
    heights = random.standard_normal(WAVES) * np.sqrt(2 / WAVES)

    def drawn(points: FloatArray) -> FloatArray:
        return np.asarray(np.cos(points @ waves + phases) @ heights)

    return drawn


def mechanism(counts: FloatArray, random: np.random.Generator) -> Function:
    """Draw the accuracy of classes that compete, (N,), for class counts (C,)."""
    a, b, g, h = random.uniform(*MECHANISM)
    quality = a + b * np.log(counts / counts.max())

    def accuracy(shares: FloatArray) -> FloatArray:
        logs = np.log(shares)
        margin = quality + g * (logs - logs.mean(axis=1, keepdims=True))
        kish = 1 / (counts.sum() * (shares**2 / counts).sum(axis=1))
        return np.asarray((1 / (1 + np.exp(-margin))).mean(axis=1) + h * np.log(kish))

    return accuracy


def cusp(shares: FloatArray, random: np.random.Generator) -> Function:
    """Draw a top among the shares (W, C), from which accuracy falls with the distance, (N,)."""
    top = np.log(shares[random.integers(len(shares))])

    def height(points: FloatArray) -> FloatArray:
        return np.asarray(-np.sqrt(((np.log(points) - top) ** 2).mean(axis=1)))

    return height


def surface_function(kind: str, shares: FloatArray, random: np.random.Generator) -> Function:
    """Draw the truth of a kind, before it is scaled."""
    if kind == "mech":
        return mechanism(COUNTS, random)
    if kind == "peak":
        return cusp(shares, random)
    return process(shares, *ROUGH, random)


def scaled(function: Function, shares: FloatArray, spread: float, centre: float) -> Function:
    """Return the function with this mean and standard deviation over the shares."""
    values = function(shares)
    mean, sd = float(values.mean()), float(values.std())

    def made(points: FloatArray) -> FloatArray:
        return np.asarray(centre + spread * (function(points) - mean) / sd)

    return made
