"""Views of a comparison of replays: regret over runs in small multiples, and a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Results = Mapping[str, Mapping[str, Mapping[str, Any]]]

COLOURS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
"""Of Okabe and Ito, which people with any colour vision tell apart."""
MARKERS = "os^Dvx+*"
LEAST = 0.02
"""Lowest regret that is drawn, points."""


def draw(results: Results, names: Mapping[str, str], budget: int, path: Path) -> None:
    """Plot regret over runs, a panel for each benchmark, with 95 % intervals; needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(results) + 0.6, 4.4), layout="constrained")
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    lines = {}
    for panel, (benchmark, arms) in zip(panels, results.items(), strict=True):
        for place, label in enumerate(names):
            if label in arms:
                lines[names[label]] = _curve(panel, arms[label], budget, place)
        panel.set(title=benchmark, xlabel="runs", yscale="log", xlim=(-1, budget + 1))
        panel.set_xticks([budget * part // 4 for part in range(5)])
        panel.grid(alpha=0.3, which="both")
    panels[0].set_ylabel("regret of the choice so far, points")
    ticks = [tick for tick in (0.05, 0.1, 0.2, 0.5, 1, 2) if tick >= LEAST]
    panels[0].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    panels[0].set_yticks([], minor=True)
    ordered = [name for name in names.values() if name in lines]
    figure.legend([lines[n] for n in ordered], ordered, loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=110)


def _curve(panel: Any, arm: Mapping[str, Any], budget: int, place: int) -> Any:
    """Draw an arm's curve, with its interval where it was recorded; return the line."""
    runs = [budget * (part + 1) / len(arm["curve"]) for part in range(len(arm["curve"]))]
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
    line = panel.plot(runs, _floored(arm["curve"]), color=colour, marker=marker, markersize=3.5)[0]
    if "curve_low" in arm:
        ends = _floored(arm["curve_low"]), _floored(arm["curve_high"])
        panel.fill_between(runs, *ends, color=colour, alpha=0.15, linewidth=0)
    return line


def _floored(points: list[float | None]) -> list[float]:
    return [float("nan") if point is None else max(point, LEAST) for point in points]


ROWS = (
    ("bias of the stated accuracy", "bias", 1, 2),
    ("its 95 % intervals cover, %", "covered", 100, 0),
    ("truly worse than uniform, %", "worse_than_uniform", 100, 0),
    ("truly worse than the best control, %", "worse_than_baseline", 100, 0),
)
"""Heading, figure, factor, digits."""


def table(results: Results, names: Mapping[str, str], budget: int) -> str:
    """Return a Markdown table of each benchmark, a column for each arm."""
    lines: list[str] = []
    for benchmark, arms in results.items():
        shown = {names[label]: arms[label] for label in names if label in arms}
        lines += [f"| {benchmark} | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
        numbers = [str(arm["repetitions"] or "-") for arm in shown.values()]
        lines.append(f"| repetitions | {' | '.join(numbers)} |")
        for part in (4, 2, 1):
            cells = [_cell(_after(arm, part), 1, 2) for arm in shown.values()]
            lines.append(f"| regret after {budget // part} runs | {' | '.join(cells)} |")
        for heading, figure, factor, digits in ROWS:
            cells = [_cell(arm.get(figure), factor, digits) for arm in shown.values()]
            lines.append(f"| {heading} | {' | '.join(cells)} |")
        times = [arm["milliseconds"] for arm in shown.values()]
        cells = ["-" if time is None else f"{time:.0f}" for time in times]
        lines += [f"| milliseconds per proposal | {' | '.join(cells)} |", ""]
    return "\n".join(lines)


def _after(arm: Mapping[str, Any], part: int) -> dict[str, float]:
    """The regret after one part in so many of the budget, with its interval where it is known."""
    if part == 1:
        return dict(arm["regret"])
    known = {"mean": "curve", "low": "curve_low", "high": "curve_high"}
    place = len(arm["curve"]) // part - 1
    return {end: arm[name][place] for end, name in known.items() if name in arm}


def _cell(figure: Mapping[str, float] | None, factor: int, digits: int) -> str:
    if figure is None or figure["mean"] is None:
        return "-"
    numbers = {end: f"{factor * value:.{digits}f}" for end, value in figure.items()}
    if "low" not in figure:
        return numbers["mean"]
    between = " to " if figure["low"] < 0 else "-"
    return f"{numbers['mean']} ({numbers['low']}{between}{numbers['high']})"
