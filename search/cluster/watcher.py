"""The watcher of a Ray on this machine: it ends what Ray leaves running when its driver is killed.

Ray's agents wait a minute for the servers that died with the driver. Run as a program of its own,
with the standard library alone.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

GRACE_SECONDS = 15.0
"""So long Ray's processes may take to end by themselves; workers may be saving."""
LOOK_SECONDS = 0.5
TITLE = b"ray::"
"""The titles of Ray's agents and workers begin so; its servers die with the driver."""


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Have what Ray runs with files in ``folder`` ended if this process dies in the block."""
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(folder)],
        stdin=subprocess.PIPE,  # at its end when this process is
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # out of reach of the terminal's signals
    )
    try:
        yield
    finally:
        watcher.kill()
        watcher.communicate()


def users(folder: str) -> list[int]:
    """Return Ray's agents and workers that have a file open in ``folder``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another account's
            if (process / "cmdline").read_bytes().startswith(TITLE) and any(
                os.readlink(file).startswith(f"{folder}/") for file in (process / "fd").iterdir()
            ):
                found.append(int(process.name))
    return found


def main(folder: str) -> None:
    folder = os.path.realpath(folder)
    sys.stdin.buffer.read()  # until the driver is gone
    deadline = time.monotonic() + GRACE_SECONDS
    while (left := users(folder)) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1])
