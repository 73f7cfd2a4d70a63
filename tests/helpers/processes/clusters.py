"""Ray heads that tests start, and the processes below them."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def ray_head(*options: str, env: dict[str, str] | None = None) -> Iterator[tuple[str, int]]:
    """Run a Ray head with two CPUs, as ``ray start`` makes it; yield its address and process id.

    It asks for no token, unless the environment ``env`` says so, and does not make this machine
    a part of itself, unless RAY_TMPDIR is set.
    """
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as own:
        folder = os.environ.get("RAY_TMPDIR", own)  # a socket's path must be short
        spared = {"RAY_prestart_worker_first_driver": "0"}  # workers that no search can use
        yield from _ray_head(options, {"RAY_TMPDIR": folder} | spared | (env or {}))


def _ray_head(options: tuple[str, ...], env: dict[str, str]) -> Iterator[tuple[str, int]]:
    port = free_port()
    ray = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    plain = [f"--port={port}", "--num-cpus=2", "--include-dashboard=false"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    head = subprocess.Popen(
        [*ray, *plain, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment, "RAY_AUTH_MODE": "disabled"} | env,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert head.poll() is None
            assert time.monotonic() < deadline
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"127.0.0.1:{port}", head.pid
    finally:
        head.terminate()
        head.communicate(timeout=60)


def processes() -> dict[int, tuple[int, str]]:
    """Return the parent and the title of every process of this machine."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            title = (entry / "cmdline").read_bytes().decode(errors="replace")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(entry.name)] = parent, title
    return found


def below(ancestor: int, title: str) -> list[int]:
    """Return the processes below ``ancestor`` whose title begins with the expression ``title``."""
    all_processes, family = processes(), {ancestor}
    while more := {p for p, (parent, _) in all_processes.items() if parent in family} - family:
        family |= more
    return [p for p in family & all_processes.keys() if re.match(title, all_processes[p][1])]


@contextlib.contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Stop trials' processes while a signal is sent, until the search has surely seen to it.

    They might have trained to their end before it did.
    """
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    time.sleep(2)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def workers(process: subprocess.Popen[Any]) -> list[int]:
    """Return the processes below ``process`` that train a trial for Ray."""
    return below(process.pid, r"ray::\w*Trainable")


def wait_for_end(pids: list[int]) -> None:
    """Wait for processes that are no children of this one."""
    deadline = time.monotonic() + 60
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, f"{left} outlive their driver"
        time.sleep(0.05)
