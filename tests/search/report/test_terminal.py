"""The terminal during a search and after it."""

import contextlib
import errno
import io
import logging
import os
import pty
import shlex
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from twin import attempt, make_run, make_settings

from search.driver.ending import tell_command
from search.driver.run import halt_unread
from search.report.event_lines import print_event
from search.report.terminal import (
    ECHO,
    OutputStream,
    command_lines,
    connection_note,
    console_on,
    hidden_keys,
    is_lost,
    keys_unseen,
    outlive_output,
)
from search.session.events import Note

COMMAND = "python run_search.py --benchmark a.toml --data-root '/my data' --trials 64 --resume"


@pytest.mark.parametrize("width", (30, 60, 80))
def test_a_command_is_broken_between_its_words_and_can_be_copied(width: int) -> None:
    text = command_lines(COMMAND, width)
    lines = text.splitlines()
    assert all(len(line) <= width for line in lines)
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert shlex.split(text.replace("\\\n", "")) == shlex.split(COMMAND)


def test_a_command_that_fits_is_one_line() -> None:
    assert command_lines(COMMAND, len(COMMAND)) == COMMAND


def test_a_notebook_that_says_it_is_a_terminal_is_none() -> None:
    class Notebook(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = console_on(Notebook(), terminal=False)
    assert not shown.is_terminal
    name = "a:x:b " * 50  # in which rich would see pictures
    shown.print(name, style="bold")
    assert shown.file.getvalue() == f"{name}\n"


def test_a_call_of_python_keeps_its_lines() -> None:
    call = "search.run(\n    'a.toml',\n    resume=True,\n)"
    assert command_lines(call, 8) == call


def modes(terminal: int) -> int:
    found: int = termios.tcgetattr(terminal)[ECHO]
    return found


def test_a_terminal_shows_no_control_keys_during_a_search_and_shows_them_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "tcgetpgrp", lambda terminal: os.getpgrp())
    ours, other = pty.openpty()
    with os.fdopen(other, "w") as stream, os.fdopen(ours):
        assert modes(other) & termios.ECHOCTL
        with keys_unseen(stream):
            assert not modes(other) & termios.ECHOCTL
        assert modes(other) & termios.ECHOCTL
        restore = hidden_keys(stream)
        monkeypatch.setattr(os, "tcgetpgrp", lambda terminal: 1)
        restore()  # sent to the background meanwhile, where it would be stopped by that
        assert not modes(other) & termios.ECHOCTL
        monkeypatch.undo()
        monkeypatch.setattr(os, "tcgetpgrp", lambda terminal: os.getpgrp())
        restore()
        monkeypatch.setattr(os, "tcgetpgrp", lambda terminal: 1)
        hidden_keys(stream)  # a job in the background leaves the terminal alone
        assert modes(other) & termios.ECHOCTL


def test_what_is_no_terminal_is_left_alone() -> None:
    with keys_unseen(io.StringIO()) as restore:
        restore()


@pytest.fixture
def closed() -> Iterator[Console]:
    """Yield the console of a terminal that was closed."""
    ours, other = pty.openpty()
    with os.fdopen(other, "w") as stream:
        console = console_on(stream)
        assert console.is_terminal
        assert not is_lost(console.file)
        os.close(ours)
        yield console


@pytest.mark.parametrize("when", ("before", "during a write"))
def test_what_is_printed_on_a_closed_terminal_goes_to_the_log_once_and_without_colours(
    when: str, closed: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as log:
        if when != "before":
            monkeypatch.setattr(termios, "tcgetattr", lambda terminal: [])
        for text in ("first", "second"):
            closed.print(text, style="bold red")
        assert is_lost(closed.file)
    assert log.getvalue() == "first\nsecond\n"
    assert not closed.is_terminal


def test_other_errors_of_a_terminal_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EBADF, "not open")

    broken = OutputStream(Broken())
    monkeypatch.setattr(broken, "is_lost", lambda: False)
    with pytest.raises(OSError, match="not open"):
        broken.write("text")


def unwritable(full: bool) -> int:
    """Return a descriptor that is full, or a pipe that nobody reads."""
    if full:
        return os.open("/dev/full", os.O_WRONLY)
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("full", (False, True))
def test_a_search_whose_output_is_closed_or_full_stops_and_its_log_has_the_rest(
    full: bool, tmp_path: Path
) -> None:
    search = attempt(make_run(tmp_path / "run", make_settings()), make_settings(), 8)
    with (
        os.fdopen(unwritable(full), "w") as stream,
        contextlib.redirect_stdout(io.StringIO()) as log,
    ):
        console = console_on(stream)
        outlive_output(console)
        halt_unread(search, console, Note("nothing was printed yet"))
        assert not search.halted
        for text in ("first", "second"):
            console.print(text)
        halt_unread(search, console, Note("printed"))
    assert log.getvalue() == "first\nsecond\n"
    assert is_lost(console.file)
    assert str(search.must_stop()).startswith("its output is lost (")


def test_what_is_logged_anyway_is_not_printed_on_a_closed_terminal(
    closed: Console, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        print_event(closed, str, Note("a note"))
        tell_command(COMMAND, closed)
    assert printed.getvalue() == ""
    assert caplog.messages == [COMMAND]


def test_the_keys_of_a_closed_terminal_are_left_alone(
    closed: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "tcgetpgrp", lambda terminal: os.getpgrp())
    monkeypatch.setattr(termios, "tcgetattr", lambda terminal: [0] * 7)  # closed just then
    with keys_unseen(closed.file) as restore:
        restore()


@pytest.mark.parametrize(
    ("variables", "terminal", "noted"),
    (
        ({"SSH_CONNECTION": "a"}, True, True),
        ({"SSH_CONNECTION": "a"}, False, False),
        ({"SSH_CONNECTION": "a", "TMUX": "a"}, True, False),
        ({"SSH_CONNECTION": "a", "STY": "a"}, True, False),
        ({}, True, False),
    ),
)
def test_a_search_that_would_end_with_its_connection_is_a_note(
    variables: dict[str, str], terminal: bool, noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSH_CONNECTION", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    assert bool(connection_note(stream)) == noted
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert connection_note(stream) is None
    finally:
        signal.signal(signal.SIGHUP, before)
