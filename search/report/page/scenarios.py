"""Figure of scenarios: the accuracy of winner and controls on images of each tag."""

from __future__ import annotations

from markupsafe import Markup

from search.report.page.arms import Line, interval_plot, interval_text
from search.report.page.figure import DataTable, Figure, legend
from search.results.scenarios import ByScenario, image_luck
from search.stats.estimate import Estimate
from spaces.parts.words import number_of
from trainer.diagnosis.scenarios import FEW_IMAGES

MOST_LINES = 40
"""Of the chart, those of the most images first."""


def scenarios_figure(benchmark: str, found: ByScenario, where: str = "") -> Figure:
    """Return where the winner gains over the controls by scenario, or else what it reaches.

    ``where`` is said before the finding.
    """
    sizes = sorted(range(len(found.images)), key=lambda n: -found.images[n])
    order = [n for n in sizes if found.images[n] >= FEW_IMAGES]
    controls = [gains.control for gains in found.gains]
    lines: list[Line] = []
    for n in order:
        for series, gains in enumerate(found.gains):
            if points := gains.points[n]:
                tip = (
                    f"{found.names[n]}, {number_of(found.images[n], 'image')}: {found.winner} less "
                )
                tip += f"{gains.control} {interval_text(points, '+')} points"
                lines.append(("" if series else found.names[n], points, series, tip))
        if not controls:
            lines.append(_reached(found, n))
    x_title = "difference, points" if controls else "accuracy, percent"
    plot = interval_plot(lines[:MOST_LINES], x_title, 0.0 if controls or not lines else None)
    name = f"scenarios-{benchmark}"
    arms = list(found.arms)
    return Figure(
        name=name,
        finding=f"{where}{_finding(found, controls)}",
        chart=plot.drawn(name, f"{x_title} of {found.winner} by scenario, with 95 % intervals")
        if lines
        else Markup(),
        table=DataTable.of(
            (
                *("scenario", "training images", "images", *(f"{arm}, %" for arm in arms)),
                "luck of images, ±",
                *(f"{word} {c}" for c in controls for word in ("less", "95 % low,", "95 % high,")),
            ),
            [
                (
                    found.names[n],
                    found.scenarios[n].train,
                    found.images[n],
                    *(of[n] for of in found.arms.values()),
                    image_luck(found.arms[found.winner][n], found.images[n]),
                    *(value for gains in found.gains for value in _cells(gains.points[n])),
                )
                for n in sizes
            ],
        ),
        legend=legend(f"{found.winner} less {control}" for control in controls),
        note=" ".join(found.doubts())
        + f" {benchmark}: accuracy at each run's best epoch. Differences within a seed, t "
        "intervals over the common seeds, no narrower than one image, and not corrected for "
        "looking at several scenarios. Luck of images: how far the accuracy of "
        f"{found.winner} on other images of the scenario may lie from that on these.",
    )


def _finding(found: ByScenario, controls: list[str]) -> str:
    if not controls:
        return found.spread()
    none = f"In no scenario {found.winner} can be told from {' or '.join(controls)}."
    return " ".join(found.differences()[:2]) or none


def _reached(found: ByScenario, place: int) -> Line:
    reached = found.arms[found.winner][place] or 0.0
    luck = image_luck(reached, found.images[place]) or 0.0
    estimate = Estimate(reached, max(reached - luck, 0.0), min(reached + luck, 100.0))
    images = number_of(found.images[place], "image")
    tip = f"{found.names[place]}, {images}: {interval_text(estimate)} percent"
    return found.names[place], estimate, 0, tip


def _cells(points: Estimate | None) -> tuple[float | None, ...]:
    return (points.mean, points.low, points.high) if points else (None,) * 3
