"""Views of the overhead of searches: a table and a plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spaces.parts.words import number_of

HEADS = (
    ("trials", 7),
    ("run by", 8),
    ("s/trial", 16),
    ("s/report", 9),
    ("driver CPU s/trial", 19),
    ("last/first tenth", 17),
    ("driver MB", 10),
    ("MB/1000 trials", 15),
    ("folder MB", 10),
)
GOAL = 0.1
"""Seconds per trial that the overhead must stay below."""


def number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def runner(summary: dict[str, Any]) -> str:
    return "Ray Tune" if summary["with_ray"] else "a loop"


def cells(summary: dict[str, Any]) -> list[str]:
    """Return what the table says of one case: medians, the first with its spread."""
    median, spread = summary["median"], summary["spread"]
    per_trial = number(median["seconds_per_trial"])
    if len(summary["repeats"]) > 1:
        per_trial += f" +-{number(spread['seconds_per_trial'] / 2)}"
    trials = str(summary["trials"])
    return [
        trials if summary["trials"] == summary["asked"] else f"{trials}*",
        runner(summary),
        per_trial,
        number(median["seconds_per_report"], 4),
        number(median["driver_cpu_seconds_per_trial"]),
        number(median["last_tenth_over_first"], 2),
        number(median["driver_mb"], 0),
        number(median["driver_mb_per_1000_trials"], 1),
        number(median["folder_mb"], 1),
    ]


def line(texts: Sequence[str]) -> str:
    return " ".join(text.rjust(width) for text, (_, width) in zip(texts, HEADS, strict=True))


def tenths_line(summary: dict[str, Any]) -> str:
    values = " ".join(f"{1000 * value:.1f}" for value in summary["tenths"])
    return f"  {number_of(summary['trials'], 'trial')}, {runner(summary)}: {values or '-'}"


def table(summaries: Sequence[dict[str, Any]]) -> str:
    """Return a line per case, then its tenths."""
    lines = [line([head for head, _ in HEADS]), *(line(cells(s)) for s in summaries)]
    lines.append("ms per trial in each tenth of the run, start-up left out:")
    lines += [tenths_line(summary) for summary in summaries]
    if any(summary["trials"] < summary["asked"] for summary in summaries):
        lines.append("* interrupted before all trials had ended")
    return "\n".join(lines)


def draw(summaries: Sequence[dict[str, Any]], path: Path) -> None:
    """Plot seconds per trial over the course of each search; needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for summary in summaries:
        tenths = summary["tenths"]
        ends = [summary["trials"] * (i + 1) / len(tenths) for i in range(len(tenths))]
        style = "o-" if summary["with_ray"] else "s--"
        label = f"{number_of(summary['trials'], 'trial')}, {runner(summary)}"
        axes.plot(ends, tenths, style, label=label, markersize=4)
    axes.axhline(GOAL, color="grey", linestyle=":", label="goal")
    axes.set(xscale="log", yscale="log", xlabel="trials so far", ylabel="seconds per trial")
    axes.set_title("Overhead of a search, trainer that costs nothing")
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    figure.savefig(path, dpi=100)
