"""The terminal is left as it was found; commands are printed there to be copied."""

import contextlib
import os
import shlex
import termios
from collections.abc import Callable, Iterator
from typing import IO

from rich.console import Console

ECHO = 3
"""Index of the local modes in what ``termios.tcgetattr`` returns."""


@contextlib.contextmanager
def keys_unseen(stream: IO[str]) -> Iterator[Callable[[], None]]:
    """Keep the terminal behind ``stream``, if it is one, from showing ``^C``, which tears tables.

    Yields what restores it, for whoever ends the process without leaving here.
    """
    restore = hidden_keys(stream)
    try:
        yield restore
    finally:
        restore()


def hidden_keys(stream: IO[str]) -> Callable[[], None]:
    """Switch off that control keys are shown, and return what undoes it."""
    try:
        terminal = stream.fileno()
        if os.tcgetpgrp(terminal) != os.getpgrp():  # a job in the background would be stopped
            return lambda: None
        before = termios.tcgetattr(terminal)
    except (OSError, termios.error):  # no terminal
        return lambda: None
    modes = [*before]
    modes[ECHO] &= ~termios.ECHOCTL
    termios.tcsetattr(terminal, termios.TCSANOW, modes)

    def restore() -> None:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(terminal, termios.TCSANOW, before)

    return restore


def print_command(command: str, console: Console) -> None:
    """Print a shell command, so that it can be copied."""
    width = console.width if console.is_terminal else len(command) + 4
    lines = command_lines(command, width - 2).replace("\n", "\n  ")
    console.print(f"  {lines}", soft_wrap=True)


def command_lines(command: str, width: int) -> str:
    r"""Return a shell command in lines of at most ``width`` characters where its words allow it.

    All but the last end with a backslash, so that they can be copied as they stand.
    """
    if len(command) <= width:
        return command
    lines = [""]
    for word in map(shlex.quote, shlex.split(command)):
        if lines[-1] and len(lines[-1]) + 1 + len(word) + 2 > width:
            lines.append(" " * 4)
        lines[-1] += word if not lines[-1].strip() else f" {word}"
    return " \\\n".join(lines)
