"""The view of a verdict's arms on one benchmark: what their runs reached, and where they gain."""

from collections.abc import Mapping

from rich.console import RenderableType
from rich.table import Column
from rich.text import Text

from search.report.tables import LONGEST_NAME, FittingTable, folded
from search.results.on_benchmark import OnBenchmark
from search.stats.accuracies import Accuracies, Gains
from search.stats.verdict import Verdict
from spaces import PostHoc
from spaces.parts.words import number_of
from trainer.benchmarks.metrics import METRICS

FEWEST_SEEDS = 5
"""In common with uniform, for a gain by class frequency to be told: four degrees of freedom."""
SAME_IMAGES = (
    "the accuracy is of the same images that chose weighting and epochs, so that it holds luck of "
    "the choice; correct images by half, or of validation and test images, would tell how much."
)
"""Of a benchmark whose images do not come in halves."""
ADJUSTED = (
    "  The same runs with their logits adjusted after training, for which nothing is trained "
    "again: the adjustment and the epoch are the best on half A, the percent are of half B. "
    "Adjusted, an arm is more than class weights: not comparable with the class-weight leaderboard."
)


def benchmark_view(benchmark: OnBenchmark, verdict: Verdict) -> list[RenderableType]:
    """Return the arms on one benchmark, the honest number, and where the winner gains."""
    own = benchmark.verdict
    said: list[RenderableType] = []
    said += [Text(f"  {line}") for line in own.sentences(benchmark.name)] if own else []
    notes = []
    if benchmark.benchmark.half_counts is not None:
        notes.append(metrics_text(benchmark, verdict.winner))
    if split := None if benchmark.benchmark.test_held_out else benchmark.half_split:
        notes.append(
            f"  Configuration and epochs chosen on half A of the {benchmark.benchmark.chosen_on} "
            f"images: {split.arm}, {split.accuracies.half_b:.2f} % on half B."
        )
    elif not benchmark.benchmark.test_held_out:
        notes.append(f"  {SAME_IMAGES[:1].upper()}{SAME_IMAGES[1:]}")
    found = gains_text(benchmark.gains) if benchmark.gains else None
    scenarios = benchmark.scenarios.sentences() if benchmark.scenarios else []
    said += [arms_table(benchmark, verdict), *map(Text, filter(None, [*notes, found]))]
    said += [Text(f"  {sentence}") for sentence in scenarios]
    return [*said, Text(ADJUSTED), adjusted_table(benchmark)] if benchmark.adjusted else said


def adjusted_table(benchmark: OnBenchmark) -> FittingTable:
    """Return what the arms reach adjusted after training."""
    columns = [Column("", overflow="fold", max_width=LONGEST_NAME + 10)]
    names = ("adjusted by", "half B", "as trained", "gain (95 %)")
    columns += [Column(name, justify="right", no_wrap=True) for name in names]

    rows: list[tuple[list[str | Text], str | None]] = []
    for label, arm in benchmark.adjusted.items():
        gain = arm.gain
        interval = f"{gain.mean:+z.2f} ({gain.low:+z.2f} to {gain.high:+z.2f})" if gain else ""
        values = (f"{arm.half_b:.2f}", f"{arm.unadjusted:.2f}", interval)
        rows.append(([f"{folded(label)}, adjusted", posthoc_text(arm.posthoc), *values], None))
    return FittingTable(columns, rows)


def posthoc_text(posthoc: PostHoc) -> str:
    """Return an adjustment after training in symbols."""
    given = {name: value for name, value in vars(posthoc).items() if value}
    return " ".join(f"{name}={value:g}" for name, value in given.items()) or "nothing"


def metrics_text(benchmark: OnBenchmark, winner: str) -> str:
    """Return the other metrics of the winner, on the images that judge."""
    objective, reached = benchmark.benchmark, benchmark.arms[winner]
    return (
        f"  {winner} on the {objective.judged_on} images, mean of "
        f"{number_of(reached.runs, 'run')}: "
        f"{other_metrics(reached.metrics, objective.metric)}."
    )


def other_metrics(values: Mapping[str, float | None], metric: str) -> str:
    """Return metrics in percent, such as "balanced accuracy 71.20 %", all but one."""
    return ", ".join(
        f"{METRICS[name].words} {'not on record' if value is None else f'{value:.2f} %'}"
        for name, value in values.items()
        if name != metric
    )


def arms_table(benchmark: OnBenchmark, verdict: Verdict) -> FittingTable:
    """Return the arms by posterior mean; the benchmark's own number is that of seed 42.

    Where a test set is held out, ``verdict`` is of that, and the last columns are of validation.
    """
    names = ["n", "mean (95 %)", "best?", "seed 42", "3 seeds", "last", "last 10", "half B"]
    if benchmark.benchmark.test_held_out:
        names[1:] = ["test (95 %)", "best?", "validation", "last", "last 10"]
    elif benchmark.half_split is None:
        names.remove("half B")
    columns = [Column("", overflow="fold", max_width=LONGEST_NAME)]
    columns += [Column(name, justify="right", no_wrap=True) for name in names]
    rows: list[tuple[list[str | Text], str | None]] = []
    for arm in verdict.arms:
        reached = benchmark.arms.get(arm.name)
        if reached is None:
            continue
        true = f"{arm.accuracy.mean:.1f} ({arm.accuracy.low:.1f}-{arm.accuracy.high:.1f})"
        chance = f"{100 * arm.probability_best:.0f} %"
        cells = reached_cells(reached, benchmark.benchmark.test_held_out)
        rows.append(([folded(arm.name), str(reached.runs), true, chance, *cells], None))
    title = f"  {benchmark.name}, {benchmark.benchmark.judged_words} in percent"
    return FittingTable(columns, rows, title)


def reached_cells(reached: Accuracies, test_held_out: bool) -> list[str]:
    if test_held_out:
        return [f"{value:.2f}" for value in (reached.best, reached.last, reached.last_ten)]
    official = [reached.seed_42, reached.published_mean]
    on_half_b = () if reached.half_b is None else (reached.half_b,)
    return [
        *("" if value is None else f"{value:.2f}" for value in official),
        *(f"{value:.2f}" for value in (reached.last, reached.last_ten, *on_half_b)),
    ]


def gains_text(gains: Gains) -> str | None:
    """Return the classes in which the winner differs from uniform; None where none is known to."""
    known = {name: g for name, g in gains.shots.items() if g.low > 0 or g.high < 0}
    if gains.seeds < FEWEST_SEEDS or not known:
        return None
    groups = ", ".join(
        f"{name} {gain.mean:+z.1f} ({gain.low:+z.1f} to {gain.high:+z.1f})"
        for name, gain in known.items()
    )
    return (
        f"  Gain over uniform by class frequency, points over "
        f"{number_of(gains.seeds, 'common seed')} "
        f"(95 % t interval): {groups}; per class in best.json."
    )
