"""Conductor of the stages: each in a process of its own, which is ended when its time is over.

A stage that fails, hangs or is cut costs the others nothing. What happens is printed and written
to ``summary.txt``; the processes' own words go to ``logs.txt``. There are few files, for they may
have to be carried away.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu_check.plan import Stage
from benchmarks.gpu_check.results import FILE, Reader, brief
from benchmarks.throughput.processes import REPOSITORY, child_environment

LEAST_SECONDS = 12.0
"""A stage for which less is left does not start: loading torch takes as long."""
RESERVE_SECONDS = 6.0
"""Of the time for everything, for ending the last stage and writing what came of it."""
WARM_SECONDS = 90.0
"""How long the first timed stage waits for the compiler."""
GRACE_SECONDS = 4.0
"""Between asking a stage to end and ending it."""
POLL_SECONDS = 0.1
LOG_BYTES = 200_000
LAST_LINES = 12
WIDTH = 600

Command = Callable[[Stage, float], list[str]]
"""Returns what to run for a stage that may take so many seconds."""


@dataclass
class Child:
    """A stage's process, which leads a process group so that its helpers end with it."""

    stage: Stage
    process: subprocess.Popen[bytes]
    log: Path

    def end(self) -> None:
        """End the process and its helpers, asking them first."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE_SECONDS)
        self.signal(signal.SIGKILL)
        self.process.wait()

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class Conductor:
    """Runs stages within a time for everything.

    Attributes:
        failed: names of the stages that failed or were cut.
    """

    def __init__(
        self, out: Path, logs: Path, command: Command, seconds: float, stretch: float = 1.0
    ) -> None:
        """Give each stage ``stretch`` times its seconds, and all together ``seconds``."""
        self.out, self.logs, self.command, self.stretch = out, logs, command, stretch
        self.begun = time.monotonic()
        self.deadline = self.begun + seconds
        self.reader = Reader(out / FILE)
        self.background: list[Child] = []
        self.failed: list[str] = []

    def tell(self, text: str) -> None:
        line = f"[{time.monotonic() - self.begun:5.0f} s] {text}"
        print(line, flush=True)
        with (self.out / "summary.txt").open("a") as file:
            file.write(line + "\n")

    def left(self) -> float:
        """Return the seconds that a stage may take now."""
        return self.deadline - time.monotonic() - RESERVE_SECONDS

    def run(self, stages: Sequence[Stage]) -> None:
        child: Child | None = None
        try:
            for stage in stages:
                if stage.background:
                    self.background.append(self.start(stage, self.left()))
                    continue
                if stage.timed:
                    self.await_background()
                limit = min(self.stretch * stage.seconds, self.left())
                if limit < LEAST_SECONDS:
                    self.tell(f"{stage.name}: not begun, the time is over")
                    continue
                child = self.start(stage, limit)
                self.watch(child, limit)
        finally:
            for running in (*self.background, *filter(None, [child])):
                self.close(running)

    def start(self, stage: Stage, limit: float) -> Child:
        log = self.logs / f"{stage.name}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                self.command(stage, limit),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=REPOSITORY,
                env=child_environment() | {"PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        return Child(stage, process, log)

    def watch(self, child: Child, limit: float) -> None:
        """Wait for the stage, telling its figures as they come, and end it after ``limit``."""
        begun, rows = time.monotonic(), 0
        self.tell(f"{child.stage.name}: at most {limit:.0f} s")
        while (over := child.process.poll()) is None and time.monotonic() < begun + limit:
            rows += self.echo(child.stage)
            time.sleep(POLL_SECONDS)
        child.end()
        rows += self.echo(child.stage)
        verdict = "cut" if over is None else "done" if over == 0 else f"failed (exit code {over})"
        self.tell(f"{child.stage.name}: {verdict} after {time.monotonic() - begun:.0f} s")
        if over != 0:
            self.failed.append(child.stage.name)
        if not rows or over:
            self.tell_log(child)
        self.close(child)

    def echo(self, stage: Stage) -> int:
        """Tell the new rows and return how many of them are the stage's own."""
        rows = self.reader.new_rows()
        for row in rows:
            other = "" if row["stage"] == stage.name else f"({row['stage']}) "
            self.tell("    " + other + brief(row, WIDTH))
        return sum(row["stage"] == stage.name for row in rows)

    def await_background(self) -> None:
        """Wait for what compiles, so that nothing is timed beside it."""
        until = time.monotonic() + max(0.0, min(WARM_SECONDS, self.left()))
        while self.background:
            child = self.background.pop(0)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, until - time.monotonic()))
            code = child.process.poll()
            if code != 0:
                self.failed.append(child.stage.name)
                self.tell(f"{child.stage.name}: {'cut' if code is None else f'failed ({code})'}")
                self.tell_log(child)
            self.close(child)

    def tell_log(self, child: Child) -> None:
        lines = child.log.read_text(errors="replace").strip().splitlines()
        for line in lines[-LAST_LINES:]:
            self.tell(f"    | {line[:200]}")

    def close(self, child: Child) -> None:
        """End the stage, if it runs, and keep the end of what it said; can be repeated."""
        child.end()
        if child.log.exists():
            text = child.log.read_bytes()[-LOG_BYTES:].decode(errors="replace")
            with (self.out / "logs.txt").open("a") as file:
                file.write(f"\n===== {child.stage.name}\n{text}\n")
            child.log.unlink()
