"""Run of ``benchmarks.recording``: trains what a table lacks and stores it."""

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.recording.design import Point, first_points
from benchmarks.recording.options import Packing, Plan, pack_parser, packing_of, parser, plan_of
from benchmarks.recording.table import from_folder
from benchmarks.recording.table_folder import (
    Job,
    RecordedTrial,
    TableFolder,
    describe,
    identity,
    unwritable,
)
from benchmarks.recording.trainers import (
    THREADS,
    Assignment,
    Event,
    RecordingError,
    Setup,
    in_engine,
    in_processes,
)
from search.session.interrupt import Interrupt
from spaces import canonical_weights
from spaces.parts.words import number_of
from trainer.entry_point import entry_point
from trainer.files import is_there, write_atomic
from trainer.prepared import ImageData, load, prepare
from trainer.provenance import device_name, now, provenance
from trainer.results import EpochResult
from trainer.trial import Trial

LINE_SECONDS = 10.0
"""Between two lines of progress."""


class Recording:
    """The trials that this start is to record, as they come in.

    Attributes:
        present: what is in the table already.
        results: the epochs so far of the trials in flight.
        recording: hardware, versions and so on of this start.
    """

    def __init__(
        self,
        plan: Plan,
        folder: TableFolder,
        description: dict[str, Any],
        points: list[Point],
        data: ImageData,
        present: set[Job],
    ) -> None:
        self.plan, self.folder, self.points, self.counts = plan, folder, points, data.counts
        self.table, self.halves = identity(description), np.array(description["test_counts"])
        self.jobs, self.present = plan.jobs(), present
        self.results: dict[Job, list[EpochResult]] = {}
        self.progress = Progress(plan.benchmark.epochs)
        self.recording = story_of(plan)

    def missing(self) -> list[Job]:
        return [job for job in self.jobs if job not in self.present]

    def assignments(self) -> Iterator[Assignment]:
        """Yield what is missing; what another process stored meanwhile is passed over."""
        for job in self.missing():
            if is_there(self.folder.file(job)):
                self.present.add(job)
                continue
            self.results[job] = []
            yield job, self.trial(job)

    def trial(self, job: Job) -> Trial:
        weighting = self.points[job.number].weighting
        weights = canonical_weights(weighting.weights(self.counts))
        plan = self.plan
        return Trial.weighted(plan.benchmark, tuple(weights.tolist()), job.seed, plan.precision)

    def take(self, event: Event) -> None:
        """Add an epoch, or a divergence, to its trial, and store the trial if that ends it."""
        job, outcome = event
        if not isinstance(outcome, EpochResult):
            self.store(job, outcome.reason)
            return
        self.progress.epochs += 1
        self.results[job].append(outcome)
        if outcome.epoch == self.plan.benchmark.epochs:
            self.store(job, None)

    def store(self, job: Job, diverged: str | None) -> None:
        results = self.results.pop(job)
        story = self.points[job.number].to_dict() | {
            "seed": job.seed,
            "table": self.table,
            "seconds": sum(result.seconds for result in results),
            "finished": now(),
            "diverged": diverged,
            "recording": self.recording,
        }
        self.folder.store(RecordedTrial.of(story, results, self.halves))
        self.present.add(job)

    def state(self) -> str:
        """Return how far the recording is, in a few words."""
        missing = len(self.missing())
        behind = sum(len(results) for results in self.results.values())
        left = self.progress.left(missing, behind)
        return f"{len(self.jobs) - missing} of {len(self.jobs)} trials are recorded{left}"


class Progress:
    """How fast epochs come, and when the next line about it is due."""

    def __init__(self, epochs_of_trial: int) -> None:
        self.epochs_of_trial, self.epochs = epochs_of_trial, 0
        self.start = self.shown = time.monotonic()

    def due(self) -> bool:
        late = time.monotonic() - self.shown >= LINE_SECONDS
        if late:
            self.shown = time.monotonic()
        return late

    def left(self, trials: int, behind: int) -> str:
        """Return the time for so many trials, of which so many epochs are behind, as words."""
        if not self.epochs or not trials:
            return ""
        seconds = (time.monotonic() - self.start) / self.epochs
        each = f"one in {seconds * self.epochs_of_trial:.3g} s"
        return (
            f", {each}, about {duration(seconds * (trials * self.epochs_of_trial - behind))} left"
        )


def duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def story_of(plan: Plan) -> dict[str, Any]:
    return {"hardware": device_name(plan.device), "threads": THREADS, **provenance()}


def begin(plan: Plan, data: ImageData) -> Recording:
    """Return the recording, its table made or checked; damaged files are removed from it.

    Raises:
        UserError: the table is of something else, or the design has too few weightings.
    """
    points = first_points(data.counts, plan.weightings)
    description = describe(plan.benchmark, data, plan.precision)
    folder = TableFolder(plan.table / plan.benchmark.name)
    folder.open(description)
    trials, damaged = folder.read()
    for path, error in damaged.items():
        print(f"note: {error} Done: it is recorded again.")
        path.unlink(missing_ok=True)
    present = {trial.job for trial in trials}
    return Recording(plan, folder, description, points, data, present)


def introduce(recording: Recording, command: str) -> None:
    plan = recording.plan
    print(f"{command}\n{plan.benchmark.name}, {plan.benchmark.protocol_note()}, {plan.precision}")
    if plan.benchmark.role == "hidden":
        print("note: this is the leaderboard's hidden setting, to be judged on once, at the end")
    print(f"{recording.recording['hardware']}; table {recording.folder.path}")
    print(f"{recording.state()}", flush=True)


def train_missing(recording: Recording, setup: Setup, interrupt: Interrupt) -> None:
    """Train and store what is missing, until a signal comes."""
    train = in_processes if setup.device.type == "cpu" else in_engine
    with contextlib.closing(train(recording.assignments(), setup)) as events:
        for event in events:
            if event:
                recording.take(event)
            if recording.progress.due():
                print(recording.state(), flush=True)
            if interrupt.reason():
                return


def record(plan: Plan, command: str) -> int:
    """Record the plan's part of the table; return 0, or 130 after Ctrl-C or SIGTERM."""
    interrupt = Interrupt()
    with interrupt.caught():
        prepared = prepare(plan.benchmark, plan.data_root)
        recording = begin(plan, load(prepared, plan.benchmark))
        introduce(recording, command)
        setup = Setup(plan.benchmark, prepared, plan.precision, plan.device, plan.slots)
        if recording.missing():  # or a GPU would be set up for nothing
            train_missing(recording, setup, interrupt)
    missing = len(recording.missing())
    if missing:
        print(f"Stopped: {interrupt.reason()}. {recording.state()}; go on with\n  {command}")
        return 130
    print(f"all {len(recording.jobs)} trials are recorded in {recording.folder.path}")
    return 0


def pack(packing: Packing) -> int:
    """Write the packed file and say what is in it."""
    table = from_folder(TableFolder(packing.folder))
    content = table.to_bytes()
    try:
        write_atomic(packing.out, content)
    except OSError as error:
        raise unwritable(packing.out, "--out", error) from error
    trials, weightings = len(table.seed), len(table.points)
    print(
        f"packed {number_of(trials, 'trial')} of {number_of(weightings, 'weighting')}, "
        f"{len(table.diverged)} diverged, into "
        f"{packing.out}: {len(content):,} bytes"
    )
    return 0


@entry_point(interrupted="interrupted; the same command goes on")
def main(arguments: list[str] | None = None) -> int:
    """Record or pack; return the exit code: 2 for bad input, 1 if training failed."""
    words = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "benchmarks.recording", *words])
    try:
        if words[:1] == ["pack"]:
            return pack(packing_of(pack_parser().parse_args(words[1:])))
        return record(plan_of(parser().parse_args(words)), command)
    except RecordingError as error:
        print(f"recording failed: {error}", file=sys.stderr)
        return 1
