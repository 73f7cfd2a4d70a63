"""Call from Python: errors name its arguments, and the end of a search is a run or an error."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from search.config.request import in_arguments
from search.session.interrupt import EXIT_CODE
from search.store.run_folder import RunFolder
from spaces import WeightingError
from spaces.errors import FieldError, UserError
from spaces.validation import shown

if TYPE_CHECKING:
    from search.driver.ending import Ending


class StoppedError(Exception):
    """A search ended before all of its trials did; what was computed stays, and can be resumed."""


@contextmanager
def arguments_named(other: Mapping[str, str] | None = None) -> Iterator[None]:
    """Have every error of what a user gave be a UserError that names arguments of Python.

    ``other`` are options with another argument than that of ``run``.
    """
    from trainer.errors import CheckpointError

    try:
        yield
    except UserError as error:
        error.args = (in_arguments(str(error), other),)
        raise
    except (WeightingError, CheckpointError) as error:
        raise UserError(in_arguments(str(error), other)) from error


def check_thread(name: str) -> None:
    """Raise UserError unless Ctrl-C reaches a call of the function of this name."""
    if threading.current_thread() is not threading.main_thread():
        raise UserError(
            f"{name} is called from a thread that Ctrl-C does not reach; call it from the main one."
        )


def path_text(argument: str, given: object) -> str:
    """Return a name or a path as text.

    Raises:
        FieldError: it is neither, or empty; ``argument`` is what the sentence names.
    """
    if not isinstance(given, str | os.PathLike) or given == "":
        raise FieldError(f"{argument} is {shown(given)}; it must be text or a path, not empty")
    return str(os.fspath(given))


def console_for(quiet: bool) -> Console:
    """Return the console on which a call prints, which goes nowhere if it is quiet."""
    from search.report.terminal import console_on

    told = io.StringIO() if quiet or sys.stdout is None else sys.stdout
    return console_on(told, terminal=told.isatty() and told is sys.__stdout__)


def ended_well(ending: Ending, again: str) -> RunFolder:
    """Return the folder of a search that ended as it should; ``again`` is the call that goes on.

    Raises:
        StoppedError: it ended before all trials did, or exported nothing.
        KeyboardInterrupt: it was ended by Ctrl-C or SIGTERM.
    """
    if ending.code == EXIT_CODE:
        raise KeyboardInterrupt
    if ending.code:
        raise StoppedError(
            f"{ending.reason.rstrip('.')}. What was computed stays; {again} goes on."
        )
    return ending.folder
