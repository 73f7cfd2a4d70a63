"""The engine behind Ray Tune: what proxies are told, without Ray."""

import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import torch
from engines import BENCHMARK, EPOCHS, config, epochs_in, setup, weights_of
from ray.exceptions import ObjectStoreFullError
from searching import without_seconds
from training import FOREVER, digits_data, threads

from search.store.run_folder import RunFolder
from search.workers import engine_actor, reports
from search.workers.engine_actor import Client, EngineActor, EvictedError
from search.workers.schedule import legs_of, parts_of
from trainer.execution.checkpoint import checkpoint_path, saved_epochs
from trainer.execution.engine import Engine, Turn
from trainer.execution.loop import train
from trainer.execution.task import Task
from trainer.trial import Trial


def alone(seed: int) -> list[dict[str, object]]:
    trial = Trial.weighted(BENCHMARK, weights_of(seed), seed)
    task = Task(digits_data(), BENCHMARK.padding, torch.device("cpu"))
    with threads(1):
        return without_seconds(list(train(trial, task)))


@pytest.fixture
def engine(tmp_path: Path) -> EngineActor:
    return EngineActor(setup(tmp_path), gpu="", slots=2, deserted_seconds=FOREVER)


def test_trials_in_one_engine_report_what_they_would_alone(engine: EngineActor) -> None:
    for seed in (1, 2):
        engine.begin(config(engine.setup, seed))
    first = {seed: engine.report(f"trial-{seed}") for seed in (1, 2)}
    second = {seed: engine.report(f"trial-{seed}") for seed in (1, 2)}
    for seed in (1, 2):
        assert epochs_in(first[seed]) == alone(seed)[:2]  # up to the rung
        assert epochs_in(second[seed]) == alone(seed)[2:]
        assert (first[seed]["done"], second[seed]["done"]) == (False, True)
        assert first[seed]["hardware"]


def test_a_stopped_trial_makes_room_and_its_checkpoint_goes_on(engine: EngineActor) -> None:
    engine.begin(config(engine.setup, 1))
    engine.begin(config(engine.setup, 2))
    engine.report("trial-1")
    engine.leave("trial-1")
    engine.begin(config(engine.setup, 3))
    assert epochs_in(engine.report("trial-3")) == alone(3)[:2]
    engine.leave("trial-2")
    engine.begin(config(engine.setup, 1, known=2))
    assert epochs_in(engine.report("trial-1")) == alone(1)[2:]


def test_a_trial_that_begins_again_where_it_was_goes_on(engine: EngineActor) -> None:
    engine.begin(config(engine.setup, 1))
    engine.report("trial-1")
    engine.begin(config(engine.setup, 1, known=2))
    assert epochs_in(engine.report("trial-1")) == alone(1)[2:]


def test_a_trial_is_saved_within_an_epoch_and_goes_on_from_there(
    engine: EngineActor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(reports, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(engine_actor, "LOOK_SECONDS", 0.01)
    engine.setup = replace(engine.setup, save_every=EPOCHS)
    engine.begin(config(engine.setup, 1))
    told = engine.report("trial-1")
    while not (told["within"] and told["within"][1]):  # the first batch may take a while
        assert not epochs_in(told)
        told = engine.report("trial-1")
    engine.save_now("trial-1")
    engine.leave("trial-1")
    folder = RunFolder(tmp_path / "run").checkpoint_folder("trial-1")
    assert saved_epochs(folder) == [checkpoint_path(folder, 0)]
    monkeypatch.undo()
    engine.begin(config(engine.setup, 1))
    assert epochs_in(engine.report("trial-1")) == alone(1)[:2]
    engine.save_now("unknown")


def test_a_forgotten_trial_makes_room(engine: EngineActor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_actor, "FORGOTTEN_SECONDS", 0.0)
    for seed in (1, 2, 3):
        engine.begin(config(engine.setup, seed))
    assert set(engine.clients) == {"trial-2", "trial-3"}
    with pytest.raises(EvictedError, match="trial-1"):
        engine.report("trial-1")
    assert epochs_in(engine.report("trial-3")) == alone(3)[:2]


class Interleaved(SimpleQueue[Any]):
    """The outcomes of a trial: while it leaves, another one begins on another thread."""

    def __init__(self, begin: threading.Thread) -> None:
        self.begin = begin

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self.begin.start()
        self.begin.join(0.3)


def test_a_trial_that_takes_the_place_of_another_enters_after_that_one_has_left(
    engine: EngineActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, free = Engine.begin, []

    def watched(self: Engine, *arguments: Any) -> Any:
        free.append(len(self.free))
        return begin(self, *arguments) if self.free else None

    monkeypatch.setattr(Engine, "turn", lambda self: Turn([], idle=True, held=True))
    for seed in (1, 2):
        engine.begin(config(engine.setup, seed))
    engine.save_now("trial-2")  # both have entered
    monkeypatch.setattr(Engine, "begin", watched)
    third = threading.Thread(target=engine.begin, args=(config(engine.setup, 3),))
    engine.clients["trial-1"].outcomes = Interleaved(third)
    engine.leave("trial-1")
    third.join()
    engine.save_now("trial-3")
    assert free == [1]


def test_a_trial_that_waited_is_seen_as_it_enters_and_takes_the_place_of_its_former_stay(
    engine: EngineActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, free, told = Engine.begin, [], config(engine.setup, 1)

    def watched(self: Engine, *arguments: Any) -> Any:
        free.append(len(self.free))
        return begin(self, *arguments) if self.free else None

    monkeypatch.setattr(Engine, "begin", watched)
    monkeypatch.setattr(Engine, "turn", lambda self: Turn([], idle=True, held=True))
    for _ in range(2):  # of two proxies, one of which was lost as it waited
        waited = Client(parts_of(told, engine.setup), legs_of(told))
        waited.seen -= 2 * engine_actor.FORGOTTEN_SECONDS
        assert engine.admit("trial-1", waited)
        assert not waited.is_forgotten()
    engine.begin(config(engine.setup, 2))
    engine.save_now("trial-2")
    assert free == [2, 2, 1]


def test_a_trial_that_leaves_while_it_is_waited_for_ends_the_wait(
    engine: EngineActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "turn", held_until_it_left(engine))
    engine.begin(config(engine.setup, 1))
    with pytest.raises(EvictedError, match="trial-1"):
        engine.report("trial-1")


def held_until_it_left(engine: EngineActor) -> Any:
    turn = Engine.turn

    def turned(self: Engine) -> Any:
        client = engine.clients.get("trial-1")
        if client and client.calls:
            engine.leave("trial-1")
        return turn(self)

    return turned


def test_while_every_trial_is_held_the_engine_takes_no_processor_time(
    engine: EngineActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.begin(config(engine.setup, 1))
    engine.report("trial-1")  # up to the rung
    turn, turns = Engine.turn, []

    def counted(self: Engine) -> Any:
        turns.append(self)
        return turn(self)

    monkeypatch.setattr(Engine, "turn", counted)
    time.sleep(0.1)
    assert len(turns) <= 2  # those that were due
    assert epochs_in(engine.report("trial-1")) == alone(1)[2:]


def test_an_absent_device_stops_the_search_with_a_sentence(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    shared = setup(tmp_path, device="cuda")
    engine = EngineActor(shared, gpu="0", slots=2, deserted_seconds=FOREVER)
    for seed in (1, 2):
        engine.begin(config(engine.setup, seed))
        report = engine.report(f"trial-{seed}")
        assert "torch sees 0 CUDA devices" in report["halt"]
        assert report["done"]


@pytest.mark.parametrize(
    ("where", "error", "sentence"),
    (
        ("Slot", torch.OutOfMemoryError("out"), "does not hold --slots 2 of resnet8-digitslt; "),
        ("load_task", torch.OutOfMemoryError("out"), "does not hold --slots 2 of resnet8-digitslt"),
        ("Slot", RuntimeError("no C++"), r"resnet8-digitslt \(RuntimeError: no C\+\+\); try"),
        ("Slot", Exception("out of resource"), r"cannot train resnet8-digitslt \(Exception: out"),
        (
            "load_task",
            ObjectStoreFullError("no room"),
            "^ObjectStoreFullError on a worker: no room",
        ),
        ("device_name", RuntimeError("old driver"), r"GPU of worker .* \(RuntimeError: old driver"),
    ),
)
def test_engines_that_cannot_be_made_stop_the_search_with_a_sentence(
    where: str, error: Exception, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        time.sleep(0.2)
        raise error

    monkeypatch.setattr(engine_actor, where, refused)
    engine = EngineActor(setup(tmp_path), gpu="", slots=2, deserted_seconds=FOREVER)
    engine.begin(config(engine.setup, 1))
    save = threading.Thread(target=engine.save_now, args=("trial-1",), daemon=True)
    save.start()
    assert re.search(sentence, engine.report("trial-1")["halt"])
    save.join(5)
    assert not save.is_alive()


FAILING_GPU = """
import sys
import time
from functools import partial
from pathlib import Path
import torch
from repository import REPOSITORY
from engines import config, setup
from trainer.execution.batch_steps import BatchSteps
from search.workers.engine_actor import EngineActor

def failing(self, head, size):
    raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

BatchSteps.test_batch = failing
engine = EngineActor(setup(Path(sys.argv[1])), gpu="", slots=2)
engine.begin(config(engine.setup, 1))
engine.report("trial-1")
"""


DESERTED = """
import sys, time
from pathlib import Path
from engines import config, setup
from search.workers.engine_actor import EngineActor

engine = EngineActor(setup(Path(sys.argv[1])), gpu="", slots=2, deserted_seconds=0.5)
engine.begin(config(engine.setup, 1))
engine.report("trial-1")
time.sleep(2)
print("a held trial keeps it", flush=True)
engine.leave("trial-1")
time.sleep(20)
print("still there")
"""


def run_program(program: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, str(place)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_engine_without_trials_ends_so_that_its_machine_can_go(tmp_path: Path) -> None:
    done = run_program(DESERTED, tmp_path)
    assert (done.returncode, done.stdout) == (0, "a held trial keeps it\n"), done.stderr


def test_a_gpu_that_fails_ends_the_process(tmp_path: Path) -> None:
    done = run_program(FAILING_GPU, tmp_path)
    assert done.returncode == 1
    assert "illegal memory access" in done.stderr
