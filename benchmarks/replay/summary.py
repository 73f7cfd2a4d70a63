"""What do many repetitions of a replay say of each arm, and how surely?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.replay.run import Measured
from spaces.counts import FloatArray

RESAMPLES = 2000
FIGURES = tuple(f.name for f in dataclasses.fields(Measured) if f.name != "curve")

Figure = dict[str, float]


def summarize(repetitions: Sequence[dict[str, Measured]], seed: int) -> dict[str, dict[str, Any]]:
    """Return, by arm, the mean of every figure with its bootstrap 95 % interval.

    ``against_first`` is the regret less that of the first arm in the same repetition; ``curve``
    holds means alone, None where a repetition had no result yet.
    """
    random = np.random.default_rng(seed)
    n = len(repetitions)
    picks = random.integers(n, size=(RESAMPLES, n))
    first = [next(iter(found.values())).regret for found in repetitions]
    summaries: dict[str, dict[str, Any]] = {}
    for arm in repetitions[0]:
        rows = [found[arm] for found in repetitions]
        summary: dict[str, Any] = {
            name: figure(np.array([getattr(row, name) for row in rows]), picks) for name in FIGURES
        }
        differences = np.array([row.regret for row in rows]) - first
        summary["against_first"] = figure(differences, picks)
        curve = np.mean([row.curve for row in rows], axis=0)
        summary["curve"] = [None if np.isnan(point) else float(point) for point in curve]
        summaries[arm] = summary
    return summaries


def figure(values: FloatArray, picks: npt.NDArray[np.int64]) -> Figure:
    """Return the mean of values (R,) with the 95 % interval of resamples (B, R) of them."""
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}
