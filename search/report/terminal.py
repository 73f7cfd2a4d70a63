"""The output of a search: a terminal is left as it was found; what is closed is done without."""

import contextlib
import errno
import io
import os
import re
import shlex
import sys
import termios
from collections.abc import Callable, Iterator
from typing import IO, TextIO, cast

from rich.console import Console

from search.session.interrupt import hang_up_ignored
from trainer.entry_point import drop

ECHO = 3
"""Index of the local modes in what ``termios.tcgetattr`` returns."""
LOST = (errno.EIO, errno.EPIPE, errno.ENOSPC, errno.EDQUOT)
"""What is wrong with an output that nobody reads, or that takes no more."""
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""Of ECMA-48: colours, and moves of the cursor."""


class OutputStream(io.TextIOBase):
    """A terminal, a pipe or a file as a text stream, which goes on when it is closed or full.

    What is written from then on goes as plain text to where ``sys.stdout`` is redirected, which
    during a run is its log, and nowhere at other times.

    Attributes:
        lost: whether nothing can be written any more.
        error: with which that was found; None for a terminal that was closed.
    """

    def __init__(self, terminal: TextIO) -> None:
        self.terminal = terminal
        self.lost = False
        self.error: OSError | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.terminal.encoding

    def fileno(self) -> int:
        return self.terminal.fileno()

    def isatty(self) -> bool:
        return self.terminal.isatty() and not self.is_lost()

    def is_lost(self) -> bool:
        """Return whether the terminal was closed, or nobody reads the output any more."""
        if not self.lost:
            with contextlib.suppress(io.UnsupportedOperation):  # text in memory
                try:
                    termios.tcgetattr(self.fileno())
                except termios.error as error:
                    self.lost = error.args[0] == errno.EIO
        return self.lost

    def write(self, text: str) -> int:
        if not self.is_lost():
            try:
                self.terminal.write(text)
                self.terminal.flush()
                return len(text)
            except OSError as error:
                if error.errno not in LOST:
                    raise
                self.lost, self.error = True, None if error.errno == errno.EIO else error
                drop(self.terminal)
        if sys.stdout is not sys.__stdout__:
            sys.stdout.write(CONTROL_SEQUENCE.sub("", text))
            sys.stdout.flush()
        return len(text)


def console_on(stream: TextIO, terminal: bool | None = None) -> Console:
    """Return a console that breaks lines between words on a terminal, and nowhere else.

    ``terminal`` tells whether the stream is one; None asks it, and a notebook's says that it is.
    """
    if terminal is None:
        terminal = stream.isatty()
    file = cast(TextIO, OutputStream(stream)) if terminal else stream
    return Console(
        file=file,
        highlight=False,
        markup=False,
        emoji=False,  # a name such as a:x:b is no picture
        force_jupyter=False,
        force_terminal=None if terminal else False,
        soft_wrap=not terminal,
    )


def is_lost(stream: IO[str]) -> bool:
    """Return whether a stream is closed or full by now."""
    return isinstance(stream, OutputStream) and stream.is_lost()


def outlive_output(console: Console) -> None:
    """Have a console go on when its output is closed or full."""
    if not isinstance(console.file, OutputStream):
        console.file = cast(TextIO, OutputStream(cast(TextIO, console.file)))


def output_error(stream: IO[str]) -> OSError | None:
    """Return with what a stream was lost; None where it is not, or was a terminal."""
    return stream.error if isinstance(stream, OutputStream) else None


def connection_note(stream: IO[str]) -> str | None:
    """Return a note if the search would end with the connection over which it was started."""
    kept = "TMUX" in os.environ or "STY" in os.environ or hang_up_ignored()  # STY: screen
    if kept or "SSH_CONNECTION" not in os.environ or not stream.isatty():
        return None
    return (
        "note: the search stops when this connection is lost; start it under nohup or tmux to "
        "keep it."
    )


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
        modes = [*before]
        modes[ECHO] &= ~termios.ECHOCTL
        termios.tcsetattr(terminal, termios.TCSANOW, modes)
    except (OSError, termios.error):  # no terminal, or none any more
        return lambda: None

    def restore() -> None:
        with contextlib.suppress(OSError, termios.error):  # the terminal is gone
            if os.tcgetpgrp(terminal) == os.getpgrp():  # the shell has its own modes back
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
    if len(command) <= width or "\n" in command:
        return command
    lines = [""]
    for word in map(shlex.quote, shlex.split(command)):
        if lines[-1] and len(lines[-1]) + 1 + len(word) + 2 > width:
            lines.append(" " * 4)
        lines[-1] += word if not lines[-1].strip() else f" {word}"
    return " \\\n".join(lines)
