"""What a run tried: its table of trials beside the published numbers."""

from typing import Any

from optuna.trial import TrialState
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from search.conclusion import ENDS, ORDER, Conclusion
from search.conclusion_view import conclusion_view, folded
from search.controls import sentences_on
from search.in_flight import in_flight_text
from search.record import Row
from spaces import NAMED

Published = dict[str, tuple[float, float | None]]
"""Weighting -> (accuracy with seed 42, mean over seeds 42, 123, 456), percent."""

PUBLISHED: dict[str, Published] = {
    "resnet32-cifar10lt": {
        "mlsbench_balanced_softmax": (73.59, 73.15),
        "mlsbench_effective_number": (73.13, 72.70),
        "mlsbench_inverse_freq": (71.79, 72.45),
        "best of ten designs made by language models": (74.74, None),
    },
    "resnet32-cifar100lt": {
        "mlsbench_balanced_softmax": (39.42, 39.55),
        "mlsbench_effective_number": (40.16, 39.68),
        "mlsbench_inverse_freq": (35.55, 37.76),
        "best of ten designs made by language models": (40.48, None),
    },
    "vgg16bn-cifar100lt": {
        "mlsbench_balanced_softmax": (45.36, 45.10),
        "mlsbench_effective_number": (44.82, 44.58),
        "mlsbench_inverse_freq": (43.91, 44.32),
        "best of ten designs made by language models": (47.26, None),
    },
}
"""The class-weighting leaderboard of MLS-Bench, full protocol, best test accuracy in percent."""

SHOTS = ("many", "medium", "few")


def show(conclusion: Conclusion, console: Console) -> None:
    """Print the run's leaderboard, and what its confirmation shows."""
    for benchmark in conclusion.content["benchmarks"]:
        console.print(described(benchmark))
    console.print(f"run folder {conclusion.folder.path}")
    for part in range(len(conclusion.facts.benchmarks)):
        console.print(leaderboard(conclusion, part))
    for line in names_text(conclusion):
        console.print(line)
    console.print(f"Test accuracy in percent. {noise_note(conclusion)}")
    for line in in_flight_text(conclusion):
        console.print(line)
    console.print(conclusion_view(conclusion))


def described(benchmark: dict[str, Any]) -> str:
    return f"{benchmark['benchmark']['name']}: {benchmark['protocol']}"


def leaderboard(conclusion: Conclusion, part: int) -> Table:
    """Return the search's trials on one benchmark, with its published rows if they compare."""
    numbers = [Column(n, justify="right", no_wrap=True) for n in ("best", "last 10", *SHOTS)]
    weighting = Column("weighting", overflow="fold")
    columns = [Column("trial", no_wrap=True), *numbers, Column("epochs"), weighting]
    benchmark = conclusion.content["benchmarks"][part]["benchmark"]
    title = benchmark["name"] if conclusion.facts.joint else None
    table = Table(*columns, box=SIMPLE, padding=(0, 1, 0, 0), title=title, title_justify="left")
    rows = [row for row in conclusion.rows if row.in_search]
    for row in sorted(rows, key=lambda r: (ORDER.index(r.state), -(r.value or 0.0))):
        table.add_row(*cells(row, part))
    for name_there, (seed_42, mean) in published_rows(benchmark).items():
        epochs = "200" if mean is None else f"200 (3 seeds {mean:.2f})"
        blank = ("",) * (1 + len(SHOTS))
        table.add_row("published", f"{seed_42:.2f}", *blank, epochs, name_there, style="dim")
    return table


def published_rows(benchmark: dict[str, Any]) -> Published:
    """Return the published rows that compare with a run on a benchmark, none if shortened."""
    return {} if benchmark["shortened_from"] else PUBLISHED.get(benchmark["name"], {})


def names_text(conclusion: Conclusion) -> list[str]:
    """Return what the names in the leaderboard mean, and which controls are not in it."""
    shown = {row.label for row in conclusion.rows if row.in_search}
    for content in conclusion.content["benchmarks"]:
        shown |= published_rows(content["benchmark"]).keys()
    lines = [f"{name}: {member.definition}" for name, member in NAMED.items() if name in shown]
    counts = [benchmark.counts for benchmark in conclusion.facts.benchmarks]
    return lines + sentences_on(conclusion.settings.baselines, conclusion.controls, counts)


def noise_note(conclusion: Conclusion) -> str:
    """Return what a difference between two rows is worth."""
    ranking = conclusion.standings.ranking()
    if ranking is None:
        return "There is no full-length trial yet."
    unit = "noise SDs of the mean gain" if conclusion.facts.joint else "points"
    grounds = (
        f"measured on {ranking.noise_freedom} replicates and a guess"
        if ranking.noise_freedom
        else "a guess: no weighting was repeated"
    )
    return (
        "Single runs: two runs of one weighting differ with a standard deviation of about "
        f"{ranking.noise_sd * 2**0.5:.1f} {unit} ({grounds}), and the best of many runs is "
        "partly luck."
    )


def cells(row: Row, part: int) -> list[str | Text]:
    weighting = Text(row.weighting.describe())
    end = "" if row.state == TrialState.COMPLETE else f" ({ENDS[row.state]})"
    if not row.summaries:
        blank = ("",) * (2 + len(SHOTS))
        return [folded(row.label), *blank, Text(row.reason or ENDS[row.state]), weighting]
    facts = row.summaries[part]
    shots = (facts["shots"].get(group) for group in SHOTS)
    return [
        folded(row.label),
        f"{facts['best_score']:.2f}",
        "" if end else f"{facts['last_ten_score']:.2f}",
        *("" if value is None else f"{value:.1f}" for value in shots),
        f"{facts['epochs']}{end}",
        weighting,
    ]
