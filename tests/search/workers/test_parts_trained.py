"""Trials of several parts, on both kinds of workers: each part is trained as if alone."""

import dataclasses
import functools
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import torch
from searching import without_seconds
from training import DIGITS, FOREVER, threads

from search.workers.code_version import CodeVersion
from search.workers.engine_actor import EngineActor
from search.workers.schedule import parts_of
from search.workers.setup import WorkerSetup
from search.workers.trainable import TrialTrainable, load_task, save_parts, template_trial
from spaces import STRATEGIES, Logits, Recipe, Strategy, Variant
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.execution.loop import train
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.prepared import load, prepare
from trainer.results import EpochResult
from trainer.trial import Trial

FIRST = DIGITS.with_epochs(4)
SECOND = BENCHMARKS["resnet8-digitslt40"].with_epochs(6)
STAGES = [[2, 1], [3, 4], [4, 6]]
ORDER = [(0, 1), (0, 2), (1, 1), (0, 3), (1, 2), (1, 3), (1, 4), (0, 4), (1, 5), (1, 6)]
STAGE_ENDS = (3, 7, 10)
"""Of STAGES: parts and epochs in the order of training, and how many are behind each stage."""


def setup(place: Path, second: Benchmark = SECOND) -> WorkerSetup:
    benchmarks = (FIRST, second)
    (place / "run").mkdir(exist_ok=True)
    return WorkerSetup(
        benchmarks=benchmarks,
        images=tuple(partial(load, prepare(b, place / "data"), b) for b in benchmarks),
        run=place / "run",
        proof=place,
        code_version=CodeVersion.here(),
        precision="tf32",
        compiled=False,
        device="cpu",
        threads=1,
        save_every=2,
    )


def part(shared: WorkerSetup, seed: int, benchmark: int, known: int = 0) -> dict[str, Any]:
    return {
        "benchmark": benchmark,
        "recipe": Recipe((1,) * 10, weights(seed, benchmark)).to_dict(),
        "checkpoints": str(shared.run / f"trial-{seed}.{benchmark}"),
        "known_epochs": known,
    }


def weights(seed: int, benchmark: int) -> tuple[float, ...]:
    return (1.0 + seed, 1.0 + benchmark, *[1.0] * 8)


def config(shared: WorkerSetup, seed: int, known: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    parts = [part(shared, seed, benchmark, epochs) for benchmark, epochs in enumerate(known)]
    return {"key": f"trial-{seed}", "seed": seed, "parts": parts, "stages": STAGES}


class Direct:
    """A worker that trains by itself."""

    def __init__(self, shared: WorkerSetup) -> None:
        self.trainable = TrialTrainable.__new__(TrialTrainable)
        self.begin: Callable[[dict[str, Any]], object] = functools.partial(self.first, shared)

    def first(self, shared: WorkerSetup, trial: dict[str, Any]) -> None:
        self.trainable.setup(trial, shared)
        self.begin = self.trainable.reset_config

    def report(self) -> dict[str, Any]:
        return self.trainable.step()


class InEngine:
    """A proxy of an engine with a single place, called as Ray Tune calls it."""

    def __init__(self, shared: WorkerSetup) -> None:
        self.engine = EngineActor(shared, gpu="", slots=1, deserted_seconds=FOREVER)
        self.key = ""

    def begin(self, trial: dict[str, Any]) -> None:
        self.engine.leave(self.key)
        self.key = trial["key"]
        self.engine.begin(trial)

    def report(self) -> dict[str, Any]:
        return self.engine.report(self.key)

    def free(self) -> list[int]:
        """Return the number of free slots of each benchmark."""
        told: SimpleQueue[list[int]] = SimpleQueue()
        self.engine.commands.put(lambda engines: told.put([len(e.free) for e in engines]))
        return told.get(timeout=60)


MakeWorker = Callable[[WorkerSetup], Direct | InEngine]


@pytest.fixture(params=(Direct, InEngine), ids=("direct", "engine"))
def worker(request: pytest.FixtureRequest) -> Iterator[MakeWorker]:
    """Both kinds of workers."""
    with threads(1):
        yield request.param
    logging.getLogger("trainer").handlers.clear()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, reports come at the ends of stages."""
    monkeypatch.setattr("search.workers.reports.REPORT_SECONDS", 1e9)


def epochs_in(report: dict[str, Any]) -> list[tuple[int, EpochResult]]:
    return [(part, EpochResult.from_dict(row)) for part, row in json.loads(report["epochs"])]


def to_the_end(worker: Direct | InEngine) -> list[list[tuple[int, EpochResult]]]:
    """Return what each report of a trial holds, up to its last."""
    reports = []
    while True:
        report = worker.report()
        assert "failure" not in report, report["traceback"] or report["failure"]
        assert "halt" not in report, report["halt"]
        reports.append(epochs_in(report))
        if report["done"]:
            return reports


@functools.cache
def alone(benchmark: Benchmark, index: int, seed: int) -> list[dict[str, object]]:
    """Return the epochs of a part, trained by itself; but for their seconds."""
    with tempfile.TemporaryDirectory() as place:
        data = load(prepare(benchmark, Path(place)), benchmark)
    task = Task(data, benchmark.padding, torch.device("cpu"))
    trial = Trial.weighted(benchmark, weights(seed, index), seed)
    return without_seconds(list(train(trial, task)))


def is_alone(
    results: list[tuple[int, EpochResult]], shared: WorkerSetup, seed: int, skipped: int = 0
) -> bool:
    """Whether these are the epochs of ``ORDER`` but for the first ones, as each part has alone."""
    parts = [alone(benchmark, i, seed) for i, benchmark in enumerate(shared.benchmarks)]
    trained = [(part, *without_seconds([result])) for part, result in results]
    return trained == [(part, parts[part][epoch - 1]) for part, epoch in ORDER[skipped:]]


def test_each_part_is_trained_as_if_alone_and_reported_stage_by_stage(
    worker: MakeWorker, tmp_path: Path
) -> None:
    shared = setup(tmp_path)
    made = worker(shared)
    made.begin(config(shared, 1))
    reports = to_the_end(made)
    assert [[(part, result.epoch) for part, result in report] for report in reports] == [
        ORDER[:3],
        ORDER[3:7],
        ORDER[7:],
    ]
    assert is_alone(list(chain.from_iterable(reports)), shared, seed=1)


def test_a_trial_that_is_stopped_at_a_stage_leaves_no_trace_in_the_next(
    worker: MakeWorker, tmp_path: Path
) -> None:
    shared = setup(tmp_path)
    made = worker(shared)
    made.begin(config(shared, 1))
    made.report()
    slots = list(made.trainable.slots.values()) if isinstance(made, Direct) else []
    made.begin(config(shared, 2))
    assert is_alone(list(chain.from_iterable(to_the_end(made))), shared, seed=2)
    if isinstance(made, Direct):
        assert list(made.trainable.slots.values()) == slots


@pytest.mark.parametrize("recorded", (1, 4, 6, 8))
def test_a_trial_goes_on_from_what_is_recorded(
    recorded: int, worker: MakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = setup(tmp_path)
    before, after = worker(shared), worker(shared)
    before.begin(config(shared, 1))
    with monkeypatch.context() as hasty:
        hasty.setattr("search.workers.reports.REPORT_SECONDS", 0.0)
        told: list[tuple[int, EpochResult]] = []
        while len(told) < recorded:  # a report of each batch and of each epoch
            told += epochs_in(before.report())
    assert [(part, result.epoch) for part, result in told] == ORDER[:recorded]
    parts = [part for part, _ in told]
    after.begin(config(shared, 1, known=(parts.count(0), parts.count(1))))
    reports = to_the_end(after)
    assert len(reports) == sum(end > recorded for end in STAGE_ENDS)
    assert is_alone(list(chain.from_iterable(reports)), shared, seed=1, skipped=recorded)


def test_a_trial_need_not_train_every_benchmark(worker: MakeWorker, tmp_path: Path) -> None:
    shared = setup(tmp_path)
    made = worker(shared)
    only = part(shared, 1, benchmark=1)
    made.begin({"key": "trial-1", "seed": 1, "parts": [only], "stages": [[2], [6]]})
    first, second = to_the_end(made)
    assert [number for number, _ in first + second] == [0] * 6
    results = [result for _, result in first + second]
    assert without_seconds(results) == alone(shared.benchmarks[1], 1, seed=1)
    if isinstance(made, Direct):
        assert made.trainable.slots.keys() == {1}


def test_a_part_that_diverges_ends_the_trial_and_the_next_one_is_sound(
    worker: MakeWorker, tmp_path: Path
) -> None:
    shared = setup(tmp_path, dataclasses.replace(SECOND, learning_rate=1e30))
    made = worker(shared)
    made.begin(config(shared, 1))
    report = made.report()
    assert [(part, result.epoch) for part, result in epochs_in(report)] == ORDER[:2]
    assert report["failure"].startswith("epoch 1: ")
    assert (report["diverged"], report["done"]) == (True, True)
    if isinstance(made, InEngine):
        assert made.free() == [1, 1]
    made.begin(config(shared, 2))
    again = epochs_in(made.report())
    assert [(part, result.epoch) for part, result in again] == ORDER[:2]


def test_a_part_that_fails_in_the_code_is_no_divergence(
    worker: MakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = setup(tmp_path)
    broken = f"{__name__} broke"

    def breaking(*_: object) -> None:
        raise ZeroDivisionError(broken)

    monkeypatch.setattr("trainer.execution.checkpoint.save", breaking)
    made = worker(shared)
    made.begin(config(shared, 1))
    report = made.report()
    assert report["failure"] == f"ZeroDivisionError: {broken}"
    assert report["diverged"] is False
    assert broken in report["traceback"]


def test_a_part_whose_slot_no_trial_has_entered_yet_has_nothing_to_save(tmp_path: Path) -> None:
    shared = setup(tmp_path)
    device = torch.device("cpu")
    slot = Slot(template_trial(shared, 1), load_task(shared, 1, device))
    save_parts(parts_of(config(shared, 1), shared), {1: slot})
    assert list((tmp_path / "run").iterdir()) == []


def test_a_slot_trains_strategies_and_class_weights_in_turn(
    worker: MakeWorker, tmp_path: Path
) -> None:
    variants = (Variant(), Variant(loss="general"))
    shared = dataclasses.replace(setup(tmp_path), variants=variants)
    made = worker(shared)
    benchmark, data = shared.benchmarks[0], shared.images[0]()
    task = Task(data, benchmark.padding, torch.device("cpu"))
    strategy = Strategy(STRATEGIES["drw"].strategy.weights, logits=Logits(additive=1))
    for seed, one in enumerate((strategy, Strategy())):
        recipe = one.recipe(data.counts)
        told = part(shared, seed, benchmark=0) | {
            "recipe": json.loads(json.dumps(recipe.to_dict()))
        }
        made.begin({"key": f"trial-{seed}", "seed": seed, "parts": [told], "stages": [[4]]})
        (results,) = to_the_end(made)
        alone_too = list(train(Trial(benchmark, recipe, seed), task))
        assert without_seconds([r for _, r in results]) == without_seconds(alone_too)
