"""Command line of the search: the console command ``class-weighting-search``, and run_search.py."""

import contextlib
import os
import signal
import sys


def main() -> int:
    """Run the command line and return its exit code; Ctrl-C while it loads is no traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)  # until the search takes them over
    from search.cli import commands

    return commands.main()


def leave(number: int, frame: object) -> None:
    """End at once: nothing is being computed yet, and an exception would break half an import."""
    with contextlib.suppress(OSError):  # the terminal is closed
        sys.stderr.write("\rinterrupted\n" if sys.stderr.isatty() else "interrupted\n")  # over ^C
        sys.stderr.flush()
    os._exit(130)
