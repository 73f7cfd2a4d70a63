"""How well does a surrogate predict weightings that it has not seen?"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.replay.surrogate import Replicates, Surrogate
from search.stopping.rules import rank_correlation

FOLDS = 10
Z = 1.96


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
