"""The last words of a search whose process is ended from outside: killed, or by Ray.

Ray ends the process where it cannot go on. Nothing in the process can speak
then, so that another one does. Run as a program of its own, with the standard library alone.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

WORDS = (
    "Stopped: the process of the search is gone: killed, or ended by Ray, whose server on this "
    "machine (raylet) died or reached a limit (ulimit -a). What was saved stands; continue with"
)
SHOW_CURSOR = "\x1b[?25h"


@contextlib.contextmanager
def last_words(log: Path, command: str) -> Iterator[Callable[[], None]]:
    """Have it said on stderr and in the log if this process ends in the block without leaving it.

    ``command`` continues the search. Yields what spares the words, for whoever ends the process in
    the block and has said so.
    """
    speaker = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(log), command],
        stdin=subprocess.PIPE,  # at its end when this process is
        start_new_session=True,  # out of reach of the terminal's signals
    )

    def spare() -> None:
        speaker.kill()
        speaker.communicate()

    try:
        yield spare
    finally:
        spare()


def main(log: str, command: str) -> None:
    sys.stdin.buffer.read()  # until the search is gone
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    words = f"{now} ERROR search: {WORDS}\n{now} ERROR search: {command}\n"
    with (
        contextlib.suppress(OSError),
        open(log, "a", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write(words)
    with contextlib.suppress(OSError):  # the terminal is closed
        cursor = SHOW_CURSOR if sys.stderr.isatty() else ""
        print(f"{cursor}{WORDS}\n  {command}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
