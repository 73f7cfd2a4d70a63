"""Worker of an arm: a line in, a line of JSON out, and nothing in between.

The first line is the job. Then ``set up`` makes everything and trains one epoch, a number trains
so many epochs, and the end of the input ends the process. A waiting process uses no CPU.
"""

import dataclasses
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
import torch

from benchmarks.throughput.arms import Job
from benchmarks.throughput.plain import PlainTraining
from trainer.benchmarks import Benchmark, get_benchmark
from trainer.execution.engine import Engine
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.prepared import ImageData, load, prepare
from trainer.results import EpochResult
from trainer.runtime import configure, select_device
from trainer.trial import Trial

NAP_SECONDS = 1e-4
"""How long a thread sleeps that has queued everything and waits for the GPU."""
WAKE_SECONDS = 0.2
"""How long a GPU is kept busy before a segment, so that no arm pays for its idle clocks."""


class Training(Protocol):
    """A way to train one or more trials."""

    def epochs(self, number: int) -> tuple[int, int]:
        """Train and test so many epochs of every trial; return images trained on and tested."""


class EngineTraining:
    """Trials in the slots of an engine, as a search runs them."""

    def __init__(self, trials: list[Trial], task: Task, graphs: bool) -> None:
        self.task = task
        self.engine = Engine(lambda: Slot(trials[0], task, graphs), len(trials))
        self.trials = {str(trial.seed): trial for trial in trials}

    def epochs(self, number: int) -> tuple[int, int]:
        most = min(trial.benchmark.epochs for trial in self.trials.values())
        done = sum(self.some_epochs(min(most, number - i)) for i in range(0, number, most))
        return done * self.task.images, done * self.task.test_images

    def some_epochs(self, number: int) -> int:
        """Train so many epochs, at most a whole trial, of every trial; return their number."""
        for key, trial in self.trials.items():
            self.go_on(key, trial, number)
        done = 0
        while done < number * len(self.trials):
            turn = self.engine.turn()
            for _, outcome in turn.outcomes:
                if not isinstance(outcome, EpochResult):
                    raise outcome
                done += 1
            if turn.idle:
                time.sleep(NAP_SECONDS)
        return done

    def go_on(self, key: str, trial: Trial, number: int) -> None:
        """Allow a trial so many more epochs, from its start again if it has not so many left."""
        job = self.engine.jobs.get(key)
        if job and job.epoch + number <= trial.benchmark.epochs:
            self.engine.allow(key, job.epoch + number)
        else:
            self.engine.leave(key)
            self.engine.begin(key, trial, None, trial.benchmark.epochs, number)


def cut(
    benchmark: Benchmark, data: ImageData, batches: int | None, seed: int
) -> tuple[Benchmark, ImageData]:
    """Return the benchmark with so many full training batches and as great a share of the test set.

    The images are drawn at random; with None, or with no more images than that, all stay.
    """
    images, test_images = len(data.train_labels), len(data.test_labels)
    wanted = images if batches is None else batches * benchmark.batch_size
    if wanted >= images:
        return benchmark, data
    random = np.random.default_rng(seed)
    kept = random.permutation(images)[:wanted]
    tested = random.permutation(test_images)[: max(1, round(test_images * wanted / images))]
    return dataclasses.replace(benchmark, train_images=wanted), data.subset(kept, tested)


class Worker:
    """A job's process between its lines."""

    def __init__(self, job: Job) -> None:
        """Read the data and wake the device; what costs memory or time on it is set up later."""
        if job.arm.plain:
            torch.set_num_threads(job.threads)  # as the engine, whatever OMP_NUM_THREADS says
        else:  # before CUDA starts, which reads some of it then
            configure(job.arm.precision, job.threads, job.arm.reproducible)
        self.job, self.device = job, select_device(job.device)
        benchmark = get_benchmark(job.benchmark, Path(job.data_root))
        data = load(prepare(benchmark, Path(job.data_root)), benchmark)
        self.benchmark, self.data = cut(benchmark, data, job.batches, job.seed)
        torch.zeros(1, device=self.device)

    def training(self) -> Training:
        job, arm = self.job, self.job.arm
        if arm.workers is not None:
            return PlainTraining(self.benchmark, self.data, self.device, arm.workers, job.seed)
        weights = (1.0,) * self.benchmark.num_classes
        trials = [
            Trial.weighted(self.benchmark, weights, job.seed + i, arm.precision, arm.compiled)
            for i in range(job.slots)
        ]
        task = Task(self.data, self.benchmark.padding, self.device)
        return EngineTraining(trials, task, arm.graphs)

    def obey(self, command: str) -> dict[str, Any]:
        if command == "set up":
            self.made = self.training()
            if self.job.arm.compiled:
                self.made.epochs(1)  # compiles; the next one says how long an epoch takes
        return self.timed(1 if command == "set up" else int(command))

    def timed(self, epochs: int) -> dict[str, Any]:
        """Train so many epochs and return what they took, waiting for the device at the ends."""
        self.wake()
        start = time.perf_counter()
        trained, tested = self.made.epochs(epochs)
        self.wait()
        seconds = time.perf_counter() - start
        answer = {"seconds": seconds, "train_images": trained, "test_images": tested}
        return answer | peak_memory(self.device)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def wake(self) -> None:
        if self.device.type != "cuda":
            return
        numbers = torch.rand(2048, 2048, device=self.device)
        end = time.perf_counter() + WAKE_SECONDS
        while time.perf_counter() < end:
            numbers @ numbers
            self.wait()


def peak_memory(device: torch.device) -> dict[str, int]:
    """Return the process's peak GPU memory in bytes: in tensors, and held from the driver."""
    if device.type != "cuda":
        return {}
    return {
        "peak_allocated": torch.cuda.max_memory_allocated(device),
        "peak_reserved": torch.cuda.max_memory_reserved(device),
    }


class Warned(logging.Handler):
    """Keeps what the trainer and the compiler warn of, such as graphs that cannot be captured."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def one_line(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}"[:300]


def serve(lines: TextIO, answers: TextIO) -> None:
    """Answer every line, with ``failed`` and the reason where that is how it ended."""
    warned = Warned()
    for name in ("trainer", "torch._dynamo"):
        logging.getLogger(name).addHandler(warned)
    worker: Worker | None = None
    for line in lines:
        try:
            if worker is None:
                worker, answer = Worker(Job.from_dict(json.loads(line))), {}
            else:
                answer = worker.obey(line.strip())
        except Exception as error:  # told to the parent, which goes on without this arm
            answer = {"failed": one_line(error)}
        answers.write(json.dumps(answer | {"warnings": warned.lines}) + "\n")
        answers.flush()


if __name__ == "__main__":
    to_parent = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    serve(sys.stdin, to_parent)
