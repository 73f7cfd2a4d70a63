"""Views of throughput: a table of at most 120 columns, and a plot."""

from pathlib import Path

from benchmarks.throughput.comparison import Comparison, Outcome, Spread
from spaces.parts.words import number_of

HEADER = (
    f"{'':<27}{'':>3}{'seconds per trial':^40}{'training':>10}  {'times as fast as plain':^28}"
    f"{'share of':>9}\n"
    f"{'arm':<27}{'n':>3}{'median':>9}{'min-max':>16}{'quartiles':>16}{'images/s':>10}"
    f"{'median':>8}{'min-max':>11}{'quartiles':>11}{'floor':>9}"
)


def short(number: float) -> str:
    """Return four digits or, of a greater number, all before the point."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.4g}"


def ratio(number: float) -> str:
    return f"{number:.2f}" if number < 10 else f"{number:.1f}"


def seconds_columns(spread: Spread) -> str:
    outer = f"{short(spread.low)}-{short(spread.high)}"
    inner = f"{short(spread.lower_quartile)}-{short(spread.upper_quartile)}"
    return f"{spread.n:>3}{short(spread.median):>9}{outer:>16}{inner:>16}"


def ratio_columns(spread: Spread | None) -> str:
    if spread is None:
        return f"{'-':>8}{'-':>11}{'-':>11}"
    outer = f"{ratio(spread.low)}-{ratio(spread.high)}"
    inner = f"{ratio(spread.lower_quartile)}-{ratio(spread.upper_quartile)}"
    return f"{ratio(spread.median):>8}{outer:>11}{inner:>11}"


def row(comparison: Comparison, outcome: Outcome) -> str:
    """Return an arm's row; an arm without a segment says why."""
    label = f"{outcome.arm.label:<27}"
    seconds, speed = outcome.seconds_per_trial(), outcome.images_per_second()
    if seconds is None or speed is None:
        reason = f"failed: {outcome.failure}" if outcome.failure else "not measured"
        return (label + "  " + reason)[:120]
    references = comparison.references()
    speedup = outcome.speedup(references[0]) if references else None
    share = comparison.share_of_floor(outcome)
    last = "-" if share is None else f"{share:.3g} %"
    columns = seconds_columns(seconds) + f"{short(speed.median):>10}" + ratio_columns(speedup)
    return f"{label}{columns}{last:>9}"


def floor_lines(comparison: Comparison) -> list[str]:
    """Say what a trial takes at least in each precision, and why."""
    if comparison.ceilings is None:
        return ["floor: not known, because the device's rates could not be measured"]
    work, ceilings = comparison.work, comparison.ceilings
    lines = [
        f"a trial needs {work.flops / 1e12:.4g} TFLOP and reads or writes "
        f"{work.elements / 1e9:.4g} G elements; copies ran at {ceilings.bandwidth / 1e9:.4g} GB/s"
    ]
    for precision in dict.fromkeys(outcome.arm.precision for outcome in comparison.outcomes):
        floor = comparison.floor(precision)
        assert floor is not None
        lines.append(
            f"floor in {precision}: {floor.seconds:.4g} s ({floor.binds}); arithmetic "
            f"{floor.arithmetic:.4g} s at {ceilings.rates[precision] / 1e12:.4g} TFLOP/s, memory "
            f"{floor.memory:.4g} s"
        )
    return lines


def reference_lines(comparison: Comparison) -> list[str]:
    """Say which reference the ratios are to, and the medians of the ratios to the others."""
    references = comparison.references()
    if not references:
        return ["no reference was measured, so there are no ratios"]
    lines = [f"ratios above: to {references[0].arm.label}, the fastest reference"]
    for other in references[1:]:
        spreads = [(o.arm.label, o.speedup(other)) for o in comparison.outcomes if not o.arm.plain]
        parts = [f"{label} {ratio(spread.median)}" for label, spread in spreads if spread]
        lines.append(f"medians of the ratios to {other.arm.label}: {'; '.join(parts)}")
    return lines


def cost_lines(comparison: Comparison) -> list[str]:
    return [
        f"reproducible instead of {label}: {cost.median:+.1f} % time per trial "
        f"(min-max {cost.low:+.1f} to {cost.high:+.1f}, quartiles {cost.lower_quartile:+.1f} to "
        f"{cost.upper_quartile:+.1f}, n {cost.n})"
        for label, cost in comparison.costs_of_reproducibility().items()
    ]


def trouble_lines(comparison: Comparison) -> list[str]:
    lines = []
    for outcome in comparison.outcomes:
        if outcome.failure:
            lines.append(f"failed: {outcome.arm.label}: {outcome.failure}")
        lines += [f"warning: {outcome.arm.label}: {line}" for line in outcome.warnings]
    return lines


def table(comparison: Comparison) -> str:
    """Return a benchmark's arms, what they are compared with, and what went wrong."""
    benchmark = comparison.benchmark
    lines = [
        f"{benchmark.name}: {number_of(benchmark.epochs, 'epoch')} of "
        f"{benchmark.train_images:,} images",
        comparison.note,
        HEADER,
        *(row(comparison, outcome) for outcome in comparison.outcomes),
        *reference_lines(comparison),
        *cost_lines(comparison),
        *floor_lines(comparison),
        *trouble_lines(comparison),
    ]
    return "\n".join(lines)


def series(comparison: Comparison) -> dict[str, list[Outcome]]:
    """Return the engine's measured arms by what they share, their label without the number."""
    found: dict[str, list[Outcome]] = {}
    for outcome in comparison.outcomes:
        if not outcome.arm.plain and outcome.segments:
            name = outcome.arm.label.replace(f" x{outcome.arm.together}", "")
            found.setdefault(name, []).append(outcome)
    return found


def draw(comparisons: list[Comparison], path: Path) -> bool:
    """Plot seconds per trial over trials side by side; return False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    columns = max(1, len(comparisons))
    figure = Figure(figsize=(6.5 * columns, 5), layout="constrained")
    for number, comparison in enumerate(comparisons):
        draw_one(comparison, figure.add_subplot(1, columns, number + 1))
    figure.savefig(path, dpi=110)
    return True


def draw_one(comparison: Comparison, axes: object) -> None:
    """Draw medians with bars from minimum to maximum, references and floors as lines."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    for name, outcomes in series(comparison).items():
        spreads = [s for o in outcomes if (s := o.seconds_per_trial())]
        medians = [s.median for s in spreads]
        bars = [[s.median - s.low for s in spreads], [s.high - s.median for s in spreads]]
        axes.errorbar(
            [o.arm.together for o in outcomes], medians, bars, marker="o", capsize=3, label=name
        )
    for style, outcome in zip(("-", "--", "-.", ":"), comparison.references(), strict=False):
        spread = outcome.seconds_per_trial()
        assert spread is not None
        axes.axhline(spread.median, color="black", ls=style, label=outcome.arm.label)
    for precision in dict.fromkeys(o.arm.precision for o in comparison.outcomes):
        floor = comparison.floor(precision)
        if floor:
            label = f"floor in {precision} ({floor.binds})"
            axes.axhline(floor.seconds, color="gray", ls="--", lw=0.8)
            axes.annotate(label, (0.02, floor.seconds), xycoords=("axes fraction", "data"))
    ticks = sorted({outcome.arm.together for outcome in comparison.outcomes})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_yscale("log")
    axes.set_xlabel("trials side by side")
    axes.set_ylabel(f"seconds per {comparison.benchmark.epochs}-epoch trial (extrapolated)")
    axes.set_title(comparison.benchmark.name)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
