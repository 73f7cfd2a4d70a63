"""Trainers of a recording: processes on a CPU, the slots of an engine on a GPU.

Both take trials as they have room for them and yield epochs as they end, of all trials mixed.
"""

import contextlib
import gc
import multiprocessing
import signal
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from benchmarks.recording.table_folder import Job
from search.session.interrupt import NAMES
from spaces.errors import UserError
from spaces.parts.words import number_of
from trainer.benchmarks import Benchmark
from trainer.execution.calibrate import LEAST_EPOCHS, MOST_SLOTS, best_slots, calibrate
from trainer.execution.engine import Engine
from trainer.execution.loop import NAP_SECONDS, TrainingError, train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.prepared import load
from trainer.provenance import device_name
from trainer.results import EpochResult
from trainer.runtime import configure
from trainer.trial import Trial

THREADS = 1
"""Intra-op CPU threads of each process that trains; also decides the last bits on a CPU."""
TICK_SECONDS = 0.5
"""How long nothing may be yielded; then None is."""


class RecordingError(Exception):
    """A process that trains has ended; what is recorded stays."""


@dataclass(frozen=True)
class Divergence:
    """A trial's end before its last epoch: its loss was no longer finite."""

    reason: str


@dataclass(frozen=True)
class Setup:
    """What all trials share.

    Attributes:
        prepared: the benchmark's prepared file.
        slots: trials at a time; None on a GPU finds out.
    """

    benchmark: Benchmark
    prepared: Path
    precision: str
    device: torch.device
    slots: int | None

    def task(self) -> Task:
        data = load(self.prepared, self.benchmark)
        return Task(data, self.benchmark.padding, self.device)


Assignment = tuple[Job, Trial]
Outcome = EpochResult | Divergence
Event = tuple[Job, Outcome]


def outcomes(trial: Trial, task: Task, slot: Slot) -> Iterator[Outcome]:
    """Yield the trial's epochs, and the divergence if it ends so."""
    try:
        yield from train(trial, task, slot=slot)
    except TrainingError as error:
        yield Divergence(str(error))


def serve(connection: Connection, setup: Setup) -> None:
    """Train the trials that come until None does, or the parent is gone."""
    configure(setup.precision, THREADS)
    task, slot = setup.task(), None
    with contextlib.suppress(ConnectionError, EOFError):
        while (trial := connection.recv()) is not None:
            slot = slot or Slot(trial, task)
            for outcome in outcomes(trial, task, slot):
                connection.send(outcome)


class Worker:
    """A process that trains one trial at a time; ``job`` is None while it has none.

    It writes nothing, so that it can be killed at any time.
    """

    def __init__(self, setup: Setup) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, setup), daemon=True)
        # Inherited from the first instruction on: Ctrl-C in a terminal goes to this process too,
        # but it is the parent's to handle. The tracker's own start would lift the block.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, NAMES)
        self.process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
        self.epochs = setup.benchmark.epochs
        self.job: Job | None = None

    def begin(self, assignment: Assignment | None) -> None:
        """Train this trial next; nothing more if it is None."""
        self.job = assignment[0] if assignment else None
        with contextlib.suppress(ConnectionError):  # the process is gone, as ``event`` will say
            self.connection.send(assignment[1] if assignment else None)

    def event(self) -> tuple[Event, bool]:
        """Return what came of the trial, and whether that was its end.

        Raises:
            RecordingError: the process has ended.
        """
        assert self.job is not None
        try:
            outcome: Outcome = self.connection.recv()
        except (EOFError, ConnectionError) as error:
            self.process.join()
            raise RecordingError(
                f"a training process ended with {self.process.exitcode}; what is recorded stays, "
                "and the same command goes on (with fewer --slots, if the memory was full)."
            ) from error
        return (self.job, outcome), isinstance(outcome, Divergence) or outcome.epoch == self.epochs

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def in_processes(
    assignments: Iterator[Assignment], setup: Setup
) -> Generator[Event | None, None, None]:
    """Train on the CPU in ``setup.slots`` processes of one thread; None says that time passes."""
    workers: list[Worker] = []
    try:
        for assignment in assignments:
            workers.append(Worker(setup))
            workers[-1].begin(assignment)
            if len(workers) == setup.slots:
                break
        while busy := {w.connection: w for w in workers if w.job is not None}:
            for connection in wait(list(busy), timeout=TICK_SECONDS):
                worker = busy[connection]  # type: ignore[index]  # no sockets were waited for
                event, ended = worker.event()
                yield event
                if ended:
                    worker.begin(next(assignments, None))
            yield None
    finally:
        for worker in workers:
            worker.end()


def in_engine(
    assignments: Iterator[Assignment], setup: Setup
) -> Generator[Event | None, None, None]:
    """Train in this process, in the slots of one engine; None says that time passes."""
    configure(setup.precision, THREADS)
    engine = make_engine(setup)
    while True:
        while engine.free and (assignment := next(assignments, None)):
            job, trial = assignment
            epochs = trial.benchmark.epochs
            engine.begin(job, trial, None, epochs, until=epochs)
        if not engine.jobs:
            return
        turn = engine.turn()
        for job, outcome in turn.outcomes:
            yield job, settled(outcome)
        if turn.idle:
            time.sleep(NAP_SECONDS)
        yield None


def make_engine(setup: Setup) -> Engine:
    """Return an engine of as many slots as are wanted, or as pay on this GPU.

    Raises:
        UserError: the GPU has no memory for them.
    """
    task = setup.task()
    like = uniform_trial(setup.benchmark, setup.precision)
    slots = setup.slots or paying_slots(setup, task)
    print(f"{number_of(slots, 'trial')} side by side on {device_name(setup.device)}", flush=True)
    try:
        return Engine(lambda: Slot(like, task), slots)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"the memory of {device_name(setup.device)} does not hold --slots {slots} of "
            f"{setup.benchmark.name}; give fewer."
        ) from error


def uniform_trial(benchmark: Benchmark, precision: str) -> Trial:
    return Trial.weighted(benchmark, (1.0,) * benchmark.num_classes, 0, precision)


def paying_slots(setup: Setup, task: Task) -> int:
    """Return how many trials should share the GPU, found by training on it."""
    # A slot does not depend on the number of epochs, which must be enough to measure it.
    longer = replace(setup.benchmark, epochs=max(LEAST_EPOCHS, setup.benchmark.epochs))
    like = uniform_trial(longer, setup.precision)
    slots = best_slots(calibrate(lambda: Slot(like, task), MOST_SLOTS, setup.device))
    gc.collect()  # slots are cycles, and hold their memory until they are found
    return slots


def settled(outcome: EpochResult | Exception) -> Outcome:
    """Return an engine's outcome; an exception that is no divergence is raised."""
    if isinstance(outcome, TrainingError):
        return Divergence(str(outcome))
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
