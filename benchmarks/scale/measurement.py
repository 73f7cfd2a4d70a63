"""Measurement of a search on a simulated cluster: use of the slots, and the driver's rates."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.scale.driver_log import END, REPORT, DriverLog, Snapshot, Steps

PERCENTS = (50, 99)


@dataclass(frozen=True)
class Span:
    """What happened between two snapshots."""

    begin: Snapshot
    end: Snapshot
    slots: int

    def _over(self, name: str, other: str) -> float | None:
        """How much of one thing came with one of the other; None if nothing of that came."""
        here, there = (getattr(self.end, n) - getattr(self.begin, n) for n in (name, other))
        return here / there if there > 0 else None

    @property
    def utilisation(self) -> float | None:
        """Share of the slots' time in which they trained."""
        found = self._over("trained", "time")
        return None if found is None else found / self.slots

    @property
    def driver_share(self) -> float | None:
        """Share of the time in which the driver worked."""
        return self._over("busy", "time")

    @property
    def driver_seconds_per_trial(self) -> float | None:
        return self._over("busy", "ended")

    @property
    def reports_per_second(self) -> float | None:
        return self._over("reports", "time")

    @property
    def reports_per_driver_second(self) -> float | None:
        """Reports that the driver can take in a second, what trials cost besides included."""
        return self._over("reports", "busy")

    @property
    def slots_per_driver(self) -> float | None:
        """For how many slots that train all the time the driver would just do."""
        return self._over("trained", "busy")

    @property
    def megabytes_per_1000_trials(self) -> float | None:
        found = self._over("memory", "ended")
        return None if found is None else found / 1e3


def tenths(at_ends: Sequence[Snapshot], slots: int) -> list[Span]:
    """Return the tenths of a search, by trials; none if there are fewer snapshots."""
    if len(at_ends) < 10:
        return []
    moments = [Snapshot(), *at_ends]
    bounds = [moments[round(i * len(at_ends) / 10)] for i in range(11)]
    return [Span(a, b, slots) for a, b in pairwise(bounds)]


def seconds_per_step(log: DriverLog, kind: str) -> float | None:
    steps = log.steps.get(kind, Steps())
    return steps.seconds / steps.number if steps.number else None


def delays(log: DriverLog) -> dict[str, float | None]:
    """Return percentiles of the seconds that reports waited for the driver."""
    if not log.delays:
        return {f"delay_{percent}": None for percent in PERCENTS}
    found = np.percentile(np.frombuffer(log.delays, dtype=np.float32), PERCENTS)
    return {f"delay_{p}": float(value) for p, value in zip(PERCENTS, found, strict=True)}


def summarize(log: DriverLog, folder_bytes: int) -> dict[str, Any]:
    """Return a JSON-able summary of a search that has ended."""
    whole = Span(Snapshot(), log.last_end, log.slots)
    # While there is work for all slots: between start-up and tail.
    amid = Span(log.full or Snapshot(), log.last_begin, log.slots)
    parts = tenths(log.at_ends, log.slots)
    grown = Span(log.at_ends[len(log.at_ends) // 10], log.last_end, log.slots) if parts else whole
    costs = [part.driver_seconds_per_trial for part in parts]
    return {
        "slots": log.slots,
        "trials": log.ended,
        "reports": log.last_end.reports,
        "simulated_seconds": log.last_end.time,
        "utilisation": whole.utilisation,
        "utilisation_amid": amid.utilisation if log.full else None,
        "start_up_seconds": log.full.time if log.full else None,
        "tail_seconds": log.last_end.time - log.last_begin.time,
        "driver_seconds_afterwards": log.clock.busy - log.last_end.busy,
        "driver_share": amid.driver_share if log.full else whole.driver_share,
        "driver_seconds_per_trial": whole.driver_seconds_per_trial,
        "driver_seconds_per_report": seconds_per_step(log, REPORT),
        "driver_seconds_per_end": seconds_per_step(log, END),
        "charged_seconds_per_trial": log.clock.charged / max(1, log.ended),
        "reports_per_second": amid.reports_per_second,
        "reports_per_driver_second": amid.reports_per_driver_second,
        "slots_per_driver": amid.slots_per_driver,
        **delays(log),
        "driver_mb": log.last_end.memory / 1e6,
        "driver_mb_per_1000_trials": grown.megabytes_per_1000_trials if parts else None,
        "folder_mb": folder_bytes / 1e6,
        "steps": {kind: [s.number, s.seconds] for kind, s in log.steps.items()},
        "utilisation_in_tenths": [part.utilisation for part in parts],
        "driver_seconds_per_trial_in_tenths": costs,
        "last_tenth_over_first": growth(costs),
    }


def growth(costs: Sequence[float | None]) -> float | None:
    """Return the last tenth's cost over the median of the second to the fourth.

    The first has the start of all slots in it.
    """
    known = [cost for cost in costs if cost]
    return known[-1] / statistics.median(known[1:4]) if len(known) == 10 else None
