"""Views of a replay: a table and a plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Summaries = Mapping[str, Mapping[str, Any]]

COLUMNS = (
    ("regret", "regret", 17, 3, 1),
    ("against_first", "less first's", 17, 3, 1),
    ("regret_quarter", "at 1/4", 7, 3, 1),
    ("regret_half", "at 1/2", 7, 3, 1),
    ("bias", "bias", 6, 2, 1),
    ("covered", "cover %", 8, 1, 100),
    ("lead_bias", "l. bias", 8, 2, 1),
    ("lead_covered", "l.cov. %", 9, 1, 100),
    ("worse_than_uniform", "<unif. %", 9, 0, 100),
    ("worse_than_baseline", "<base. %", 9, 0, 100),
    ("best_stopped", "lost %", 7, 0, 100),
    ("trials", "trials", 7, 0, 1),
    ("runs", "runs", 5, 0, 1),
    ("epochs", "epochs", 7, 0, 1),
    ("utilisation", "busy %", 7, 0, 100),
)
"""Figure, heading, width, digits, factor; those of width 17 have their intervals."""

INTERVAL_WIDTH = 17
CURVES = 8

GUIDE = """\
regret: how far the choice is truly below the best of the space, points; less first's: its regret
less that of the first arm, in pairs [95 % intervals]; at 1/4, at 1/2: regret of the choice after
these parts of the budget; bias: by how much the stated accuracy is too high; cover: 95 % intervals
that hold the truth; l.: the same of the stated lead over uniform weights; <unif., <base.: choices
truly worse than uniform weights, than the best baseline; lost: the best of the trials was stopped
early; trials: of the search; runs: of the confirmation."""


def table(summaries: Summaries) -> str:
    """Return a line per arm under a line of headings."""
    width = max(len(arm) for arm in summaries)
    head = " ".join([" " * width, *(h.rjust(w) for _, h, w, _, _ in COLUMNS)])
    rows = [
        " ".join([arm.ljust(width), *(_cell(summary[n], w, d, f) for n, _, w, d, f in COLUMNS)])
        for arm, summary in summaries.items()
    ]
    return "\n".join([head, *rows])


def _cell(figure: Mapping[str, float] | None, width: int, digits: int, factor: float) -> str:
    if figure is None:
        return "-".rjust(width)
    text = f"{factor * figure['mean']:.{digits}f}"
    if width == INTERVAL_WIDTH:
        text += f" [{figure['low']:.2f}, {figure['high']:.2f}]"
    return text.rjust(width)


def curves(summaries: Summaries) -> list[str]:
    """Return the first arm and the best arm of each of the best other methods."""
    first, *others = summaries
    best: dict[str, str] = {}
    for arm in sorted(others, key=lambda arm: float(summaries[arm]["regret"]["mean"])):
        best.setdefault(arm.split()[0], arm)
    return [first, *best.values()][:CURVES]


def draw(summaries: Summaries, budget_epochs: int, title: str, path: Path) -> None:
    """Plot the regrets of all arms, and of some of them over the epochs; needs matplotlib."""
    from matplotlib.figure import Figure

    arms = list(summaries)
    figure = Figure(figsize=(14, 2 + 0.2 * len(arms)), layout="constrained")
    dots, lines = figure.subplots(1, 2)
    for place, arm in enumerate(arms):
        regret = summaries[arm]["regret"]
        dots.plot([regret["low"], regret["high"]], [place, place], color="grey")
        dots.plot(regret["mean"], place, "o", color="black", markersize=4)
    dots.set_yticks(range(len(arms)), arms, fontsize="small")
    dots.invert_yaxis()
    dots.set(xlabel="regret, points (mean and 95 % interval)", title=title)
    dots.margins(y=0.01)
    for arm in curves(summaries):
        curve = [float("nan") if p is None else p for p in summaries[arm]["curve"]]
        epochs = [budget_epochs * (i + 1) / len(curve) for i in range(len(curve))]
        lines.plot(epochs, curve, "o-", markersize=3, label=arm)
    lines.set(xlabel="epochs spent", ylabel="regret of the choice so far, points")
    lines.legend(fontsize="small")
    figure.savefig(path, dpi=100)
