"""A terminal that is closed stops its search as cleanly as SIGTERM does."""

import contextlib
import fcntl
import os
import pty
import subprocess
import termios
import time
from pathlib import Path

import pytest
import searching
from clusters import below, stopped, wait_for_end, workers
from enduring import running

from trainer.execution.checkpoint import saved_epochs

pytestmark = pytest.mark.slow
SECONDS = 120
"""The longest wait for a state, which is reached in a few seconds on an ordinary machine."""
EPOCHS = "40"


def own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def wait_for_epochs(place: Path, process: subprocess.Popen[bytes], terminal: int) -> str:
    """Return what the terminal showed until trials are under way; somebody must read it."""
    deadline, seen = time.monotonic() + SECONDS, b""
    while searching.recorded_epochs(place) < 8:
        time.sleep(0.05)
        with contextlib.suppress(BlockingIOError):
            seen += os.read(terminal, 65536)
        assert process.poll() is None, seen
        assert time.monotonic() < deadline, seen
    return seen.decode()


def test_a_closed_terminal_stops_a_search_cleanly_and_the_log_says_how_to_go_on(
    tmp_path: Path,
) -> None:
    options = ("--trials", "6", "--epochs", EPOCHS, "--save-every", EPOCHS, "--no-confirm")
    environment = {k: v for k, v in os.environ.items() if k not in ("TMUX", "STY")}
    terminal, other = pty.openpty()
    os.set_blocking(terminal, False)
    process = subprocess.Popen(
        searching.command(tmp_path, *options),
        cwd=tmp_path,
        env=environment | {"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"},
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
        preexec_fn=own_terminal,
    )
    os.close(other)
    try:
        seen = wait_for_epochs(tmp_path, process, terminal)
        with stopped(workers(process)):
            children = below(process.pid, "")
            os.close(terminal)
        assert process.wait(timeout=SECONDS) == 130
    finally:
        process.kill()
        process.wait()
    assert "start it under nohup or tmux" in " ".join(seen.split())
    wait_for_end(children)
    log = searching.folder(tmp_path).log.read_text()
    *_, reason, command = log.splitlines()
    assert "Stopped: hang-up: the terminal was closed. " in reason
    assert command.endswith("--resume")
    assert "Traceback" not in log
    begun = [key for key in running(tmp_path) if searching.folder(tmp_path).read_epochs(key)]
    assert begun, "the terminal was closed too late to interrupt anything"
    for key in begun:
        assert saved_epochs(searching.folder(tmp_path).checkpoints / key)
