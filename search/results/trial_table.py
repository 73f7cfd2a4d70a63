"""Table of a run's trials: a flat row of plain values for each, as a data frame takes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search.config.objective import BenchmarkObjective
from search.results.conclusion import ENDS, Conclusion
from search.results.reached import metrics_of
from search.store.facts import Summary
from search.store.stored_run import parts_of
from search.store.trials import Row


def trial_table(conclusion: Conclusion) -> list[dict[str, Any]]:
    """Return a row for each trial, phase by phase in the order in which they were asked for.

    All rows have the same keys; what is not known of a trial is None.

    Returns:
        Rows of ``key``, ``study``, ``number``, ``label``, ``state`` (complete, stopped, failed or
        unfinished), ``score`` (``Objective.score``: of one benchmark, the best percent of its
        metric), ``seed``, ``seed_index``, ``device_hours``, ``hardware``, ``reason``, ``kind`` and
        ``strategy`` (in symbols); of each benchmark, with its name and a slash before them where
        there are several, ``epochs``, ``best_epoch``, ``last_ten``, every metric and the shot
        groups, percent; and ``params_NAME`` for each parameter that was drawn.
    """
    rows = [dict(_cells(row, conclusion)) for row in conclusion.rows]
    columns = dict.fromkeys(name for row in rows for name in row)
    return [dict.fromkeys(columns) | row for row in rows]


def _cells(row: Row, conclusion: Conclusion) -> Iterator[tuple[str, Any]]:
    yield from (("key", row.key), ("study", row.study), ("number", row.number))
    yield from (("label", row.label), ("state", ENDS[row.state]), ("score", row.value))
    yield from (("seed", row.seed), ("seed_index", row.seed_index))
    yield from (("device_hours", row.device_hours), ("hardware", row.hardware))
    yield from (("reason", row.reason), ("kind", row.strategy.kind))
    yield "strategy", row.strategy.describe()
    several = len(conclusion.objective.all_benchmarks) > 1
    parts = parts_of(conclusion.objective, row.study)
    for benchmark, summary in zip(parts, row.summaries, strict=False):
        before = f"{benchmark.name}/" if several else ""
        yield from ((before + name, value) for name, value in _reached(summary, benchmark))
    for name, value in conclusion.drawn.get(row.key, {}).items():
        yield f"params_{name}", value


def _reached(summary: Summary, benchmark: BenchmarkObjective) -> Iterator[tuple[str, Any]]:
    yield from (("epochs", summary.epochs), ("best_epoch", summary.best_epoch))
    yield "last_ten", summary.last_ten_score
    yield from metrics_of(summary, benchmark).items()
    yield from summary.shots.items()
