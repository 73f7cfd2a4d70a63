"""The view of a run's verdict, at its end and in ``show``."""

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from search.config.objective import Objective
from search.config.program import PROGRAM
from search.report.tables import FittingTable
from search.results.conclusion import Conclusion, Incumbent
from search.results.judgement import Judgement, OnBenchmark
from search.stats.accuracies import Accuracies, Gains
from search.stats.verdict import Verdict
from spaces import NAMED, Strategy, Weighting, in_words, legend
from trainer.benchmarks.metrics import METRICS

LONGEST_NAME = 16
"""Characters of a name on one line of a table, so that its numbers fit 80 columns."""
SAVED_HOURS = 0.01
"""By early stopping, for them to be told."""
FEWEST_SEEDS = 5
"""In common with uniform, for a gain by class frequency to be told: four degrees of freedom."""


def conclusion_view(conclusion: Conclusion, shown: Iterable[Weighting] = ()) -> RenderableType:
    """Return the verdict, or what there is before one, and what early stopping did, if it did.

    The symbols in it are explained, and those of the weightings that were ``shown`` above.
    """
    described = [weighting.describe() for weighting in (*shown, *weightings_in(conclusion))]
    explained = [Text(str(parameter), style="dim") for parameter in legend(described)]
    stopping = [Text(line) for line in stopping_lines(conclusion)]
    judgement = conclusion.judgement
    if judgement is None:
        found = conclusion.incumbent
        if found is None:
            return Group(Text("no full-length result yet"), *explained, *stopping)
        words = f"{found.row.label}: {effect(found.row.strategy, conclusion.objective)}"
        best = incumbent_text(found, conclusion.objective)
        notes = map(Text, unconfirmed_notes(conclusion))
        return Group(Text(best), Text(words), *notes, *explained, *stopping)
    return Group(Text(), *judgement_view(judgement, conclusion.objective), *explained, *stopping)


def weightings_in(conclusion: Conclusion) -> list[Weighting]:
    """Return the weightings of which a conclusion shows the parameters."""
    if conclusion.judgement:
        return list(conclusion.judgement.plan.candidates.values())
    found = conclusion.incumbent
    return [found.row.strategy] if found and found.row.label not in NAMED else []


def stopping_lines(conclusion: Conclusion) -> list[str]:
    """Return what early stopping saved and risked; nothing where it stopped no trial."""
    lines = conclusion.stopping.sentences()
    saved, spent = conclusion.saved_hours, conclusion.device_hours
    if lines and saved >= SAVED_HOURS:
        lines.append(f"That is about {saved:.2f} of {saved + spent:.2f} {conclusion.hours_unit}.")
    return lines


def export_note(conclusion: Conclusion) -> str | None:
    """Return what a person must know of a weighting before using it; None if it is confirmed."""
    judgement, run = conclusion.judgement, conclusion.folder.path
    if judgement is None:
        return (
            "not confirmed: it is the best of the search by the search's own runs, which is partly "
            f"luck; '{PROGRAM} confirm {run}' trains it again with fresh seeds."
        )
    if not judgement.decided:
        return (
            f"the confirmation has not ended ({judgement.reason}); '{PROGRAM} confirm {run}' goes "
            "on with it."
        )
    return None


def unconfirmed_notes(conclusion: Conclusion) -> list[str]:
    """Return the other metrics of the best of the search, and what only a verdict will say."""
    notes = []
    for benchmark, reached in zip(
        conclusion.objective.benchmarks, conclusion.reached, strict=False
    ):
        said = other_metrics(reached.metrics, benchmark.metric)
        notes.append(f"on the {benchmark.chosen_on} images of {benchmark.name}: {said}")
    notes += [
        f"{benchmark.name}: its test images are held out for the verdict (confirm RUN)"
        for benchmark in conclusion.objective.benchmarks
        if benchmark.test_held_out
    ]
    return notes


def incumbent_text(found: Incumbent, objective: Objective) -> str:
    """Return the best of the search, and how little that says."""
    known = found.known
    who = (
        f"best of the search: {found.row.label}, {what_it_is(found.row.label, found.row.strategy)}"
    )
    if found.alike:
        who = f"nothing was found: all {found.alike} weightings reached the same; {who}"
    runs = "its single run" if known.n == 1 else f"the mean of its {known.n} runs"
    if objective.joint:
        gain = "" if found.gain is None else f", about {found.gain:+z.2f} noise SDs over uniform"
        return f"{who}{gain} (posterior SD {known.sd:.2f}), not confirmed"
    return (
        f"{who}, about {known.mean:.2f} % {objective.benchmarks[0].score_words} "
        f"(posterior SD {known.sd:.2f}; {runs} {known.raw_mean:.2f}), not confirmed"
    )


def what_it_is(label: str, weighting: Weighting) -> str:
    """Return the formula and the source of a named weighting, the parameters of another."""
    return NAMED[label].definition if label in NAMED else weighting.describe()


def effect(weighting: Weighting, objective: Objective) -> str:
    """Say in plain words what a weighting does to the counts of each benchmark."""
    said = {b.name: in_words(Strategy.of(weighting), b.counts) for b in objective.benchmarks}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"on {name}, {words}" for name, words in said.items())


def folded(name: str) -> str:
    """Return a name as tables show it: a long one on two lines, divided at an underscore."""
    end = name.rfind("_", 0, LONGEST_NAME) + 1
    return f"{name[:end]}\n{name[end:]}" if len(name) > LONGEST_NAME and end else name


def judgement_view(judgement: Judgement, objective: Objective) -> list[RenderableType]:
    """Return what to use first, then on what grounds, and what the weightings are."""
    verdict, decided = judgement.verdict, judgement.decided
    use, *more = verdict.sentences()
    if judgement.stated is not verdict and not verdict.alike:
        use = judgement.stated.use("on the test images")
    state = "Verdict" if decided else "Verdict so far"
    arms = {verdict.winner: judgement.plan.arms[verdict.winner]} | judgement.plan.candidates
    parts: list[RenderableType] = [
        Text(use if decided else f"So far: {use}", style="bold"),
        *(
            Text(f"  {label}: {what_it_is(label, weighting)}; {effect(weighting, objective)}")
            for label, weighting in arms.items()
        ),
        Text(f"{state} after {judgement.runs} runs with fresh seeds ({judgement.reason}):"),
        *(Text(f"  {sentence}") for sentence in more),
    ]
    for benchmark in judgement.benchmarks:
        parts += benchmark_view(benchmark, benchmark.verdict or verdict)
    if judgement.holdout:
        parts.append(Text("Held out, and never searched on:"))
        held = judgement.holdout.verdict
        parts += benchmark_view(judgement.holdout, held) if held else []
        if held is None:
            parts.append(Text("  not every arm that the verdict needs has a result there"))
    return parts


def benchmark_view(benchmark: OnBenchmark, verdict: Verdict) -> list[RenderableType]:
    """Return the arms on one benchmark, the honest number, and where the winner gains."""
    own = benchmark.verdict
    said = [Text(f"  {line}") for line in own.sentences(benchmark.name)] if own else []
    notes = [metrics_text(benchmark, verdict.winner)]
    if not benchmark.benchmark.test_held_out:
        split = benchmark.half_split
        notes.append(
            f"  Configuration and epochs chosen on half A of the {benchmark.benchmark.chosen_on} "
            f"images: {split.arm}, {split.accuracies.half_b:.2f} % on half B."
        )
    found = gains_text(benchmark.gains) if benchmark.gains else None
    return [*said, arms_table(benchmark, verdict), *map(Text, filter(None, [*notes, found]))]


def metrics_text(benchmark: OnBenchmark, winner: str) -> str:
    """Return the other metrics of the winner, on the images that judge."""
    objective, reached = benchmark.benchmark, benchmark.arms[winner]
    return (
        f"  {winner} on the {objective.judged_on} images, mean of {reached.runs} runs: "
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
    columns = [Column("", overflow="fold", max_width=LONGEST_NAME)]
    columns += [Column(name, justify="right", no_wrap=True) for name in names]
    title = f"  {benchmark.name}, {benchmark.benchmark.judged_words} in percent"

    def empty(numbers: list[int]) -> Table:
        return Table(
            *(columns[number].copy() for number in numbers),
            box=None,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            title=title,
            title_justify="left",
        )

    rows: list[tuple[list[str | Text], str | None]] = []
    for arm in verdict.arms:
        reached = benchmark.arms.get(arm.name)
        if reached is None:
            continue
        true = f"{arm.accuracy.mean:.1f} ({arm.accuracy.low:.1f}-{arm.accuracy.high:.1f})"
        chance = f"{100 * arm.probability_best:.0f} %"
        cells = reached_cells(reached, benchmark.benchmark.test_held_out)
        rows.append(([folded(arm.name), str(reached.runs), true, chance, *cells], None))
    return FittingTable(empty, len(columns), rows)


def reached_cells(reached: Accuracies, test_held_out: bool) -> list[str]:
    if test_held_out:
        return [f"{value:.2f}" for value in (reached.best, reached.last, reached.last_ten)]
    official = [reached.seed_42, reached.published_mean]
    return [
        *("" if value is None else f"{value:.2f}" for value in official),
        *(f"{value:.2f}" for value in (reached.last, reached.last_ten, reached.half_b)),
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
        f"  Gain over uniform by class frequency, points over {gains.seeds} common seeds "
        f"(95 % t interval): {groups}; per class in best.json."
    )
