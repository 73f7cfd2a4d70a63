"""Search the class weighting of a long-tailed image classifier; see README.md."""

import os
import signal
import sys


def leave(number: int, frame: object) -> None:
    """End at once: nothing is being computed yet, and an exception would break half an import."""
    sys.stderr.write("\rinterrupted\n" if sys.stderr.isatty() else "interrupted\n")  # over the ^C
    sys.stderr.flush()
    os._exit(130)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)  # until the search takes them over
    from search.cli.commands import main

    sys.exit(main())
