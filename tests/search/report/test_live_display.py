"""What a person sees of a search: the live table, the lines, the time left."""

import contextlib
import io
import os
import pty
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from twin import OBJECTIVE, attempt, make_run, make_settings, results_of

from search.report.durations import duration
from search.report.live_display import Display, best_text, status_line
from search.report.terminal import console_on
from search.results.forecast import seconds_left
from search.results.snapshot import Snapshots
from search.session.search import Search


@pytest.fixture
def search(tmp_path: Path) -> Search:
    """Two baselines at full length, one that failed, and one in its third epoch."""
    settings = make_settings()
    search = attempt(make_run(tmp_path / "run", settings), settings, trials=8)
    for _ in range(2):
        trial = search.next_trial()
        assert trial is not None
        for result in results_of(trial.row.seed):
            search.report(trial.row.key, 0, result)
        search.finish(trial.row.key)
    failing, flying = search.next_trial(), search.next_trial()
    assert failing is not None
    assert flying is not None
    search.fail(failing.row.key, "epoch 2: the training loss is nan")
    for result in results_of(flying.row.seed, 3):
        search.report(flying.row.key, 0, result)
    return search


def shown(display: Display) -> str:
    display.console.print(display.render())
    assert isinstance(display.console.file, io.StringIO)
    return display.console.file.getvalue()


def test_the_table_shows_running_trials_counts_and_the_best(search: Search) -> None:
    console = Console(file=io.StringIO(), width=160)
    text = shown(Display(Snapshots(search), console, title="my-run"))
    assert "my-run" in text
    assert "mlsbench_balanced_softmax" in text
    assert f"3/{OBJECTIVE.epochs}" in text
    assert "3/8 trials: 2 complete, 0 stopped early, 1 failed, 1 running" in text
    assert best_text(Snapshots(search).take()) in text
    assert "elapsed" in text
    assert "p: steepness, lambda: link, R: range" in text


def test_the_table_says_how_many_running_trials_it_leaves_out(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.report.live_display.MOST_ROWS", 0)
    console = Console(file=io.StringIO(), width=120)
    assert "... and 1 more" in shown(Display(Snapshots(search), console, title="my-run"))


def test_the_time_left_follows_the_pace_so_far(search: Search) -> None:
    # 15 epochs are done. Of the three that ended two had 6 epochs and one failed in its first; 4
    # more trials are to come, and 3 epochs of the running one.
    assert seconds_left(search, elapsed=15.0) == pytest.approx(4 * 4 + 3)


def test_before_a_trial_has_ended_the_time_left_follows_its_batches(tmp_path: Path) -> None:
    settings = make_settings()
    search = attempt(make_run(tmp_path / "run", settings), settings, trials=8)
    first, second = search.next_trial(), search.next_trial()
    assert first is not None
    assert second is not None
    assert seconds_left(search, elapsed=1.0) is None
    search.spending.expected_seconds = 600.0
    assert seconds_left(search, elapsed=1.0) == 600.0
    for now, batch in ((10.0, 3), (20.0, 6)):
        first.within = (0, batch, 12)
        first.note_progress(now)
    # .25 epochs in 10 s, twice as much on both places; 48 epochs less the half one are to come.
    assert seconds_left(search, elapsed=20.0) == pytest.approx(47.5 * 20)


@pytest.mark.parametrize("width", (60, 80, 200))
def test_the_table_wraps_between_words_and_fits_the_terminal(width: int, tmp_path: Path) -> None:
    settings = make_settings()
    search = attempt(make_run(tmp_path / "run", settings), settings, trials=40)
    for _ in range(16):
        assert search.next_trial()
    for trial in search.running.values():
        trial.within = (0, 34, 105)
    console = Console(file=io.StringIO(), width=width, height=24)
    lines = shown(Display(Snapshots(search), console, title="my-run")).splitlines()
    assert len(lines) < 24
    assert {len(line) for line in lines} == {width}
    words = {word for line in lines for word in line.split()}
    assert {"34/105", "mlsbench_balanced_softmax", "elapsed,", "running"} <= words
    assert not any("…" in word for word in words)


def test_the_time_left_is_at_most_the_rest_of_the_hours(tmp_path: Path) -> None:
    settings = make_settings()
    search = attempt(make_run(tmp_path / "run", settings), settings, trials=None, hours=0.5)
    left = seconds_left(search, elapsed=1.0)
    assert left is not None
    assert 1700 < left <= 1800


def test_no_time_left_is_claimed_before_anything_ended(tmp_path: Path) -> None:
    settings = make_settings()
    search = attempt(make_run(tmp_path / "run", settings), settings, trials=8)
    assert seconds_left(search, elapsed=1.0) is None


def test_durations_read_as_a_clock() -> None:
    assert [duration(s) for s in (0, 59.6, 3599, 3661)] == ["0:00", "1:00", "59:59", "1:01:01"]


def test_a_closed_terminal_gets_lines_in_the_log_in_place_of_the_table(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.report.live_display.REFRESH_SECONDS", 0)
    monkeypatch.setattr("search.report.live_display.LINE_SECONDS", 0)
    ours, other = pty.openpty()
    with os.fdopen(other, "w") as stream, contextlib.redirect_stdout(io.StringIO()) as log:
        with Display(Snapshots(search), console_on(stream), title="my-run") as display:
            display.refresh()
            assert display.live
            os.close(ours)
            display.refresh()
            assert display.live is None
        words = log.getvalue().split()
        assert words == status_line(Snapshots(search).take()).split()


def test_a_line_while_nothing_runs_has_no_empty_brackets(search: Search) -> None:
    waiting = replace(Snapshots(search).take(), running=())
    assert ", 0 running; " in status_line(waiting)
