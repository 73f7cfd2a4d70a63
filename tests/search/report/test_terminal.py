"""The terminal during a search and after it."""

import io
import os
import pty
import shlex
import termios

import pytest

from search.report.terminal import ECHO, command_lines, hidden_keys, keys_unseen

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
        monkeypatch.setattr(os, "tcgetpgrp", lambda terminal: 1)
        hidden_keys(stream)  # a job in the background leaves the terminal alone
        assert modes(other) & termios.ECHOCTL


def test_what_is_no_terminal_is_left_alone() -> None:
    with keys_unseen(io.StringIO()) as restore:
        restore()
