"""What a person sees while a search runs: a live table on a terminal, lines elsewhere."""

import time
from dataclasses import dataclass, field

from optuna.trial import TrialState
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.record import Row
from search.search import Running, Search, best_row

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


def best_text(rows: list[Row]) -> str:
    """Return the best full-length result and its margin over the best baseline."""
    best, baseline = best_row(rows), best_row(rows, baselines_only=True)
    if best is None or best.value is None:
        return "no full-length result yet"
    text = f"best {best.value:.2f} %  {best.label} ({best.weighting.describe()})"
    if baseline is None or baseline.value is None:
        return text
    if best.is_baseline:
        return f"{text}, a baseline"
    return f"{text}, {best.value - baseline.value:+.2f} over {baseline.label} (single runs)"


def seconds_left(search: Search, elapsed: float) -> float | None:
    """Estimate the rest from this attempt's epochs per second and the epochs per ended trial."""
    if search.budget.trials is None or not search.trained_epochs or not search.ended:
        if search.deadline is None:
            return None
        return float(max(0.0, search.deadline - time.monotonic()))
    lengths = [r.summary["epochs"] for r in search.ended if r.summary] or [search.facts.epochs]
    usual = sum(lengths) / len(lengths)
    waiting = max(0, search.budget.trials - len(search.ended) - len(search.running))
    flying = sum(max(1.0, usual - len(t.results)) for t in search.running.values())
    left: float = (waiting * usual + flying) * elapsed / search.trained_epochs
    if search.deadline is not None:
        left = min(left, max(0.0, search.deadline - time.monotonic()))
    return left


@dataclass
class Display:
    """Draws the search's state; ``refresh`` may be called as often as one likes."""

    search: Search
    console: Console
    title: str
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
            f"{t.row.label} {len(t.results)}/{self.search.facts.epochs}"
            for t in self.search.running.values()
        )
        return f"[{duration(elapsed)}] {counts_text(self.search)} ({flying}){rest}"

    def render(self) -> RenderableType:
        search = self.search
        table = Table(box=None, pad_edge=False, expand=True)
        for name in ("running", "weighting", "epoch", "", "now %", "best %"):
            table.add_column(name, justify="left", overflow="ellipsis", no_wrap=True)
        for trial in list(search.running.values())[:MOST_ROWS]:
            table.add_row(*running_cells(trial, search.facts.epochs))
        hidden = len(search.running) - MOST_ROWS
        more = [Text(f"... and {hidden} more", style="dim")] if hidden > 0 else []
        elapsed = time.monotonic() - self.started
        left = seconds_left(search, elapsed)
        total = search.budget.trials
        ended = f"{len(search.ended)}/{total or '?'} trials"
        when = f"{duration(elapsed)} elapsed, {'?' if left is None else duration(left)} left"
        bar = Table.grid(expand=True)  # a bar alone does not end its line
        bar.add_row(ProgressBar(total=total or 1, completed=len(search.ended) if total else 0))
        foot = Text(f"{ended}: {counts_text(search)}\n{best_text(search.ended)}\n{when}")
        return Panel(Group(table, *more, Text(), bar, foot), title=self.title, padding=(0, 1))


def running_cells(trial: Running, epochs: int) -> list[RenderableType]:
    done = len(trial.results)
    last = trial.results[-1] if trial.results else None
    return [
        trial.row.label,
        Text(trial.row.weighting.describe()),
        f"{done}/{epochs}",
        ProgressBar(total=epochs, completed=done, width=16),
        f"{last.test_accuracy:.2f}" if last else "starting",
        f"{last.best_accuracy:.2f}" if last else "",
    ]


def ended_line(row: Row) -> str:
    """Return how a trial ended, on one line."""
    if row.state == TrialState.FAIL:
        return f"{row.label}: failed: {row.reason}"
    epochs = row.summary["epochs"] if row.summary else 0
    end = "complete" if row.state == TrialState.COMPLETE else f"stopped after {epochs} epochs"
    return f"{row.label}: {row.value:.2f} %, {end} ({row.weighting.describe()})"
