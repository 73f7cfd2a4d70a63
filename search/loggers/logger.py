"""A logger passes on what a search reports: what it is told, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from search.store.run_folder import RunFolder
from trainer.results import EpochResult

Value = str | float | int | None


@dataclass(frozen=True)
class LoggedTrial:
    """A trial as loggers know it.

    Attributes:
        key: unique in the run, and the same when the run goes on.
        label: what people are shown.
        study: baselines, named, proposals, confirmation or holdout.
        parameters: of its strategy and its seed, by name.
    """

    key: str
    label: str
    study: str
    parameters: Mapping[str, Value]


class Logger(Protocol):
    """What a logger does; all of it in one thread of its own, whose errors end it alone.

    A run that goes on is told again of trials under the same keys, from the epoch where they are.
    """

    def epoch(self, trial: LoggedTrial, prefix: str, result: EpochResult) -> None:
        """Log an epoch; ``prefix`` is before its metrics, where a trial has several benchmarks."""

    def ended(self, trial: LoggedTrial, state: str, summary: Mapping[str, float]) -> None:
        """Log how a trial ended: ``ENDS`` of its state, and numbers of it."""

    def concluded(self, summary: Mapping[str, Value]) -> None:
        """Log what the run concludes."""

    def close(self) -> None:
        """Write what is left."""


def identity(folder: RunFolder) -> str:
    """Return what tells a run from all others: one that was deleted may have had its folder."""
    return f"{folder.path} {folder.read_attempts()[0].time}"


def metrics_of(prefix: str, result: EpochResult) -> dict[str, float]:
    """Return the numbers of an epoch that are logged, by name."""
    names = ("score", "best_score", "train_loss", "test_loss", "learning_rate", "seconds")
    known = {name: getattr(result, name) for name in names}
    return {f"{prefix}{name}": float(n) for name, n in known.items() if n is not None}
