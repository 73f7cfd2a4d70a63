"""Views of the scale of a search: a table and a plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spaces.parts.words import number_of

HEADS = (
    ("slots", 6),
    ("trial s", 8),
    ("trials", 8),
    ("used %", 7),
    ("amid %", 7),
    ("start s", 8),
    ("tail s", 7),
    ("driver %", 9),
    ("ms/report", 10),
    ("ms/end", 7),
    ("ms/trial", 9),
    ("delay s", 8),
    ("99 %", 7),
    ("reports/s", 10),
    ("at most", 8),
    ("slots", 6),
    ("MB", 6),
    ("MB/1000", 8),
    ("folder MB", 10),
)
LEGEND = """\
used: share of the slots' time in which they trained; amid: between start and tail, while there
is work for all. driver: share of that time in which the driver worked. ms: of the driver, for a
report, for the end of a trial and the start of the next, and for all of a trial. delay: how long
a report waited for the driver, median and 99th percentile. at most: reports a second that the
driver could take, and slots that it could serve, at what they cost in this search."""


def number(value: float | None, digits: int = 0, factor: float = 1.0) -> str:
    return "-" if value is None else f"{factor * value:.{digits}f}"


def cells(case: dict[str, Any]) -> list[str]:
    """Return what the table says of one search."""
    cut = "" if case["trials"] == case["asked"] else "*"
    return [
        str(case["slots"]),
        f"{case['trial_seconds']:g}",
        f"{case['trials']}{cut}",
        number(case["utilisation"], 1, 100),
        number(case["utilisation_amid"], 1, 100),
        number(case["start_up_seconds"]),
        number(case["tail_seconds"]),
        number(case["driver_share"], 1, 100),
        number(case["driver_seconds_per_report"], 2, 1000),
        number(case["driver_seconds_per_end"], 0, 1000),
        number(case["driver_seconds_per_trial"], 0, 1000),
        number(case["delay_50"], 3),
        number(case["delay_99"], 2),
        number(case["reports_per_second"], 1),
        number(case["reports_per_driver_second"]),
        number(case["slots_per_driver"]),
        number(case["driver_mb"]),
        number(case["driver_mb_per_1000_trials"], 1),
        number(case["folder_mb"]),
    ]


def line(texts: Sequence[str]) -> str:
    return " ".join(text.rjust(width) for text, (_, width) in zip(texts, HEADS, strict=True))


def tenths_line(case: dict[str, Any]) -> str:
    costs = case["driver_seconds_per_trial_in_tenths"]
    values = " ".join(number(cost, 0, 1000) for cost in costs) or "-"
    return f"  {number_of(case['slots'], 'slot')}, {case['trial_seconds']:g} s: {values}"


def table(cases: Sequence[dict[str, Any]]) -> str:
    """Return a line per search, then its tenths."""
    lines = [line([head for head, _ in HEADS]), *map(line, map(cells, cases)), LEGEND]
    lines.append("driver's ms per trial in each tenth of the search:")
    lines += map(tenths_line, cases)
    if any(case["trials"] < case["asked"] for case in cases):
        lines.append("* interrupted before all trials had ended")
    return "\n".join(lines)


PANELS = (
    ("utilisation_amid", "slots' time used, % (work for all)", 100.0),
    ("driver_share", "driver's time used, %", 100.0),
    ("delay_99", "delay of a report, 99th percentile, s", 1.0),
)


def draw(cases: Sequence[dict[str, Any]], path: Path) -> None:
    """Plot what the driver costs by number of slots, and over a search; needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    for axes, (name, label, factor) in zip(panels, PANELS, strict=False):
        draw_by_slots(axes, cases, name, factor)
        axes.set(xlabel="slots", ylabel=label)
    panels[2].set_yscale("symlog", linthresh=0.01)
    if panels[0].lines:
        panels[0].legend(fontsize="small", title="trial of full length")
    draw_courses(panels[3], cases)
    for axes in panels:
        if axes.lines:
            axes.set_xscale("log")
    figure.suptitle("A search on a simulated cluster: one driver, real; slots simulated")
    figure.savefig(path, dpi=100)


def draw_by_slots(axes: Any, cases: Sequence[dict[str, Any]], name: str, factor: float) -> None:
    """Draw a line for all searches of one length whose trials take the same time."""
    for seconds, asked in sorted({(case["trial_seconds"], case["asked"]) for case in cases}):
        rows = [c for c in cases if (c["trial_seconds"], c["asked"]) == (seconds, asked)]
        points = sorted((c["slots"], factor * c[name]) for c in rows if c[name] is not None)
        if points:
            axes.plot(
                *zip(*points, strict=True),
                "o-",
                label=f"{seconds:g} s, {number_of(asked, 'trial')}",
            )


def draw_courses(axes: Any, cases: Sequence[dict[str, Any]]) -> None:
    """Draw a line for each search: what a trial cost the driver, by tenths."""
    for case in cases:
        costs = [1000 * cost for cost in case["driver_seconds_per_trial_in_tenths"] if cost]
        if costs:
            ends = [case["trials"] * (i + 1) / len(costs) for i in range(len(costs))]
            label = f"{number_of(case['slots'], 'slot')}, {case['trial_seconds']:g} s"
            axes.plot(ends, costs, "o-", markersize=3, label=label)
    axes.set(xlabel="trials so far", ylabel="driver's ms per trial")
    if axes.lines:
        axes.legend(fontsize="x-small", ncols=2)
