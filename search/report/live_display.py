"""What a person sees while a search runs: a live table on a terminal, lines elsewhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.report.durations import duration, rough_duration
from search.report.verdict_view import incumbent_text
from search.results.conclusion import incumbent
from search.session.forecast import seconds_left
from search.session.running import Running
from search.session.search import Search
from search.store.trials import Row, TrialState
from spaces import legend

REFRESH_SECONDS = 0.25
LINE_SECONDS = 60.0
MOST_ROWS = 16


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
    return incumbent_text(found, search.objective) if found else "no full-length result yet"


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
        flying = ", ".join(map(where, self.search.running.values()))
        return f"[{duration(elapsed)}] {counts_text(self.search)} ({flying}); {time_left(left)}"

    def render(self) -> RenderableType:
        search = self.search
        rows = min(MOST_ROWS, len(search.running))
        while True:
            panel = self.panel(rows)
            over = len(self.console.render_lines(panel)) - self.console.height
            if over < 0 or not rows:
                return panel
            rows -= 1

    def panel(self, rows: int) -> RenderableType:
        """Return the state with so many of the running trials."""
        search = self.search
        names = (("running", 1), ("epoch", 0), ("batch", 0), ("now %", 0), ("best %", 0))
        table = Table(box=None, pad_edge=False, expand=True, padding=(0, 1, 0, 0))
        for name, ratio in names:
            table.add_column(name, ratio=ratio or None, overflow="fold", no_wrap=not ratio)
        for trial in list(search.running.values())[:rows]:
            table.add_row(*running_cells(trial))
        hidden = len(search.running) - rows
        more = [Text(f"... and {hidden} more", style="dim")] if hidden > 0 else []
        elapsed = time.monotonic() - self.started
        left = seconds_left(search, elapsed)
        total = search.budget.trials
        ended = f"{len(search.ended)}/{total or '?'} trials"
        when = f"{duration(elapsed)} elapsed, {time_left(left)}"
        bar = Table.grid(expand=True)  # a bar alone does not end its line
        bar.add_row(ProgressBar(total=total or 1, completed=len(search.ended) if total else 0))
        foot = Text(f"{ended}: {counts_text(search)}\n{best_text(search)}\n{when}")
        foot.append(f"\n{symbols_text(search)}".rstrip("\n"), style="dim")
        foot.append(f"\n{self.stopping() or ''}".rstrip("\n"), style="bold")
        return Panel(Group(table, *more, Text(), bar, foot), title=self.title, padding=(0, 1))


def time_left(seconds: float | None) -> str:
    return (
        "the time left is not known yet" if seconds is None else f"{rough_duration(seconds)} left"
    )


def symbols_text(search: Search) -> str:
    """Return the symbols of the running weightings in words, on one line."""
    described = [trial.row.weighting.describe() for trial in search.running.values()]
    return ", ".join(f"{parameter.symbol}: {parameter.word}" for parameter in legend(described))


def run_label(row: Row) -> str:
    """Return a trial's label; behind it, which fresh seed a run of a later phase has."""
    return row.label if row.seed_index is None else f"{row.label} seed {row.seed_index + 1}"


def run_text(row: Row) -> str:
    """Return a trial's label, and its weighting unless it is named so."""
    return f"{run_label(row)}{weighting_text(row)}"


def weighting_text(row: Row) -> str:
    """Return a trial's weighting in brackets; nothing if its label says it."""
    weighting = row.weighting.describe()
    return "" if weighting == row.label else f" ({weighting})"


def running_cells(trial: Running) -> list[RenderableType]:
    last = [part[-1] for part in trial.results if part]
    return [
        Text(run_text(trial.row)),
        f"{trial.epochs}/{trial.length}",
        batch_text(trial) or ("" if last else "starting"),
        "\n".join(f"{result.score:.2f}" for result in last),
        "\n".join(f"{result.best_score:.2f}" for result in last),
    ]


def where(trial: Running) -> str:
    """Return on one line how far a trial is."""
    within = f" and {batch_text(trial)} batches" if trial.within else ""
    return f"{run_label(trial.row)} {trial.epochs}/{trial.length} epochs{within}"


def batch_text(trial: Running) -> str:
    """Return the batches done of the epoch in progress, where they are known."""
    return f"{trial.within[1]}/{trial.within[2]}" if trial.within else ""


def ended_line(row: Row) -> str:
    """Return how a trial ended, on one line."""
    label = f"{row.study} {run_label(row)}" if not row.in_search else row.label
    if row.state == TrialState.FAIL:
        return f"{label}: failed: {row.reason}"
    reached = " / ".join(f"{summary['best_score']:.2f} %" for summary in row.summaries)
    complete = row.state == TrialState.COMPLETE
    end = "complete" if complete else f"stopped after {row.epochs} epochs"
    return f"{label}: {reached}, {end}{weighting_text(row)}"
