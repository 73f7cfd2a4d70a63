"""What a person sees while a search runs: a live table on a terminal, lines elsewhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from optuna.trial import TrialState
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.conclusion import incumbent
from search.conclusion_view import incumbent_text
from search.record import Row
from search.running import Running
from search.search import Search

REFRESH_SECONDS = 0.25
LINE_SECONDS = 60.0
MOST_ROWS = 16


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss or m:ss."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def counts_text(search: Search) -> str:
    """Return how many trials came to which end."""
    states = [row.state for row in search.ended]
    done, pruned = states.count(TrialState.COMPLETE), states.count(TrialState.PRUNED)
    failed = states.count(TrialState.FAIL)
    return (
        f"{done} complete, {pruned} stopped early, {failed} failed, {len(search.running)} running"
    )


def best_text(search: Search) -> str:
    """Return the best of the search so far, by posterior mean."""
    found = incumbent(search.standings)
    return incumbent_text(found, search.facts) if found else "no full-length result yet"


def seconds_left(search: Search, elapsed: float) -> float | None:
    """Estimate the rest from this attempt's epochs per second and the epochs per ended trial."""
    limit = search.seconds_left()
    if search.budget.trials is None or not search.trained_epochs or not search.ended:
        return limit
    whole = search.facts.epochs_of_all
    shares = [row.epochs / search.facts.epochs for row in search.ended if row.in_search]
    usual = whole * sum(shares) / len(shares) if any(shares) else whole
    waiting = max(0, (search.budget.search_trials or 0) - search.search_trials) * usual
    begun = len(search.rows()) - search.search_trials
    waiting += max(0, search.budget.confirm_runs - begun) * whole
    flying = sum(t.length - t.epochs for t in search.running.values())
    left: float = (waiting + flying) * elapsed / search.trained_epochs
    return left if limit is None else min(left, limit)


@dataclass
class Display:
    """Draws the search's state; ``refresh`` may be called as often as one likes.

    Attributes:
        stopping: returns what is being done before the search stops, once it is to stop.
    """

    search: Search
    console: Console
    title: str
    stopping: Callable[[], str | None] = lambda: None
    started: float = field(default_factory=time.monotonic)
    drawn: float = field(default_factory=time.monotonic)
    told: int = 0
    noted: int = 0
    live: Live | None = None

    def __enter__(self) -> "Display":
        self.told = len(self.search.ended)
        if self.console.is_terminal:
            self.live = Live(
                console=self.console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()
        self.tell_ended()

    def tell(self, sentence: str) -> None:
        """Print a sentence in its place among the notes."""
        self.search.notes.append(sentence)
        self.tell_ended()

    def refresh(self) -> None:
        now = time.monotonic()
        self.tell_ended()
        if self.live and now - self.drawn >= REFRESH_SECONDS:
            self.live.update(self.render(), refresh=True)
            self.drawn = now
        elif not self.live and now - self.drawn >= LINE_SECONDS:
            self.console.print(self.status_line())
            self.drawn = now

    def tell_ended(self) -> None:
        """Print one line for every trial that ended, and every note, since the last time."""
        for note in self.search.notes[self.noted :]:
            self.console.print(note)
        self.noted = len(self.search.notes)
        for row in self.search.ended[self.told :]:
            self.console.print(ended_line(row))
        self.told = len(self.search.ended)

    def status_line(self) -> str:
        elapsed = time.monotonic() - self.started
        left = seconds_left(self.search, elapsed)
        rest = "" if left is None else f", about {duration(left)} left"
        flying = ", ".join(
            f"{run_label(t.row)} {t.epochs}/{t.length}" for t in self.search.running.values()
        )
        return f"[{duration(elapsed)}] {counts_text(self.search)} ({flying}){rest}"

    def render(self) -> RenderableType:
        search = self.search
        table = Table(box=None, pad_edge=False, expand=True)
        for name in ("running", "weighting", "epoch", "", "now %", "best %"):
            table.add_column(name, justify="left", overflow="ellipsis", no_wrap=True)
        for trial in list(search.running.values())[:MOST_ROWS]:
            table.add_row(*running_cells(trial))
        hidden = len(search.running) - MOST_ROWS
        more = [Text(f"... and {hidden} more", style="dim")] if hidden > 0 else []
        elapsed = time.monotonic() - self.started
        left = seconds_left(search, elapsed)
        total = search.budget.trials
        ended = f"{len(search.ended)}/{total or '?'} trials"
        when = f"{duration(elapsed)} elapsed, {'?' if left is None else duration(left)} left"
        bar = Table.grid(expand=True)  # a bar alone does not end its line
        bar.add_row(ProgressBar(total=total or 1, completed=len(search.ended) if total else 0))
        foot = Text(f"{ended}: {counts_text(search)}\n{best_text(search)}\n{when}")
        foot.append(f"\n{self.stopping() or ''}".rstrip("\n"), style="bold")
        return Panel(Group(table, *more, Text(), bar, foot), title=self.title, padding=(0, 1))


def run_label(row: Row) -> str:
    """Return a trial's label; behind it, which fresh seed a run of a later phase has."""
    return row.label if row.seed_index is None else f"{row.label} seed {row.seed_index + 1}"


def running_cells(trial: Running) -> list[RenderableType]:
    last = [part[-1] for part in trial.results if part]
    begin = "batch {1}/{2}".format(*trial.within) if trial.within else "starting"
    return [
        run_label(trial.row),
        Text(trial.row.weighting.describe()),
        f"{trial.epochs}/{trial.length}",
        ProgressBar(total=trial.length, completed=trial.progress, width=16),
        " ".join(f"{result.score:.2f}" for result in last) or begin,
        " ".join(f"{result.best_score:.2f}" for result in last),
    ]


def ended_line(row: Row) -> str:
    """Return how a trial ended, on one line."""
    label = f"{row.study} {run_label(row)}" if not row.in_search else row.label
    if row.state == TrialState.FAIL:
        return f"{label}: failed: {row.reason}"
    reached = " / ".join(f"{summary['best_score']:.2f} %" for summary in row.summaries)
    complete = row.state == TrialState.COMPLETE
    end = "complete" if complete else f"stopped after {row.epochs} epochs"
    return f"{label}: {reached}, {end} ({row.weighting.describe()})"
