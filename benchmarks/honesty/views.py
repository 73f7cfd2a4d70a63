"""Views of the honesty study: a table and a plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Table = dict[str, dict[str, dict[str, float] | None]]
"""Way -> figure -> mean, low and high; None where the way does not state it."""

COLUMNS = (
    ("covered", "covers %", 100),
    ("covered_uniform", "-unif. %", 100),
    ("covered_baseline", "-base. %", 100),
    ("bias", "bias", 1),
    ("worse_than_control", "worse %", 100),
    ("quality", "quality", 1),
    ("regret", "regret", 1),
    ("best_in_set", "set %", 100),
    ("runs", "runs", 1),
    ("epochs", "epochs", 1),
)
"""Figure, heading, factor."""


GUIDE = """\
covers: 95 % interval of the winner's accuracy holds the truth; -unif., -base.: so for its
difference to uniform and to the best baseline. bias: of the stated accuracy, points. worse: winners
truly worse than a control. quality: the winner's true accuracy above the average weighting; regret:
what the best of all weightings has more. set: the winner and its ties hold the best arm. ±: half
the 95 % Monte Carlo interval.
"""


def lines(setting: str, table: Table) -> list[str]:
    """The rows of a setting: each mean with half its Monte Carlo interval."""
    rows = [setting]
    for way, figures in table.items():
        cells = [cell(figures[name], factor) for name, _, factor in COLUMNS]
        rows.append(f"  {way:<18}" + aligned(cells))
    return rows


def aligned(cells: Sequence[str]) -> str:
    """The cells right-justified under their headings, narrower for percentages."""
    widths = [10 if factor == 100 else 11 for _, _, factor in COLUMNS]
    return "".join(f"{text:>{width}}" for text, width in zip(cells, widths, strict=True))


def cell(figure: dict[str, float] | None, factor: float) -> str:
    if figure is None:
        return "-"
    mean, half = factor * figure["mean"], factor * (figure["high"] - figure["low"]) / 2
    digits = 0 if abs(mean) >= 1000 else 1 if abs(mean) >= 20 or factor == 100 else 2
    return f"{mean:.{digits}f}±{half:.{digits}f}"


def plot(tables: dict[str, Table], path: Path) -> None:
    """Draw coverage, bias and true quality of every way in every setting."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figures = (("covered", "coverage", 0.95), ("bias", "bias, points", 0.0), ("quality", "", None))
    figure, axes = plt.subplots(1, 3, figsize=(13, 0.4 * len(tables) + 2), sharey=True)
    places, ways = np.arange(len(tables)), list(next(iter(tables.values())))
    for axis, (name, label, target) in zip(axes, figures, strict=True):
        for shift, way in enumerate(ways):
            rows = [table[way][name] or {} for table in tables.values()]
            means = np.array([row["mean"] for row in rows])
            errors = [means - [r["low"] for r in rows], [r["high"] for r in rows] - means]
            spot: dict[str, Any] = {"fmt": "o", "markersize": 4, "label": way}
            axis.errorbar(means, places + 0.18 * (shift - (len(ways) - 1) / 2), xerr=errors, **spot)
        if target is not None:
            axis.axvline(target, color="grey", linewidth=0.8)
        axis.set_xlabel(label or "true accuracy above average, points")
    axes[0].set_yticks(places, list(tables))
    axes[0].invert_yaxis()
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
