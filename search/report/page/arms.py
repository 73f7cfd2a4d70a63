"""Figures of a confirmation: what each arm reaches, and by how much the winner differs from it."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from search.report.benchmark_view import ADJUSTED, FEWEST_SEEDS, posthoc_text
from search.report.page.figure import DataTable, Figure
from search.report.page.scales import Scale, around
from search.report.page.svg import BOTTOM, TOP, Plot, x_range
from search.results.judgement import CHOSEN_FOR_HALF_B, Judgement
from search.results.on_benchmark import OnBenchmark
from search.stats.estimate import Estimate, Unit
from search.stats.sentences import listed
from search.stats.verdict import Verdict
from spaces.parts.words import number_of

ROW = 30
"""Height of a line of a chart with a name to each line."""
NAMES = 190
"""Width of these names."""
LONGEST = 26
"""Characters of a name on a line."""

Line = tuple[str, Estimate, int, str]
"""Name, estimate, series and tip of a line of a chart."""


def interval_plot(lines: Sequence[Line], x_title: str, reference: float | None = None) -> Plot:
    """Return a chart of estimates with their intervals, one below the other."""
    height = TOP + BOTTOM + ROW * len(lines)
    ends = [end for _, e, _, _ in lines for end in (e.low, e.mean, e.high)]
    x = around([*ends, *([reference] if reference is not None else [])], *x_range(NAMES))
    y = Scale(-0.5, len(lines) - 0.5, TOP, height - BOTTOM)
    names = [(float(place), shortened(name)) for place, (name, *_) in enumerate(lines)]
    plot = Plot(x, y, x_title, "", height, y_labels=names)
    if reference is not None:
        plot.across(reference)
    for place, (_, estimate, series, tip) in enumerate(lines):
        plot.interval(place, estimate.low, estimate.mean, estimate.high, series, tip)
    return plot


def shortened(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def interval_text(estimate: Estimate, sign: str = "") -> str:
    """Return a mean and its interval, such as "71.2 (70.1 to 72.3)"."""
    low, high = (
        f"{end:{sign}z.2f}" if sign else f"{end:.2f}" for end in (estimate.low, estimate.high)
    )
    mean = f"{estimate.mean:{sign}z.2f}" if sign else f"{estimate.mean:.2f}"
    return f"{mean} ({low} to {high})"


def arms_figure(judgement: Judgement) -> Figure:
    """Return what is known of every arm, the best estimate first."""
    note = (
        f"{judgement.grounds or 'Fresh seeds only.'} The estimate is corrected for the choice of "
        "the best; the bar is its 95 % interval."
    )
    if judgement.half_b:
        note += f" On half B, {CHOSEN_FOR_HALF_B}"
    return _arms_figure("arms", "", judgement.stated, note)


def holdout_figure(holdout: OnBenchmark) -> Figure | None:
    """Return what the arms reach on the hold-out; None before they have results there."""
    if holdout.verdict is None:
        return None
    note = "It was never searched on, and chose nothing; the bars are 95 % intervals."
    return _arms_figure("holdout", f"Held out, on {holdout.name}: ", holdout.verdict, note)


def _arms_figure(name: str, where: str, verdict: Verdict, note: str) -> Figure:
    unit = "percent" if verdict.unit == Unit.PERCENT else str(verdict.unit)
    lines: list[Line] = [
        (
            arm.name,
            arm.accuracy,
            0 if arm.name == verdict.winner else 1,
            f"{arm.name}: {interval_text(arm.accuracy)}, {number_of(arm.seeds, 'run')}, "
            f"the best with a probability of {arm.probability_best:.0%}",
        )
        for arm in verdict.arms
    ]
    best, verb = verdict.best, "reaches" if verdict.given else "leads with"
    leads = f"{best.name} {verb} {interval_text(best.accuracy)} {unit}"
    if verdict.unit != Unit.PERCENT:
        leads = f"{best.name} {'was chosen' if verdict.given else 'leads'}"
        note += " Of such scores, differences alone mean something."
    tied = f"; {len(verdict.ties)} more cannot be told from it" if verdict.ties else ""
    return Figure(
        name=name,
        finding=f"{where}{leads}{tied}.",
        chart=interval_plot(lines, f"{verdict.scored}, {unit}").drawn(
            name, f"{verdict.scored} of {len(lines)} weightings with 95 % intervals"
        ),
        table=DataTable.of(
            ("weighting", "runs", "plain mean", "estimate", "95 % low", "95 % high", "best"),
            [
                (
                    a.name,
                    a.seeds,
                    a.raw_mean,
                    a.accuracy.mean,
                    a.accuracy.low,
                    a.accuracy.high,
                    f"{a.probability_best:.0%}",
                )
                for a in verdict.arms
            ],
        ),
        note=note,
    )


def differences_figure(judgement: Judgement) -> Figure | None:
    """Return by how much the winner differs from the controls; None if it is the only one."""
    verdict = judgement.stated
    found = [d for d in (verdict.to_uniform, verdict.to_baseline) if d is not None]
    differences = list(dict.fromkeys(found))
    if not differences:
        return None
    unit = "points" if verdict.unit == Unit.PERCENT else str(verdict.unit)
    lines: list[Line] = [
        (
            f"less {d.control}",
            d.points,
            0,
            f"{verdict.winner} less {d.control}: {interval_text(d.points, '+')} {unit}, "
            f"better with a probability of {d.probability:.0%}",
        )
        for d in differences
    ]
    return Figure(
        name="differences",
        finding=" ".join(_difference(d.control, d.points, unit) for d in differences),
        chart=interval_plot(lines, f"difference, {unit}", reference=0.0).drawn(
            "differences", f"difference of {verdict.winner} to the controls with 95 % intervals"
        ),
        table=DataTable.of(
            ("difference", "mean", "95 % low", "95 % high", "probability above 0"),
            [
                (
                    f"{verdict.winner} less {d.control}",
                    d.points.mean,
                    d.points.low,
                    d.points.high,
                    f"{d.probability:.0%}",
                )
                for d in differences
            ],
        ),
    )


def _difference(control: str, points: Estimate, unit: str) -> str:
    if points.low > 0:
        return f"It is better than {control} by {interval_text(points)} {unit}."
    if points.high < 0:
        turned = Estimate(-points.mean, -points.high, -points.low)
        return f"It is worse than {control} by {interval_text(turned)} {unit}."
    return f"It cannot be told from {control}: {interval_text(points, '+')} {unit}."


def adjusted_figure(benchmark: OnBenchmark) -> Figure | None:
    """Return what the arms' runs reach adjusted after training; None where that is not known."""
    adjusted = benchmark.adjusted
    if not adjusted:
        return None
    lines: list[Line] = [
        (f"{label}, adjusted", arm.gain, 0, f"{label}: {interval_text(arm.gain, '+')} points")
        for label, arm in adjusted.items()
        if arm.gain
    ]
    name = f"adjusted-{benchmark.name}"
    label, best = max(adjusted.items(), key=lambda item: item[1].half_a)
    gain = f", a difference of {interval_text(best.gain, '+')} points" if best.gain else ""
    return Figure(
        name=name,
        finding=f"{label}, adjusted by {posthoc_text(best.posthoc)}, is the best on half A; on "
        f"half B it reaches {best.half_b:.2f} %, and {best.unadjusted:.2f} % as trained{gain}.",
        chart=interval_plot(lines, "gain by the adjustment, points", reference=0.0).drawn(
            name,
            f"gain of {number_of(len(lines), 'weighting')} adjusted after training, with "
            "95 % intervals",
        )
        if lines
        else Markup(),
        table=DataTable.of(
            ("weighting", "runs", "adjusted by", "half B", "as trained", "gain", "low", "high"),
            [
                (
                    f"{label}, adjusted",
                    arm.runs,
                    posthoc_text(arm.posthoc),
                    arm.half_b,
                    arm.unadjusted,
                    *((g.mean, g.low, g.high) if (g := arm.gain) else (None,) * 3),
                )
                for label, arm in adjusted.items()
            ],
        ),
        note=f"{benchmark.name}. {ADJUSTED.strip()}",
    )


def shots_figure(benchmark: OnBenchmark, winner: str) -> Figure | None:
    """Return the winner's gains over uniform by class frequency; None where they are not known."""
    gains = benchmark.gains
    if gains is None:
        return None
    lines: list[Line] = [
        (f"{name}-shot classes", e, 0, f"{name}-shot classes: {interval_text(e, '+')} points")
        for name, e in gains.shots.items()
    ]
    sure = [
        f"{estimate.mean:+z.1f} points in the {name}-shot classes"
        for name, estimate in gains.shots.items()
        if estimate.low > 0 or estimate.high < 0
    ]
    if gains.seeds < FEWEST_SEEDS:
        finding = (
            f"{number_of(gains.seeds, 'common seed')}: too few to tell gains by class frequency."
        )
    elif sure:
        finding = f"{winner} differs from uniform weights by {listed(sure)}."
    else:
        finding = f"{winner} differs from uniform weights in no group by more than seeds do."
    return Figure(
        name=f"shots-{benchmark.name}",
        finding=finding,
        chart=interval_plot(lines, "gain over uniform, points", reference=0.0).drawn(
            f"shots-{benchmark.name}",
            f"gain of {winner} over uniform by class frequency, with 95 % intervals",
        ),
        table=DataTable.of(
            ("classes", "gain", "95 % low", "95 % high"),
            [(name, e.mean, e.low, e.high) for name, e in gains.shots.items()],
        ),
        note=f"Differences within a seed, t intervals over "
        f"{number_of(gains.seeds, 'common seed')}; many: more "
        "than 100 training images, few: under 20, or thirds of the classes.",
    )
