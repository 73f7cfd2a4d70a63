"""A Ray cluster of several nodes on this machine, each of which can be lost like a machine."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from clusters import free_port, processes

RAY = str(Path(sys.executable).with_name("ray"))

SKEWED = """
import time

real_time = time.time
time.time = lambda: real_time() + {seconds}
"""


def skewed_clock(place: Path, seconds: float) -> dict[str, str]:
    """Return an environment whose Python programs have their clocks off by so much."""
    folder = place / f"clock{seconds:+g}"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SKEWED.format(seconds=seconds))
    return {"PYTHONPATH": str(folder)}


class Machines:
    """The head, without CPUs, and workers of one CPU each; ``address`` is the head's."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray-"))  # a socket's path must be short
        self.address = f"127.0.0.1:{free_port()}"
        self.nodes: list[subprocess.Popen[bytes]] = []
        port = self.address.rpartition(":")[2]
        self.start(
            "--head",
            f"--port={port}",
            "--num-cpus=0",
            "--node-ip-address=127.0.0.1",
            "--include-dashboard=false",
        )

    def start(self, *options: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a node and wait until it is up."""
        plain = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        ours = {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": str(self.folder)}
        ours["RAY_prestart_worker_first_driver"] = "0"  # workers that no search can use
        log = (self.folder / f"node-{len(self.nodes)}.log").open("w+")
        node = subprocess.Popen(
            [RAY, "start", "--block", "--disable-usage-stats", *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=plain | ours | (env or {}),
        )
        self.nodes.append(node)
        deadline = time.monotonic() + 90
        while "Ray runtime started" not in Path(log.name).read_text():
            assert node.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.1)
        log.close()
        return node

    def worker(self, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        place = f"--node-ip-address=127.0.0.{len(self.nodes) + 1}"
        return self.start(f"--address={self.address}", "--num-cpus=1", place, env=env)

    def address_of(self, node: subprocess.Popen[bytes]) -> str:
        """Return a node's address, of which each has its own."""
        return f"127.0.0.{self.nodes.index(node) + 1}"

    def lose(self, node: subprocess.Popen[bytes]) -> None:
        """Let a node vanish with all that runs on it."""
        family, parents = {node.pid}, {pid: parent for pid, (parent, _) in processes().items()}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        node.wait()

    def lose_all(self) -> None:
        for node in self.nodes:
            if node.poll() is None:
                self.lose(node)


@contextlib.contextmanager
def machines() -> Iterator[Machines]:
    os.environ["RAY_AUTH_MODE"] = "disabled"  # for the searches on it; conftest.py takes it away
    made = Machines()
    try:
        yield made
    finally:
        made.lose_all()
        shutil.rmtree(made.folder, ignore_errors=True)
