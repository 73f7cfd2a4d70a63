"""Helpers of the tests of the recorded table: its command line, its files, made-up trials."""

from pathlib import Path
from typing import Any

import numpy as np
from training import DIGITS, digits_data, digits_task

from benchmarks.recording import run
from benchmarks.recording.design import Point, first_points
from benchmarks.recording.table_folder import Job, RecordedTrial, TableFolder, describe, identity
from spaces import canonical_weights
from trainer.execution.loop import train
from trainer.results import EpochResult
from trainer.trial import Trial

SHORT = DIGITS.with_epochs(2)


def options(place: Path, *more: str) -> list[str]:
    where = ["--table", str(place / "table"), "--data-root", str(place / "data")]
    what = ["--benchmark", "resnet8-digitslt", "--epochs", "2", "--device", "cpu", "--slots", "1"]
    return [*where, *what, *more]


def record(place: Path, *more: str) -> int:
    return run.main(options(place, *more))


def table_of(place: Path) -> Path:
    return place / "table" / "resnet8-digitslt"


def files(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (table_of(place) / "trials").glob("*.npz")}


def expected(point: Point, seed: int, precision: str = "tf32") -> list[EpochResult]:
    """Return what the trainer yields for a weighting of the table."""
    weights = canonical_weights(point.weighting.weights(DIGITS.counts))
    return list(
        train(Trial.weighted(SHORT, tuple(weights.tolist()), seed, precision), digits_task())
    )


def made_up(job: Job, epochs: int = 2, diverged: str | None = None, started: str = "now") -> Any:
    """Return a trial with random counts, as if it had been recorded."""
    random = np.random.default_rng((job.number, job.seed))
    description = describe(SHORT, digits_data(), "tf32")
    halves = np.array(description["test_counts"])
    story = first_points(DIGITS.counts, job.number + 1)[-1].to_dict() | {
        "seed": job.seed,
        "table": identity(description),
        "seconds": 1.5,
        "finished": "2026-01-01T00:00:00+00:00",
        "diverged": diverged,
        "recording": {"hardware": "a processor", "time": started},
    }
    results = [
        EpochResult(
            epoch=epoch,
            train_loss=random.random(),
            test_loss=random.random(),
            learning_rate=0.1,
            seconds=1.0,
            score=0.0,
            best_score=0.0,
            correct=tuple(tuple(random.integers(0, half + 1).tolist()) for half in halves),  # type: ignore[arg-type]
        )
        for epoch in range(1, epochs + 1)
    ]
    return RecordedTrial.of(story, results, halves)


def made_up_table(place: Path, trials: list[RecordedTrial]) -> TableFolder:
    folder = TableFolder(table_of(place))
    folder.open(describe(SHORT, digits_data(), "tf32"))
    for trial in trials:
        folder.store(trial)
    return folder


def packing(place: Path) -> list[str]:
    where = ["--table", str(place / "table"), "--benchmark", "resnet8-digitslt"]
    return [*where, "--out", str(place / "packed.npz")]
