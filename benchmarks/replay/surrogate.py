"""Surrogate of a recorded table: the accuracy curve of any weighting, and a cross-validation.

Gaussian processes over the weightings' gradient shares predict the mean of the accuracies of many
seeds; what single runs differ by is drawn from the residuals of the recorded replicates, whole
curves at a time, so that early and final values hang together as they really do. All curves are of
the best accuracy so far, in percent; the sum of a mean and a residual may dip a little. The seeds
of a table are those of all its weightings, so that what they do cancels between weightings.
"""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from benchmarks.recording.table import Table
from search.stopping.rules import rank_correlation
from spaces.counts import FloatArray
from spaces.errors import UserError

COMPONENTS = 3
"""Shapes of curves that weightings differ in: principal components of the mean shortfalls."""

LEAST_NOISE = 1e-3
"""Points; noise below it is taken for it, which keeps the processes well conditioned."""

FOLDS = 10
"""Parts of a cross-validation."""

Z = 1.96
"""Half the width of a 95 % interval, in standard deviations."""

FEWEST = 8
"""Weightings that a table must hold at least, of which two must have replicates."""


@dataclass(frozen=True)
class Replicates:
    """The trials of a table by weighting; diverged ones are left out.

    Attributes:
        shares: expected gradient shares of W weightings, (W, C).
        n: trials of each, (W,).
        means: mean curves, (W, E).
        residuals: of R trials from the means of their weightings, (R, E), scaled up by what a
            mean of n trials takes away from them.
        noise_sd: of a single final accuracy, points.
        seed_sd: of what a seed does to the final accuracies of all weightings alike, points.
    """

    shares: FloatArray
    n: npt.NDArray[np.int64]
    means: FloatArray
    residuals: FloatArray
    noise_sd: float
    seed_sd: float

    @property
    def own_sd(self) -> float:
        """Of a single final accuracy without what its seed does to all weightings, points."""
        return float(np.sqrt(max(self.noise_sd**2 - self.seed_sd**2, 0.0)))

    @classmethod
    def of(cls, table: Table, epochs: int | None = None) -> Replicates:
        """Take a table's trials, up to an epoch that then counts as the last; all where it is None.

        Raises:
            UserError: the table has fewer epochs, or is too small to tell weightings from noise.
        """
        recorded = table.correct.shape[1]
        epochs = epochs or recorded
        if epochs > recorded:
            raise UserError(f"--epochs is {epochs}, but the table has {recorded}.")
        curves, whole = table.best_so_far()[:, :epochs], table.epochs >= epochs
        trials = [rows[whole[rows]] for rows in table.replicates()]
        kept = [index for index, rows in enumerate(trials) if len(rows)]
        repeated = [trials[index] for index in kept if len(trials[index]) > 1]
        if len(kept) < FEWEST or len(repeated) < 2:
            raise UserError(
                f"the table has {len(kept)} weightings and {len(repeated)} with several seeds; "
                f"a replay needs {FEWEST} and 2. Record more."
            )
        residuals = np.concatenate([_residuals(curves[rows]) for rows in repeated])
        seeds = np.concatenate([table.seed[rows] for rows in repeated])
        noise_sd = float(np.sqrt((residuals[:, -1] ** 2).mean()))
        return cls(
            shares=table.gradient_shares()[kept],
            n=np.array([len(trials[index]) for index in kept]),
            means=np.stack([curves[trials[index]].mean(axis=0) for index in kept]),
            residuals=residuals,
            noise_sd=noise_sd,
            seed_sd=_seed_sd(residuals[:, -1], seeds, noise_sd),
        )

    def part(self, rows: npt.NDArray[np.int64]) -> Replicates:
        """Return the same with these weightings only; the noise stays that of all."""
        return dataclasses.replace(
            self, shares=self.shares[rows], n=self.n[rows], means=self.means[rows]
        )


def _residuals(curves: FloatArray) -> FloatArray:
    """From the mean of n >= 2 replicates, (n, E), with the variance of single runs."""
    n = len(curves)
    return np.asarray((curves - curves.mean(axis=0)) * np.sqrt(n / (n - 1)))


def _seed_sd(residuals: FloatArray, seeds: npt.NDArray[np.int64], noise_sd: float) -> float:
    """The standard deviation of seed effects, by the means of seeds over (scaled) residuals."""
    names, inverse, n = np.unique(seeds, return_inverse=True, return_counts=True)
    if len(names) < 2:
        return 0.0
    means = np.bincount(inverse, residuals) / n
    by_chance = noise_sd**2 / n.mean()
    return float(np.sqrt(max(means.var() - by_chance, 0.0)))


class Surrogate:
    """The mean curve and the noise of every weighting of a benchmark.

    Attributes:
        replicates: what it was fitted to.
    """

    def __init__(self, replicates: Replicates) -> None:
        self.replicates = replicates
        means, n = replicates.means, replicates.n
        finals = means[:, -1:]
        shortfalls = finals - means
        self._shortfall = shortfalls.mean(axis=0)
        _, _, shapes = np.linalg.svd(shortfalls - self._shortfall, full_matrices=False)
        self._shapes = shapes[:COMPONENTS]
        scores = (shortfalls - self._shortfall) @ self._shapes.T
        noise = (replicates.residuals[:, -1:] - replicates.residuals) @ self._shapes.T
        noise_sds = np.append(replicates.own_sd, np.sqrt((noise**2).mean(axis=0)))
        columns = np.column_stack([finals, scores]).T
        pairs = zip(columns, noise_sds, strict=True)
        self._processes = [Process(replicates.shares, v, n, float(sd)) for v, sd in pairs]

    def curves(self, shares: FloatArray) -> FloatArray:
        """Return the true mean curves, float64 (N, E) in percent, for gradient shares (N, C)."""
        finals, *scores = (process.mean(shares) for process in self._processes)
        shortfalls = self._shortfall + np.column_stack(scores) @ self._shapes
        return np.asarray(finals[:, None] - shortfalls)

    def finals(self, shares: FloatArray) -> FloatArray:
        """Return the true final accuracies, float64 (N,) in percent: the ends of ``curves``."""
        return self._processes[0].mean(shares)

    def final_sds(self, shares: FloatArray) -> FloatArray:
        """Return how uncertain the true final accuracies are, points, float64 (N,)."""
        return self._processes[0].sd(shares)

    def final_covariance(self, shares: FloatArray) -> FloatArray:
        """Return the covariance of ``finals`` over all tables of this design, points^2, (N, N)."""
        return self._processes[0].covariance(shares)

    def residual(self, random: np.random.Generator) -> FloatArray:
        """Draw by how much the curve of a single run differs from the mean, points, (E,)."""
        return np.asarray(random.choice(self.replicates.residuals))


class Process:
    """A Gaussian process through noisy means of several replicates each."""

    def __init__(
        self, shares: FloatArray, means: FloatArray, n: npt.NDArray[np.int64], noise_sd: float
    ) -> None:
        self.scale = max(noise_sd, LEAST_NOISE)
        self.centre = float(np.average(means, weights=n))
        typical = float(np.median(pdist(shares)))
        length = Matern(typical, (typical / 5, typical * 20), nu=2.5)
        kernel = ConstantKernel(1.0, (1e-3, 1e7)) * length
        self.regressor = GaussianProcessRegressor(kernel, alpha=1.0 / n, random_state=0)
        with warnings.catch_warnings():  # an optimum on a bound is one: no signal, or a flat one
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.regressor.fit(shares, (means - self.centre) / self.scale)

    def mean(self, shares: FloatArray) -> FloatArray:
        return np.asarray(self.centre + self.scale * self.regressor.predict(shares))

    def sd(self, shares: FloatArray) -> FloatArray:
        return np.asarray(self.scale * self.regressor.predict(shares, return_std=True)[1])

    def covariance(self, shares: FloatArray) -> FloatArray:
        """Return the covariance of ``mean`` over results that the fitted kernel may give."""
        kernel, known = self.regressor.kernel_, self.regressor.X_train_
        between = kernel(shares, known)
        results = kernel(known) + np.diag(self.regressor.alpha)
        return np.asarray(self.scale**2 * between @ np.linalg.solve(results, between.T))


@dataclass(frozen=True)
class SurrogateCheck:
    """Predictions of held-out weightings against their recorded means.

    Attributes:
        weightings: how many were predicted; ``folds``: in how many parts.
        noise_sd: of a single final accuracy, points; ``seed_sd``: its part that seeds share.
        rmse: of the predicted against the recorded mean final accuracies, points.
        noise_rmse: what the noise of the recorded means alone would give, points; what seeds do
            to all weightings alike is not in it.
        explained: share of the variance of the recorded means that the predictions explain.
        ceiling: the share that is not noise, which no prediction can exceed in the long run.
        spearman: of predicted with recorded means; None if one of them is constant.
        coverage: share of the recorded means inside the 95 % interval of their prediction.
    """

    weightings: int
    folds: int
    noise_sd: float
    seed_sd: float
    rmse: float
    noise_rmse: float
    explained: float
    ceiling: float
    spearman: float | None
    coverage: float

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def sentence(self) -> str:
        """Say it in English."""
        spearman = "-" if self.spearman is None else f"{self.spearman:.2f}"
        return (
            f"surrogate, {self.weightings} weightings, each held out once in {self.folds} folds: "
            f"RMSE {self.rmse:.2f} points, of which the noise of the recorded means gives "
            f"{self.noise_rmse:.2f}; it explains {100 * self.explained:.0f} % of their variance, "
            f"of which {100 * self.ceiling:.0f} % is not noise; Spearman {spearman}; "
            f"{100 * self.coverage:.0f} % lie in the 95 % intervals; noise of a single run "
            f"{self.noise_sd:.2f} points, {self.seed_sd:.2f} of it by the seed alone"
        )


def cross_validate(replicates: Replicates, seed: int) -> SurrogateCheck:
    """Predict each weighting by a surrogate of the others, in ``FOLDS`` random parts."""
    w, final = len(replicates.n), replicates.means[:, -1]
    folds = min(FOLDS, w)
    predicted, sds = np.empty(w), np.empty(w)
    for held_out in np.array_split(np.random.default_rng(seed).permutation(w), folds):
        surrogate = Surrogate(replicates.part(np.setdiff1d(np.arange(w), held_out)))
        predicted[held_out] = surrogate.finals(replicates.shares[held_out])
        sds[held_out] = surrogate.final_sds(replicates.shares[held_out])
    noise_variances = replicates.own_sd**2 / replicates.n
    squares, variance = (predicted - final) ** 2, final.var(ddof=1)
    intervals = Z * np.sqrt(sds**2 + noise_variances)
    return SurrogateCheck(
        weightings=w,
        folds=folds,
        noise_sd=replicates.noise_sd,
        seed_sd=replicates.seed_sd,
        rmse=float(np.sqrt(squares.mean())),
        noise_rmse=float(np.sqrt(noise_variances.mean())),
        explained=float(1 - squares.mean() / variance),
        ceiling=float(max(1 - noise_variances.mean() / variance, 0.0)),
        spearman=rank_correlation(predicted, final),
        coverage=float((np.abs(predicted - final) <= intervals).mean()),
    )
