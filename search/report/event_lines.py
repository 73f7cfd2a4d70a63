"""The lines in which a run's events are told, on the console and in the run's log."""

import logging
from collections.abc import Callable

from rich.console import Console

from search.report.terminal import is_lost
from search.session.events import Event, Note, SearchOver, TrialEnded, Warned
from search.store.trials import Row, TrialState
from spaces.parts.words import number_of

log = logging.getLogger("search")


def print_event(console: Console, wording: Callable[[str], str], event: Event) -> None:
    """Tell a person of an event, unless the table of running trials shows it or nobody sees it.

    ``wording`` calls options as that person does.
    """
    if (line := line_of(event)) and not is_lost(console.file):
        console.print(wording(line))


def log_event(event: Event) -> None:
    """Write down in the log what a person is told."""
    if line := line_of(event):
        log.log(logging.WARNING if isinstance(event, Warned) else logging.INFO, line)


def line_of(event: Event) -> str | None:
    """Return an event in words; None for one that is not told by itself."""
    match event:
        case Note(text) | Warned(text):
            return text
        case TrialEnded(row):
            return ended_line(row)
        case SearchOver(trials, plan):
            return f"The search is over after {number_of(trials, 'trial')}. {plan}"
    return None


def ended_line(row: Row) -> str:
    """Return how a trial ended, on one line."""
    label = row.label if row.in_search else f"{row.study} {run_label(row.label, row.seed_index)}"
    if row.state == TrialState.FAIL:
        return f"{label}: failed: {row.reason}"
    reached = " / ".join(f"{summary.best_score:.2f} %" for summary in row.summaries)
    complete = row.state == TrialState.COMPLETE
    end = "complete" if complete else f"stopped after {number_of(row.epochs, 'epoch')}"
    return f"{label}: {reached}, {end}{weighting_text(row.label, row.strategy.describe())}"


def run_label(label: str, seed_index: int | None) -> str:
    """Return a trial's label; behind it, which fresh seed a run of a later phase has."""
    return label if seed_index is None else f"{label} seed {seed_index + 1}"


def run_text(label: str, seed_index: int | None, weighting: str) -> str:
    """Return a trial's label, and its weighting unless it is named so."""
    return f"{run_label(label, seed_index)}{weighting_text(label, weighting)}"


def weighting_text(label: str, weighting: str) -> str:
    """Return a trial's weighting in brackets; nothing if its label says it."""
    return "" if weighting == label else f" ({weighting})"
