"""What a run found: its table of trials beside the published numbers, and its export."""

from typing import Any

from optuna.trial import TrialState
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from search.export import ExportedPaths, export
from search.record import Record, Row
from search.runfolder import RunFolder, read_lines
from search.search import best_row
from trainer.errors import UserError

Published = dict[str, tuple[float, float | None]]
"""Weighting -> (accuracy with seed 42, mean over seeds 42, 123, 456), percent."""

PUBLISHED: dict[str, Published] = {
    "resnet32-cifar10lt": {
        "balanced_softmax": (73.59, 73.15),
        "effective_number": (73.13, 72.70),
        "inverse_freq": (71.79, 72.45),
        "best of ten designs made by language models": (74.74, None),
    },
    "resnet32-cifar100lt": {
        "balanced_softmax": (39.42, 39.55),
        "effective_number": (40.16, 39.68),
        "inverse_freq": (35.55, 37.76),
        "best of ten designs made by language models": (40.48, None),
    },
    "vgg16bn-cifar100lt": {
        "balanced_softmax": (45.36, 45.10),
        "effective_number": (44.82, 44.58),
        "inverse_freq": (43.91, 44.32),
        "best of ten designs made by language models": (47.26, None),
    },
}
"""The class-weighting leaderboard of MLS-Bench, full protocol, best test accuracy in percent."""

NOISE_SD = {"resnet32-cifar10lt": 0.6, "resnet32-cifar100lt": 1.0, "vgg16bn-cifar100lt": 0.6}
"""Standard deviation of the best accuracy over training seeds, percentage points."""

SHOTS = ("many", "medium", "few")
ORDER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL)
ENDS = dict(zip(ORDER, ("complete", "stopped", "unfinished", "failed"), strict=True))


def rows_of(folder: RunFolder) -> list[Row]:
    """Return the run's trials.

    Raises:
        UserError: the run has no study.
    """
    if not folder.journal.is_file():
        raise UserError(f"{folder.journal} is missing, so the run's trials cannot be read.")
    return Record(folder.journal).rows()


def export_run(folder: RunFolder) -> ExportedPaths | None:
    """Export the best full-length weighting of the run; None if no trial has finished yet."""
    rows = rows_of(folder)
    best = best_row(rows)
    if best is None or best.value is None:
        return None
    content = folder.read_settings()
    return export(
        folder.path,
        best.weighting,
        content["class_counts"],
        content["class_names"],
        content["benchmark"],
        result_story(folder, content, best, rows),
    )


def result_story(
    folder: RunFolder, content: dict[str, Any], best: Row, rows: list[Row]
) -> dict[str, Any]:
    """Return the winner's accuracy with all that is needed to judge it."""
    attempt = read_lines(folder.attempts)[-1]
    baseline = best_row(rows, baselines_only=True)
    return {
        "metric": "best top-1 test accuracy over the epochs, percent",
        "test_accuracy": best.value,
        "runs": 1,
        "caution": "the best of many single runs is partly luck: expect less when it is repeated",
        "protocol": content["protocol"],
        "trial": best.label,
        "seed": best.seed,
        "summary": best.summary,
        "best_baseline": {"name": baseline.label, "test_accuracy": baseline.value}
        if baseline
        else None,
        "trials": {ENDS[state]: sum(r.state == state for r in rows) for state in ORDER},
        "search": content["settings"],
        "settings_fingerprint": content["fingerprint"],
        "provenance": {k: attempt.get(k) for k in ("time", "versions", "cpu", "revision")},
        "resources": attempt["resources"],
    }


def show(folder: RunFolder, console: Console) -> None:
    """Print the run's leaderboard, with the published rows where the protocol was the full one."""
    content = folder.read_settings()
    rows = sorted(rows_of(folder), key=lambda r: (ORDER.index(r.state), -(r.value or 0.0)))
    name = content["benchmark"]["name"]
    console.print(f"{name}: {content['protocol']}, run folder {folder.path}")
    numbers = [Column(n, justify="right", no_wrap=True) for n in ("best", "last 10", *SHOTS)]
    weighting = Column("weighting", overflow="fold")
    columns = [Column("trial", no_wrap=True), *numbers, Column("epochs"), weighting]
    table = Table(*columns, box=SIMPLE, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(*cells(row))
    if content["benchmark"]["shortened_from"] is None:
        for name_there, (seed_42, mean) in PUBLISHED.get(name, {}).items():
            epochs = "200" if mean is None else f"200 (3 seeds {mean:.2f})"
            blank = ("",) * (1 + len(SHOTS))
            table.add_row("published", f"{seed_42:.2f}", *blank, epochs, name_there, style="dim")
    console.print(table)
    console.print(f"Test accuracy in percent. {noise_note(name)}")


def noise_note(benchmark: str) -> str:
    """Return what a difference between two rows is worth."""
    if benchmark not in NOISE_SD:
        return "Single runs: repeat the best ones with other seeds before trusting a difference."
    sd = NOISE_SD[benchmark]
    return (
        f"Single runs: two runs of one weighting differ with a standard deviation of about "
        f"{sd * 2**0.5:.1f} points here, and the best of many runs is partly luck."
    )


def cells(row: Row) -> list[str | Text]:
    weighting = Text(row.weighting.describe())
    end = "" if row.state == TrialState.COMPLETE else f" ({ENDS[row.state]})"
    if row.summary is None:
        blank = ("",) * (2 + len(SHOTS))
        return [row.label, *blank, Text(row.reason or ENDS[row.state]), weighting]
    facts = row.summary
    shots = (facts["shots"].get(group) for group in SHOTS)
    return [
        row.label,
        f"{facts['best_accuracy']:.2f}",
        "" if end else f"{facts['last_ten_accuracy']:.2f}",
        *("" if value is None else f"{value:.1f}" for value in shots),
        f"{facts['epochs']}{end}",
        weighting,
    ]
