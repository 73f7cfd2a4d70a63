"""Processes of an arm: started, asked, timed out and ended from here."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.throughput.arms import Arm, Job

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "benchmarks.throughput.worker")


class ArmError(Exception):
    """An arm cannot go on; the message is why, in one line."""


def child_environment() -> dict[str, str]:
    """Return an environment in which a child finds this repository's packages."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


class Process:
    """One process of an arm. It leads a process group, so that its helpers end with it."""

    def __init__(self, job: Job) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self.child = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=child_environment(),
            start_new_session=True,
        )
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.tell(json.dumps(job.to_dict()))

    def read(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def tell(self, line: str) -> None:
        assert self.child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; its answer says why
            self.child.stdin.write(line + "\n")
            self.child.stdin.flush()

    def answer(self, deadline: float | None) -> dict[str, Any]:
        """Return the next answer, waiting until ``deadline`` (of ``time.monotonic``) at most.

        Raises:
            ArmError: the process failed, ended, or did not answer in time.
        """
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            raise ArmError("not ready in the time that the budget allows.") from None
        if line is None:
            raise ArmError(f"the process ended with {self.child.wait()}: {self.last_words()}")
        content: dict[str, Any] = json.loads(line)
        if "failed" in content:
            raise ArmError(content["failed"])
        return content

    def last_words(self) -> str:
        self.errors.seek(0)
        lines = [line for line in self.errors.read().splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it said nothing."

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.reader.join()
        for pipe in (self.child.stdin, self.child.stdout, self.errors):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # what was never read
                pipe.close()


class RunningArm:
    """An arm's processes, which are told everything at the same moment.

    Attributes:
        failure: why the arm is out of the comparison; None while it is not.
        warnings: what its processes warned of.
    """

    def __init__(self, arm: Arm, jobs: list[Job]) -> None:
        self.arm = arm
        self.failure: str | None = None
        self.warnings: list[str] = []
        self.processes = [Process(job) for job in jobs]

    def tell(self, line: str) -> None:
        for process in self.processes:
            process.tell(line)

    def answers(self, deadline: float | None = None) -> list[dict[str, Any]]:
        """Return the processes' answers; none if the arm fails, which ends it."""
        try:
            answers = [process.answer(deadline) for process in self.processes]
        except ArmError as error:
            self.failure = str(error)
            self.end()
            return []
        self.warnings = sorted({line for answer in answers for line in answer["warnings"]})
        return answers

    def end(self) -> None:
        for process in self.processes:
            process.end()
        self.processes = []
