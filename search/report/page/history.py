"""Figures of the search: its trials in their order, and how they learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from search.report.page.figure import DataTable, Figure, legend
from search.report.page.scales import OUTLIER_SHARE, Scale, around, beyond, epoch_ticks
from search.report.page.svg import Plot, x_range, y_range
from search.results.conclusion import ENDS, Conclusion
from search.results.on_benchmark import OnBenchmark
from search.stats.ranking import GroupPosterior
from search.store.trials import CONFIRMATION, Row, TrialState
from spaces.counts import FloatArray
from spaces.parts.words import number_of

CONTROL, FULL, STOPPED, ESTIMATE = range(4)
KINDS = ("control", "searched, full length", "stopped early", "best estimate so far")
MOST_DOTS = 1500
"""Of a chart; of a longer search, every so manieth trial is drawn."""


def history_figure(conclusion: Conclusion) -> Figure | None:
    """Return the trials of the search in their order; None before one has ended well."""
    rows = [row for row in conclusion.rows if row.in_search and row.value is not None]
    if not rows:
        return None
    known = conclusion.standings.known()
    values = [float(row.value or 0.0) for row in rows]
    lowest = float(np.quantile(values, OUTLIER_SHARE))
    x = Scale(0, len(rows) + 1, *x_range())
    y = around([value for value in values if value >= lowest], *y_range())
    unit = "noise SDs" if conclusion.objective.joint else "percent"
    scored = conclusion.objective.benchmarks[0].score_words
    plot = Plot(x, y, "trial, in the order they were begun", f"{scored}, {unit}")
    best: list[tuple[float, float]] = []
    every = -(-len(rows) // MOST_DOTS)
    for place, row in enumerate(rows, 1):
        if row.is_baseline or place % every == 0:
            plot.dot(place, float(row.value or 0.0), _kind(row), _tip(row), "small dot")
        if row.key in known:
            mean = known[row.key].mean
            best.append((place, max(mean, best[-1][1]) if best else mean))
    plot.line(best, ESTIMATE)
    found = conclusion.incumbent
    text = f"{number_of(len(rows), 'trial')} with a result"
    if found:
        estimated = f"{found.known.mean:.2f}"
        if conclusion.objective.joint:
            estimated = "" if found.gain is None else f"{found.gain:+z.2f} noise SDs over uniform"
        text += f"; {found.row.label} is the best"
        text += estimated and f", estimated at {estimated} from {found.known.n} of them"
    return Figure(
        name="history",
        finding=f"{text}.",
        chart=plot.drawn("history", f"score of {number_of(len(rows), 'trial')} in their order"),
        table=DataTable.of(
            ("trial", "weighting", "end", "epochs", "score", "estimate"),
            [
                (
                    row.label,
                    row.strategy.describe(),
                    ENDS[row.state],
                    row.epochs,
                    row.value,
                    known[row.key].mean if row.key in known else None,
                )
                for row in sorted(rows, key=lambda row: _merit(row, known), reverse=True)
            ],
        ),
        legend=legend(KINDS),
        note="A dot is one run, which is partly luck; the line is the best estimate of a "
        "weighting's mean, pulled towards that of all as far as luck may have made it."
        + beyond(values, y)
        + (f" Of the proposals, 1 in {every} is drawn." if every > 1 else ""),
    )


def _merit(row: Row, known: Mapping[str, GroupPosterior]) -> tuple[bool, float]:
    """A key that sorts full-length trials by their estimates behind the others by their scores."""
    if row.key in known:
        return True, known[row.key].mean
    return False, row.value or 0.0


def _kind(row: Row) -> int:
    if row.state == TrialState.PRUNED:
        return STOPPED
    return CONTROL if row.is_baseline else FULL


def _tip(row: Row) -> str:
    return (
        f"{row.label}: {row.value or 0.0:.2f} after {number_of(row.epochs, 'epoch')} "
        f"({ENDS[row.state]}); "
        f"{row.strategy.describe()}"
    )


def curves_figure(
    conclusion: Conclusion, benchmark: OnBenchmark, part: int, arms: Sequence[str]
) -> Figure | None:
    """Return the scores of arms by epoch on one benchmark, means and ranges over their seeds."""
    objective = benchmark.benchmark
    scoring = objective.scoring
    runs: dict[str, list[FloatArray]] = {arm: [] for arm in arms}
    for row in conclusion.rows:
        if row.study == CONFIRMATION and row.label in runs and row.state == TrialState.COMPLETE:
            curve = conclusion.folder.read_curve(row, part, objective)
            runs[row.label].append(scoring.scores(curve, scoring.choosing))
    curves = {arm: np.stack(scores) for arm, scores in runs.items() if scores}
    if not curves:
        return None
    epochs = min(scores.shape[1] for scores in curves.values())
    shown = np.unique(np.linspace(0, epochs - 1, min(epochs, 100)).astype(int))
    every = [value for scores in curves.values() for value in scores[:, shown].ravel().tolist()]
    lowest = float(np.quantile(every, OUTLIER_SHARE))
    x = Scale(1, max(epochs, 2), *x_range())
    y = around([value for value in every if value >= lowest], *y_range())
    x_labels = epoch_ticks(epochs)
    plot = Plot(x, y, "epoch", f"{objective.score_words}, percent", x_labels=x_labels)
    for series, scores in reversed(list(enumerate(curves.values()))):
        xs = (shown + 1).astype(float).tolist()
        low, mean, high = (f(scores[:, shown], axis=0).tolist() for f in (np.min, np.mean, np.max))
        plot.band(xs, low, high, series)
        plot.line(list(zip(xs, mean, strict=True)), series)
    ends = {arm: float(scores[:, epochs - 1].mean()) for arm, scores in curves.items()}
    told = ", ".join(f"{arm} {value:.2f}" for arm, value in ends.items())
    return Figure(
        name=f"curves-{objective.name}",
        finding=f"At the last epoch the means are: {told} percent.",
        chart=plot.drawn(
            f"curves-{objective.name}",
            f"{objective.score_words} by epoch of {number_of(len(curves), 'arm')}",
        ),
        table=DataTable.of(
            (
                "epoch",
                *(f"{arm} ({number_of(len(scores), 'run')})" for arm, scores in curves.items()),
            ),
            [(int(e) + 1, *(float(s[:, e].mean()) for s in curves.values())) for e in shown],
        ),
        legend=legend(f"{arm} ({number_of(len(scores), 'run')})" for arm, scores in curves.items()),
        note="Lines are means over the fresh seeds, bands reach from the worst to the best run."
        + beyond(every, y),
    )
