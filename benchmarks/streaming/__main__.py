"""The streaming benchmark trains with images from disk and with the same images in memory.

From the repository's root, with a TOML file of images of your own:

    python -m benchmarks.streaming --benchmark photos.toml --batches 6 --repeats 3

Every part runs in a process of its own, on one CPU thread, the two ways in alternation. Memory is
what a process holds of its own at most, less what it holds before: files in the system's cache are
not in it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.option_checks import check_minimum
from spaces.errors import UserError
from trainer import runtime
from trainer.arguments import Parser
from trainer.benchmarks import Benchmark, get_benchmark
from trainer.entry_point import entry_point
from trainer.execution.slot import Progress, Slot
from trainer.execution.task import Task
from trainer.prepared import load, preparation, prepare
from trainer.trial import Trial

WAYS = {"memory": 2**62, "disk": 0}
"""Bytes that are said to be free."""
LOOK_SECONDS = 0.005
"""Between looks at a process's memory."""


def parser() -> argparse.ArgumentParser:
    made = Parser(prog="python -m benchmarks.streaming", description="Compare disk and memory.")
    add = made.add_argument
    add("--benchmark", required=True, help="a folder of images, or a TOML file")
    add("--batches", type=int, default=6, help="training batches that are timed, after a first one")
    add("--repeats", type=int, default=3, help="trainings each way")
    # Of a child: a way, "prepare" or "train", and a folder.
    add("--part", help=argparse.SUPPRESS)
    return made


class OwnMemory:
    """The most anonymous memory that this process had, MiB, while it was looked at."""

    def __init__(self) -> None:
        self.begin = self.most = self.now()
        threading.Thread(target=self.look, daemon=True).start()

    def now(self) -> float:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("RssAnon:")[2].split()[0]) / 1024

    def look(self) -> None:
        while True:
            self.most = max(self.most, self.now())
            time.sleep(LOOK_SECONDS)

    def taken(self) -> float:
        return max(self.most, self.now()) - self.begin


def timed_batches(benchmark: Benchmark, path: Path, batches: int) -> Iterator[tuple[int, float]]:
    """Train on some batches, and yield each one's images and the seconds of the processor.

    Raises:
        UserError: there is one batch only, which sets things up.
    """
    task = Task(load(path, benchmark), benchmark.padding, torch.device("cpu"))
    trial = Trial.weighted(benchmark, (1.0,) * benchmark.num_classes, 42, "fp32")
    slot = Slot(trial, task)
    slot.enter(trial)
    if len(slot.train_sizes) == 1:
        raise UserError(
            f"the training images of {benchmark.name} are one batch, and the first is not timed; "
            "give more images, or a smaller batch_size."
        )
    work = (item for item in slot.epoch(1, 0.01) if item is Progress.QUEUED)
    next(work)  # sets things up
    for size in slot.train_sizes[1 : batches + 1]:  # the last one may be short
        begin = time.process_time()
        next(work)
        yield size, time.process_time() - begin


def part(benchmark: Benchmark, way: str, action: str, folder: Path, batches: int) -> str:
    """Prepare or train in this process, and return what was measured as JSON."""
    memory, begin = OwnMemory(), time.process_time()
    with patch.object(preparation, "available_memory", return_value=WAYS[way]):
        path = prepare(benchmark, folder / way, lambda _: None)
    found = {"seconds": time.process_time() - begin}
    if action == "train":
        images, seconds = map(sum, zip(*timed_batches(benchmark, path, batches), strict=True))
        found = {"speed": images / seconds}
    return json.dumps(found | {"memory": memory.taken()})


def measured(words: list[str], way: str, action: str, folder: Path) -> dict[str, float]:
    """Return what a process measures of a part."""
    command = [sys.executable, "-m", "benchmarks.streaming", *words, "--part"]
    done = subprocess.run([*command, f"{way} {action} {folder}"], capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"a process ended with {done.returncode}."]
        raise UserError(said[-1].removeprefix("error: "))
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def compare(words: list[str], repeats: int) -> Iterator[str]:
    """Yield the rows of the comparison."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = {way: measured(words, way, "prepare", Path(folder)) for way in WAYS}
        trained = [(w, measured(words, w, "train", Path(folder))) for w in (*WAYS,) * repeats]
    yield "| images | preparing, CPU s | its memory, MiB | images per CPU s | memory, MiB |"
    yield "|---|---|---|---|---|"
    for way, first in prepared.items():
        speeds, most = ([row[k] for w, row in trained if w == way] for k in ("speed", "memory"))
        yield (
            f"| {way} | {first['seconds']:.1f} | {first['memory']:,.0f} |"
            f" {statistics.median(speeds):.2f} ({min(speeds):.2f}-{max(speeds):.2f}) |"
            f" {max(most):,.0f} |"
        )
    pairs = zip(trained[::2], trained[1::2], strict=True)
    ratios = sorted(disk["speed"] / memory["speed"] for (_, memory), (_, disk) in pairs)
    yield f"disk / memory: {statistics.median(ratios):.3f} ({ratios[0]:.3f}-{ratios[-1]:.3f})"


@entry_point()
def main(arguments: list[str] | None = None) -> int:
    """Return the exit code, 2 for bad input."""
    options = parser().parse_args(arguments)
    for name in ("batches", "repeats"):
        check_minimum(f"--{name}", getattr(options, name), 1)
    benchmark = get_benchmark(options.benchmark, Path("data"))
    if benchmark.folder is None:
        raise UserError(f"--benchmark is {options.benchmark}; it must be images of your own.")
    runtime.configure("fp32", 1)
    if options.part:
        way, action, folder = options.part.split(" ", 2)
        print(part(benchmark, way, action, Path(folder), options.batches))
        return 0
    words = ["--benchmark", options.benchmark, "--batches", str(options.batches)]
    for line in compare(words, options.repeats):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
