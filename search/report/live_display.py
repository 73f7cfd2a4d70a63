"""The live display of a search: a table on a terminal, lines elsewhere."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.report.durations import duration, rough_duration
from search.report.event_lines import run_label, run_text
from search.report.terminal import is_lost
from search.report.verdict_view import incumbent_text
from search.results.snapshot import Snapshot, Snapshots, TrialSnapshot
from spaces import legend
from spaces.parts.words import number_of

REFRESH_SECONDS = 0.25
LINE_SECONDS = 60.0
MOST_ROWS = 16


def counts_text(snapshot: Snapshot) -> str:
    """Return how many trials came to which end."""
    ends = Counter(trial.state for trial in snapshot.ended)
    return (
        f"{ends['complete']} complete, {ends['stopped']} stopped early, {ends['failed']} failed, "
        f"{len(snapshot.running)} running"
    )


def best_text(snapshot: Snapshot) -> str:
    """Return the best of the search so far, by posterior mean."""
    best = snapshot.best
    return incumbent_text(best, snapshot.objective) if best else "no full-length result yet"


@dataclass
class Display:
    """Draws snapshots of a search; ``refresh`` may be called as often as one likes.

    Attributes:
        stopping: returns what is being done before the search stops, once it is to stop.
    """

    snapshots: Snapshots
    console: Console
    title: str
    stopping: Callable[[], str | None] = lambda: None
    drawn: float = field(default_factory=time.monotonic)
    live: Live | None = None

    def __enter__(self) -> "Display":
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

    def refresh(self) -> None:
        now = time.monotonic()
        if self.live and is_lost(self.console.file):
            self.live.stop()
            self.live = None
        if self.live and now - self.drawn >= REFRESH_SECONDS:
            self.live.update(self.render(), refresh=True)
            self.drawn = now
        elif not self.live and now - self.drawn >= LINE_SECONDS:
            self.console.print(status_line(self.snapshots.take()))
            self.drawn = now

    def render(self) -> RenderableType:
        """Return the panel with as many of the running trials as the terminal has room for."""
        snapshot = self.snapshots.take()
        rows = min(MOST_ROWS, len(snapshot.running))
        while True:
            panel = self.panel(snapshot, rows)
            over = len(self.console.render_lines(panel)) - self.console.height
            if over < 0 or not rows:
                return panel
            rows -= 1

    def panel(self, snapshot: Snapshot, rows: int) -> RenderableType:
        """Return the state with so many of the running trials."""
        hidden = len(snapshot.running) - rows
        more = [Text(f"... and {hidden} more", style="dim")] if hidden > 0 else []
        total, done = snapshot.trials, len(snapshot.ended)
        bar = Table.grid(expand=True)  # a bar alone does not end its line
        bar.add_row(ProgressBar(total=total or 1, completed=done if total else 0))
        foot = Text(
            f"{done}/{number_of(total, 'trial') if total else '? trials'}: "
            f"{counts_text(snapshot)}\n{best_text(snapshot)}\n"
            f"{duration(snapshot.elapsed)} elapsed, {time_left(snapshot.seconds_left)}"
        )
        foot.append(f"\n{symbols_text(snapshot)}".rstrip("\n"), style="dim")
        foot.append(f"\n{self.stopping() or ''}".rstrip("\n"), style="bold")
        table = running_table(snapshot.running[:rows])
        return Panel(Group(table, *more, Text(), bar, foot), title=self.title, padding=(0, 1))


def status_line(snapshot: Snapshot) -> str:
    """Return how far a search is, on one line."""
    running = f" ({', '.join(map(where, snapshot.running))})" if snapshot.running else ""
    return (
        f"[{duration(snapshot.elapsed)}] {counts_text(snapshot)}{running}; "
        f"{time_left(snapshot.seconds_left)}"
    )


def time_left(seconds: float | None) -> str:
    """Return the time that is left in words."""
    return (
        "the time left is not known yet" if seconds is None else f"{rough_duration(seconds)} left"
    )


def symbols_text(snapshot: Snapshot) -> str:
    """Return the symbols of the running weightings in words, on one line."""
    described = [trial.weighting for trial in snapshot.running]
    return ", ".join(f"{parameter.symbol}: {parameter.word}" for parameter in legend(described))


def running_table(trials: tuple[TrialSnapshot, ...]) -> Table:
    """Return the table of running trials, a row for each."""
    names = (("running", 1), ("epoch", 0), ("batch", 0), ("now %", 0), ("best %", 0))
    table = Table(box=None, pad_edge=False, expand=True, padding=(0, 1, 0, 0))
    for name, ratio in names:
        table.add_column(name, ratio=ratio or None, overflow="fold", no_wrap=not ratio)
    for trial in trials:
        table.add_row(
            Text(run_text(trial.label, trial.seed_index, trial.weighting)),
            f"{trial.epochs}/{trial.length}",
            batch_text(trial) or ("" if trial.scores else "starting"),
            "\n".join(f"{score:.2f}" for score in trial.scores),
            "\n".join(f"{score:.2f}" for score in trial.best_scores),
        )
    return table


def where(trial: TrialSnapshot) -> str:
    """Return on one line how far a trial is."""
    within = f" and {batch_text(trial)} batches" if trial.batches else ""
    label = run_label(trial.label, trial.seed_index)
    return f"{label} {trial.epochs}/{number_of(trial.length, 'epoch')}{within}"


def batch_text(trial: TrialSnapshot) -> str:
    """Return the batches done of the epoch in progress, where they are known."""
    return f"{trial.batches[0]}/{trial.batches[1]}" if trial.batches else ""
