"""The leaderboard of a run: its trials beside the published numbers."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TypeAlias

from rich.box import SIMPLE
from rich.console import Console, RenderableType
from rich.table import Column
from rich.text import Text

from search.config.controls import sentences_on
from search.report.in_flight import in_flight_text
from search.report.tables import FittingTable, folded
from search.report.verdict_view import conclusion_view, definition, effect
from search.results.conclusion import ENDS, ORDER, Conclusion
from search.session.phases import plan_text
from search.stats.priors import GUESSED_RUNS
from search.stats.ranking import GroupPosterior
from search.store.trials import Row
from spaces import CLASS_WEIGHTS, PUBLISHED_ON, PUBLISHED_PROTOCOL, STRATEGIES
from spaces.parts.words import number_of
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.benchmarks.published import PUBLISHED, Published
from trainer.own.training import OwnTraining
from trainer.results import SHOTS

Cells: TypeAlias = list[str | Text]
OTHER_TRAINING = (
    "Other training on the same data and network, for the same epochs: not comparable with the "
    "class-weight leaderboard."
)


def show(conclusion: Conclusion, console: Console) -> None:
    """Print the run's leaderboard, and what its confirmation shows."""
    for recorded in conclusion.manifest.benchmarks:
        console.print(f"{recorded.definition.name}: {recorded.protocol}")
    console.print(f"run folder {conclusion.folder.path}")
    for part in range(len(conclusion.objective.benchmarks)):
        for table in leaderboards(conclusion, part):
            console.print(table)
    for line in (*precision_note(conclusion), *names_text(conclusion)):
        console.print(line)
    console.print(legend(conclusion))
    console.print(noise_note(conclusion))
    for line in in_flight_text(conclusion):
        console.print(line)
    if conclusion.plan:
        console.print(f"Confirmation: {plan_text(conclusion.plan, conclusion.standings)}.")
    console.print(conclusion_view(conclusion, [row.strategy for row in conclusion.rows]))


def leaderboards(conclusion: Conclusion, part: int) -> Iterator[RenderableType]:
    """Yield the search's trials on one benchmark: class weights, then all other training.

    Each table has its own published rows, if they compare.
    """
    benchmark = conclusion.manifest.benchmarks[part].definition
    rows = rows_in_order(conclusion)
    others = [row for row in rows if row.strategy.kind != CLASS_WEIGHTS]
    alone = [row for row in rows if row.strategy.kind == CLASS_WEIGHTS]
    if alone or not others:
        yield leaderboard(conclusion, part, alone, published_cells(benchmark))
    if others:
        yield Text(OTHER_TRAINING, style="bold")
        published = strategy_cells(benchmark)
        yield leaderboard(conclusion, part, others, published)
        if published and benchmark.name != PUBLISHED_ON:
            yield Text(f"Published under another protocol: {PUBLISHED_PROTOCOL}.")


def leaderboard(
    conclusion: Conclusion, part: int, trials: Sequence[Row], published: Sequence[Cells]
) -> FittingTable:
    """Return trials of the search on one benchmark, then published rows.

    The best estimate comes first, as in the choice of what is confirmed.
    """
    joint = conclusion.objective.joint
    names = ("gain" if joint else "estimate", "mean (n)", "last 10", *SHOTS)
    numbers = [Column(name, justify="right", no_wrap=True) for name in names]
    kinds = {row.strategy.kind for row in trials}
    what = "weighting" if kinds <= {CLASS_WEIGHTS} else "kind: strategy"
    columns = [Column("trial", no_wrap=True), *numbers, Column(what, overflow="fold")]
    benchmark = conclusion.manifest.benchmarks[part].definition
    rows: list[tuple[list[str | Text], str | None]] = []
    known = conclusion.standings.known()
    rows += [(cells(conclusion, row, part, known.get(row.key)), None) for row in trials]
    rows += [(there, "dim") for there in published]
    return FittingTable(columns, rows, benchmark.name if joint else None, SIMPLE)


def published_cells(benchmark: Benchmark | OwnTraining) -> list[Cells]:
    """Return the published rows of class weights, if they compare with a run on a benchmark."""
    return [
        published_row(
            f"{seed_42:.2f} (1)", f"{name}{'' if mean is None else f' (3 seeds {mean:.2f})'}"
        )
        for name, (seed_42, mean) in published_rows(benchmark).items()
    ]


def strategy_cells(benchmark: Benchmark | OwnTraining) -> list[Cells]:
    """Return what was published of strategies on a benchmark; none if it is not the registry's."""
    if not is_registered(benchmark):
        return []
    return [
        published_row(
            f"{report.accuracies[benchmark.name]:.2f}",
            f"{name}: {'; '.join(filter(None, (report.source, report.differs)))}",
        )
        for name, member in STRATEGIES.items()
        for report in member.published
        if benchmark.name in report.accuracies
    ]


def published_row(value: str, what: str) -> Cells:
    return ["published", "", value, "", *("",) * len(SHOTS), what]


def rows_in_order(conclusion: Conclusion) -> list[Row]:
    """Return the trials of the search: those of full length by estimate, then the others.

    Of several full-length trials of one strategy, the earliest stands for all.
    """
    ranking = conclusion.standings.ranking()
    ranks = {known.group: rank for rank, known in enumerate(ranking.groups if ranking else ())}
    known = conclusion.standings.known()

    def place(row: Row) -> tuple[int, int, float]:
        here = ranks[known[row.key].group] if row.key in known else len(ranks)
        return ORDER.index(row.state), here, -(row.value or 0.0)

    once: dict[object, Row] = {}
    for row in conclusion.rows:  # the controls are the first
        if row.in_search:
            once.setdefault(row.strategy if row.key in known else row.key, row)
    return sorted(once.values(), key=place)


def published_rows(benchmark: Benchmark | OwnTraining) -> Published:
    """Return the published rows that compare with a run on a benchmark."""
    return PUBLISHED.get(benchmark.name, {}) if is_registered(benchmark) else {}


def is_registered(benchmark: Benchmark | OwnTraining) -> bool:
    """Return whether a benchmark is the one of its name in the registry, in its full length.

    A training of the user's own, or a run from elsewhere, may bear the same name.
    """
    known = BENCHMARKS.get(benchmark.name)
    return known is not None and known.fingerprint() == benchmark.fingerprint()


def precision_note(conclusion: Conclusion) -> list[str]:
    """Return what is to be known of published rows beside a run in bf16, if there are any."""
    benchmarks = conclusion.manifest.benchmarks
    if conclusion.settings.precision != "bf16" or not any(
        published_rows(recorded.definition) for recorded in benchmarks
    ):
        return []
    return [
        "note: this run trained in bf16, and the published rows are of float32 with convolutions "
        "in tf32; that bf16 is as accurate has not been shown."
    ]


def names_text(conclusion: Conclusion) -> list[str]:
    """Return what the names in the leaderboard mean, and which controls are not in it."""
    shown = {row.label for row in conclusion.rows if row.in_search}
    for recorded in conclusion.manifest.benchmarks:
        shown |= published_rows(recorded.definition).keys()
    lines = [
        f"{name}: {definition(name)}; {effect(member.strategy, conclusion.objective)}"
        for name, member in STRATEGIES.items()
        if name in shown
    ]
    counts = [benchmark.counts for benchmark in conclusion.objective.benchmarks]
    return lines + sentences_on(conclusion.settings, (*conclusion.controls, *shown), counts)


def legend(conclusion: Conclusion) -> str:
    """Return what the columns of the leaderboard are."""
    words = " / ".join(dict.fromkeys(b.score_words for b in conclusion.objective.benchmarks))
    pulled = "pulled towards the mean of all weightings as far as luck may have made it"
    if conclusion.standings.model:
        pulled = "and of those with nearly its gradient shares, weighed by a model of them"
    estimate = f"estimate: the mean of a weighting's n runs, {pulled} (posterior mean)"
    if conclusion.objective.joint:
        estimate = f"gain: over uniform, in noise SDs averaged over the benchmarks, {pulled}"
    return (
        f"{estimate}; mean (n): of its n runs; last 10: of the last ten epochs; many, medium, few: "
        f"accuracy of the classes by training images. All but these: {words}, percent."
    )


def noise_note(conclusion: Conclusion) -> str:
    """Return what a difference between two rows is worth."""
    ranking = conclusion.standings.ranking()
    if ranking is None:
        return "There is no full-length trial yet."
    unit = "noise SDs of the mean gain" if conclusion.objective.joint else "points"
    known = conclusion.objective.noise_prior.runs > GUESSED_RUNS
    grounds = "stated by the benchmark" if known else "a guess"
    if ranking.noise_freedom:
        grounds += f", and measured on {ranking.noise_freedom} replicates"
    return (
        "Single runs: two runs of one weighting differ with a standard deviation of about "
        f"{ranking.noise_sd * 2**0.5:.1f} {unit} ({grounds}), and the best of many runs is "
        "partly luck."
    )


def cells(
    conclusion: Conclusion, row: Row, part: int, known: GroupPosterior | None
) -> list[str | Text]:
    """Return a trial's row of the leaderboard; ``known`` is what there is of its weighting."""
    weighting = strategy_text(row)
    if not row.summaries:
        why = Text(f"{weighting}: {row.reason or ENDS[row.state]}")
        return [folded(row.label), *("",) * (3 + len(SHOTS)), why]
    summary = row.summaries[part]
    runs = conclusion.standings.members.get(known.group, []) if known else [row]
    alike = [run.summaries[part] for run in runs if run.strategy == row.strategy]
    shots = (mean_of([s.shots.get(group) for s in alike]) for group in SHOTS)
    shown = ["" if value is None else f"{value:.0f}" for value in shots]
    if known is None:
        end = Text(f"{weighting} ({ENDS[row.state]} after {number_of(summary.epochs, 'epoch')})")
        return [folded(row.label), "", f"{summary.best_score:.2f}", "", *shown, end]
    mean = fmean(run.summaries[part].best_score for run in runs)
    return [
        folded(row.label),
        estimate_text(conclusion, known),
        f"{mean:.2f} ({known.n})",
        f"{fmean(s.last_ten_score for s in alike):.2f}",
        *shown,
        Text(weighting),
    ]


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean of numbers, None where one is not known."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def strategy_text(row: Row) -> str:
    """Return a trial's strategy in symbols, with its kind where that is more than class weights."""
    kind = row.strategy.kind
    return f"{'' if kind == CLASS_WEIGHTS else f'{kind}: '}{row.strategy.describe()}"


def estimate_text(conclusion: Conclusion, known: GroupPosterior) -> str:
    """Return the posterior mean of a weighting; of a joint search, less that of uniform weights."""
    if not conclusion.objective.joint:
        return f"{known.mean:.2f}"
    uniform = conclusion.standings.uniform_mean()
    return "" if uniform is None else f"{known.mean - uniform:+z.2f}"
