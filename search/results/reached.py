"""The metrics and class accuracies that a run's winner reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.config.objective import BenchmarkObjective
from search.results.judgement import Judgement
from search.stats.accuracies import mean_metrics
from search.store.facts import Summary
from search.store.trials import Row
from trainer.benchmarks.metrics import METRICS, scores

Metrics = Mapping[str, float | None]
"""Every metric in percent; None where the record is too old to say."""


@dataclass(frozen=True)
class Reached:
    """Means over runs at their best epochs on one benchmark.

    Attributes:
        metrics: every one.
        classes: class accuracies, percent (C,); None where they are not on record.
    """

    metrics: Metrics
    classes: tuple[float, ...] | None


def of_verdict(judgement: Judgement) -> list[Reached]:
    """Return what the winner reached with fresh seeds on the images that judge, by benchmark."""
    winner = judgement.verdict.winner
    arms = [benchmark.arms[winner] for benchmark in judgement.benchmarks]
    return [Reached(arm.metrics, arm.classes) for arm in arms]


def of_runs(rows: Sequence[Row], benchmarks: Sequence[BenchmarkObjective]) -> list[Reached]:
    """Return what the search's own runs reached on the images that choose, by benchmark."""
    found = []
    for part, benchmark in enumerate(benchmarks):
        summaries = [row.summaries[part] for row in rows]
        classes = [known for s in summaries if (known := _classes(s, benchmark)) is not None]
        whole = tuple(np.mean(classes, axis=0).tolist()) if len(classes) == len(rows) else None
        found.append(Reached(mean_metrics([metrics_of(s, benchmark) for s in summaries]), whole))
    return found


def _classes(summary: Summary, benchmark: BenchmarkObjective) -> list[float] | None:
    classes = summary.class_accuracy
    return list(classes) if len(classes) == len(benchmark.counts) else None


def metrics_of(summary: Summary, benchmark: BenchmarkObjective) -> Metrics:
    """Every metric of a run: as recorded, or what its class accuracies say of them."""
    if summary.metrics is not None:
        return summary.metrics
    classes, counts = _classes(summary, benchmark), np.asarray(benchmark.selection_counts)
    if classes is None:
        return dict.fromkeys(METRICS)
    values = scores(np.asarray(classes) * counts / 100, None, counts)
    return {name: None if value is None else float(value) for name, value in values.items()}
