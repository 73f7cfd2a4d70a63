"""Measurement of one search in a process of its own: costs per trial, and whether they grow."""

import multiprocessing
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

CaseT = TypeVar("CaseT")
ResultT = TypeVar("ResultT")

START_UP = 20
"""Trials left out of the tenths: the baselines, the sampler's random draws, the workers' start."""
MOST_START_UP = 0.2
"""Share of the trials that are left out at most."""


@dataclass(frozen=True)
class Measurement:
    """A search of costless trials.

    Attributes:
        with_ray: Ray Tune ran the trials, else a loop in the driver.
        asked: trials that were to run; fewer have ended if the measurement was interrupted.
        ended: when each trial ended, seconds since the search began, ascending.
        memory: resident memory of the driver then, in bytes.
        reports: what all trials told the driver, one report of several epochs each.
        epochs: in all reports.
        seconds: wall time of the search, start and end of Ray included.
        cpu_seconds: processor time of the driver alone.
        folder_bytes: size of the run folder at the end.
    """

    with_ray: bool
    asked: int
    ended: tuple[float, ...]
    memory: tuple[int, ...]
    reports: int
    epochs: int
    seconds: float
    cpu_seconds: float
    folder_bytes: int

    @property
    def trials(self) -> int:
        return len(self.ended)

    def tenths(self) -> list[float]:
        """Return the seconds per trial in each tenth of the run, start-up left out."""
        skipped = min(START_UP, int(MOST_START_UP * self.trials))
        times = self.ended[skipped:]
        bounds = [round(i * (len(times) - 1) / 10) for i in range(11)]
        return [(times[b] - times[a]) / (b - a) for a, b in pairwise(bounds) if b > a]

    def growth(self) -> float | None:
        """Return the last tenth's time per trial over the first's; None for too few trials."""
        tenths = self.tenths()
        return tenths[-1] / tenths[0] if len(tenths) == 10 and tenths[0] > 0 else None

    def memory_growth(self) -> float | None:
        """Return the MB that the driver took per 1,000 trials, after the first tenth."""
        first, last = self.trials // 10, self.trials - 1
        if last <= first:
            return None
        return (self.memory[last] - self.memory[first]) / 1e6 / (last - first) * 1000

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able summary."""
        trials = max(1, self.trials)
        return {
            "with_ray": self.with_ray,
            "asked": self.asked,
            "trials": self.trials,
            "reports": self.reports,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "seconds_per_trial": self.seconds / trials,
            "seconds_per_report": self.seconds / max(1, self.reports),
            "driver_cpu_seconds_per_trial": self.cpu_seconds / trials,
            "seconds_per_trial_in_tenths": self.tenths(),
            "last_tenth_over_first": self.growth(),
            "driver_mb": self.memory[-1] / 1e6 if self.memory else None,
            "driver_mb_per_1000_trials": self.memory_growth(),
            "folder_mb": self.folder_bytes / 1e6,
        }


NUMBERS = (
    "seconds_per_trial",
    "seconds_per_report",
    "driver_cpu_seconds_per_trial",
    "last_tenth_over_first",
    "driver_mb",
    "driver_mb_per_1000_trials",
    "folder_mb",
)


def summarize(repeats: list[Measurement]) -> dict[str, Any]:
    """Return the medians over the repeats of one case, and their spread (highest minus lowest)."""
    rows = [measurement.to_dict() for measurement in repeats]
    tenths = [row["seconds_per_trial_in_tenths"] for row in rows]
    medians: dict[str, float | None] = {}
    spreads: dict[str, float | None] = {}
    for name in NUMBERS:
        values = [row[name] for row in rows if row[name] is not None]
        medians[name] = statistics.median(values) if values else None
        spreads[name] = max(values) - min(values) if values else None
    return {
        "with_ray": repeats[0].with_ray,
        "asked": repeats[0].asked,
        "trials": min(measurement.trials for measurement in repeats),
        "median": medians,
        "spread": spreads,
        "tenths": [statistics.median(column) for column in zip(*tenths, strict=False)],
        "repeats": rows,
    }


def measure_apart(measure: Callable[[CaseT], ResultT], case: CaseT) -> ResultT:
    """Measure a case in a process of its own, whose memory tells of it alone."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure, case).result()
