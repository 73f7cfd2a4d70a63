"""Arms adjusted after training: what their runs reach with other logits, which takes no run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.stats.accuracies import t_interval
from search.stats.estimate import Estimate
from spaces import POSTHOC, PostHoc
from trainer.results import EpochResult

FEWEST_RUNS = 2
"""For a gain with an interval."""


@dataclass(frozen=True)
class Adjusted:
    """What the runs of an arm reach with the adjustment that is the best on half A of the images.

    Attributes:
        posthoc: the adjustment; it may be that with which the arm was scored.
        runs: how many.
        half_a: the metric on half A, percent, at each run's epoch that is the best there.
        half_b: on half B at these epochs.
        unadjusted: the same as the arm was scored.
        gain: of ``half_b`` over ``unadjusted``, points, with a t interval over the runs; None for
            one run.
    """

    posthoc: PostHoc
    runs: int
    half_a: float
    half_b: float
    unadjusted: float
    gain: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def adjusted(runs: Sequence[Sequence[EpochResult]], own: PostHoc) -> Adjusted | None:
    """Return what an arm reaches adjusted; None where the profile of an epoch is not on record.

    Args:
        runs: the epochs of each run of the arm, one or more.
        own: the adjustment with which it was scored.
    """
    found = []
    for epochs in runs:
        profiles = [epoch.profile for epoch in epochs]
        if None in profiles:
            return None
        halves = np.array(profiles, dtype=np.float64)[:, :, :2]
        best = halves[:, :, 0].argmax(axis=0)
        found.append(halves[best, np.arange(len(POSTHOC))])
    on_a, on_b = np.moveaxis(np.array(found), 2, 0)  # both (runs, adjustments)
    means = on_a.mean(axis=0)
    before = POSTHOC.index(own)
    chosen = before if means[before] >= means.max() else int(means.argmax())
    gains = on_b[:, chosen] - on_b[:, before]
    return Adjusted(
        posthoc=POSTHOC[chosen],
        runs=len(runs),
        half_a=float(means[chosen]),
        half_b=float(on_b[:, chosen].mean()),
        unadjusted=float(on_b[:, before].mean()),
        gain=t_interval(gains) if len(runs) >= FEWEST_RUNS else None,
    )
