"""The reports of a worker: when they come and what is in them."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ObjectStoreFullError
from twin import results_of

from search.workers.code_version import CodeVersion
from search.workers.reports import REPORT_SECONDS, Warnings
from search.workers.schedule import Batches, PartResult
from search.workers.setup import WorkerSetup
from search.workers.trainable import TrialTrainable
from spaces.errors import UserError
from trainer.benchmarks import BENCHMARKS
from trainer.execution.loop import TrainingError
from trainer.results import EpochResult

EPOCHS = 12
RESULTS = results_of(seed=1, epochs=EPOCHS)
FULL = " ".join(str(ObjectStoreFullError("no\nroom")).split())
Begin = Callable[[dict[str, Any]], Iterator[PartResult]]


def plain(config: dict[str, Any]) -> Iterator[PartResult]:
    for result in RESULTS[config["parts"][0]["known_epochs"] :]:
        yield 0, result


def worker(begin: Begin, rungs: tuple[int, ...] = (), known: int = 0) -> TrialTrainable:
    """Return what Ray makes on a worker, with ``begin`` in the place of the training."""
    stages = [[epoch] for epoch in (*rungs, EPOCHS)]
    made = TrialTrainable.__new__(TrialTrainable)
    made.shared = WorkerSetup(
        benchmarks=(BENCHMARKS["resnet8-digitslt"].with_epochs(EPOCHS),),
        images=(),
        run=Path("run"),
        proof=Path("run"),
        code_version=CodeVersion.here(),
        precision="tf32",
        compiled=False,
        device="cpu",
        threads=1,
        save_every=5,
    )
    made.hardware = None
    made.warnings = Warnings()
    made.begin = begin  # type: ignore[method-assign]
    made.reset_config({"parts": [{"known_epochs": known}], "stages": stages})
    return made


def epochs_in(report: dict[str, Any]) -> list[int]:
    return [row["epoch"] for part, row in json.loads(report["epochs"])]


def reports_of(trial: TrialTrainable) -> list[list[int]]:
    """Return the epochs in each of the trial's reports, up to its last."""
    reports = []
    while True:
        report = trial.step()
        reports.append(epochs_in(report))
        if report["done"]:
            return reports


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that workers read, to be set."""
    now = [100.0]
    monkeypatch.setattr("search.workers.reports.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_step_ends_exactly_at_each_rung_and_at_the_last_epoch() -> None:
    assert reports_of(worker(plain, rungs=(3, 6))) == [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9, 10, 11, 12],
    ]


def test_without_rungs_a_fast_trial_is_one_report() -> None:
    assert reports_of(worker(plain)) == [list(range(1, EPOCHS + 1))]


def test_a_trial_that_goes_on_reports_what_is_not_known_yet() -> None:
    assert reports_of(worker(plain, rungs=(3, 6), known=4)) == [[5, 6], [7, 8, 9, 10, 11, 12]]


def test_a_step_ends_after_the_epoch_in_which_its_time_is_up(clock: list[float]) -> None:
    def slow(config: dict[str, Any]) -> Iterator[PartResult]:
        for result in plain(config):
            clock[0] += 0.3 * REPORT_SECONDS
            yield result

    assert reports_of(worker(slow, rungs=(6,))) == [[1, 2, 3, 4], [5, 6], [7, 8, 9, 10], [11, 12]]


def test_an_epoch_longer_than_the_time_is_a_report_of_its_own(clock: list[float]) -> None:
    def slow(config: dict[str, Any]) -> Iterator[PartResult]:
        for result in plain(config):
            clock[0] += 60.0
            yield result

    assert reports_of(worker(slow)) == [[epoch] for epoch in range(1, EPOCHS + 1)]


def test_within_a_long_epoch_a_step_ends_after_a_batch_and_says_which(clock: list[float]) -> None:
    def slow(config: dict[str, Any]) -> Iterator[PartResult]:
        for _, result in plain(config):
            for batch in range(1, 5):
                clock[0] += 0.3 * REPORT_SECONDS
                yield 0, Batches(batch, 4)
            yield 0, result

    trial = worker(slow)
    reports = [trial.step() for _ in range(4)]
    assert [epochs_in(report) for report in reports] == [[], [1], [2], [3]]
    assert [report["within"] for report in reports] == [(0, 4, 4)] * 4


def test_a_trial_that_is_known_in_full_ends_at_once() -> None:
    assert reports_of(worker(plain, rungs=(3, 6), known=EPOCHS)) == [[]]


def failing(error: Exception) -> Begin:
    def begin(config: dict[str, Any]) -> Iterator[PartResult]:
        yield from islice(plain(config), 4)
        raise error

    return begin


@pytest.mark.parametrize(
    ("error", "end"),
    (
        (
            TrainingError(5, "it diverged"),
            {"failure": "epoch 5: it diverged", "traceback": "", "diverged": True},
        ),
        (
            ZeroDivisionError("by nothing\nat all"),
            {"failure": "ZeroDivisionError: by nothing", "diverged": False},
        ),
        (OSError("disk full"), {"halt": "OSError on a worker: disk full"}),
        (UserError("no GPU."), {"halt": "UserError on a worker: no GPU."}),
        (ObjectStoreFullError("no\nroom"), {"halt": f"ObjectStoreFullError on a worker: {FULL}"}),
    ),
    ids=("diverged", "bug", "disk", "device", "store"),
)
def test_the_good_epochs_before_a_failure_are_in_the_same_report(
    error: Exception, end: dict[str, object]
) -> None:
    report = worker(failing(error)).step()
    assert epochs_in(report) == [1, 2, 3, 4]
    assert report["done"]
    assert report.items() >= end.items()


def test_a_report_has_the_whole_results_the_hardware_and_the_warnings() -> None:
    def begin(config: dict[str, Any]) -> Iterator[PartResult]:
        trial.hardware = "an abacus"  # known when the first step begins
        yield from plain(config)

    trial = worker(begin, rungs=(3,))
    trial.warnings.lines.append("a checkpoint is torn")
    report = trial.step()
    rows = json.loads(report["epochs"])
    assert [part for part, row in rows] == [0, 0, 0]
    assert [EpochResult.from_dict(row) for part, row in rows] == RESULTS[:3]
    assert report["hardware"] == "an abacus"
    assert report["warnings"] == ["a checkpoint is torn"]
    assert trial.step()["warnings"] == []
