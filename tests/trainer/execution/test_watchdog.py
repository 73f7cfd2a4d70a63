"""A process whose GPU hangs is ended, and no other: shown with marks that a test reaches."""

import contextlib
import io
import os
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engines import setup
from training import CPU, FOREVER

from search.workers import engine_actor
from search.workers.engine_actor import EngineActor
from trainer import cli
from trainer.execution import watchdog
from trainer.execution.graphs import Queue
from trainer.execution.loop import advance
from trainer.execution.slot import Progress
from trainer.execution.watchdog import LOOKS, keep_watch, watch


class Ended(BaseException):
    pass


class Event:
    """A mark that is reached when a test says so."""

    done = False

    def record(self, stream: object) -> None:
        pass

    def query(self) -> bool:
        return self.done


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    made = Queue(CPU)
    made.stream = object()  # type: ignore[assignment]
    return made


def looks(queue: Queue, number: int, monkeypatch: pytest.MonkeyPatch, reach: int = 0) -> str:
    """Let the watchdog look so often, a mark being reached in every ``reach``-th, and say its end.

    It is "ended" if it ended the process, else "watches".
    """
    seen = 0

    def sleep(seconds: float) -> None:
        nonlocal seen
        seen += 1
        if seen > number:
            raise Ended("watches")
        if reach and seen % reach == 0:
            queue.marks[0].done = True  # type: ignore[attr-defined]
            queue.mark()

    def end(code: int) -> None:
        raise Ended("ended" if code == 1 else code)

    monkeypatch.setattr("trainer.execution.watchdog.time.sleep", sleep)
    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(Ended) as stop:
        keep_watch([queue, Queue(CPU)], "NVIDIA H100")
    return str(stop.value)


def test_a_gpu_that_reaches_no_mark_ends_the_process_with_a_sentence(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    queue.mark()
    assert looks(queue, LOOKS, monkeypatch) == "watches"
    assert looks(queue, LOOKS + 1, monkeypatch) == "ended"
    error = capsys.readouterr().err
    assert error.startswith("error: NVIDIA H100 has done none of its work for 120 s; this process")
    assert error.count("\n") == 1


def test_a_gpu_that_hangs_or_fails_ends_a_process_to_which_nobody_listens_too(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    def fail() -> None:
        raise RuntimeError("CUDA error")

    engine = EngineActor.__new__(EngineActor)
    monkeypatch.setattr(engine, "engines_or_refusal", fail)
    queue.mark()
    with contextlib.redirect_stderr(Closed()):
        assert looks(queue, LOOKS + 1, monkeypatch) == "ended"
        with pytest.raises(Ended, match="ended"):
            engine.work()


def test_a_gpu_that_is_slow_or_has_nothing_to_do_is_left_alone(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert looks(queue, 5 * LOOKS, monkeypatch) == "watches"
    queue.mark()
    assert looks(queue, 5 * LOOKS, monkeypatch, reach=LOOKS - 1) == "watches"


def test_marks_are_reached_in_their_order(queue: Queue) -> None:
    for _ in range(3):
        queue.mark()
    second: Any = queue.marks[1]
    second.done = True
    assert (queue.reached(), queue.answers, len(queue.marks)) == (False, 0, 3)
    for event in list(queue.marks):
        event.done = True  # type: ignore[attr-defined]
    assert (queue.reached(), queue.answers, len(queue.marks)) == (True, 3, 0)


def test_a_gpu_that_is_done_is_not_blamed_for_a_disk_that_hangs(queue: Queue) -> None:
    queue.mark()
    queue.marks[0].done = True  # type: ignore[attr-defined]
    slot = SimpleNamespace(queue=queue)
    reading = iter([Progress.WAITING])
    assert advance(slot, reading) is Progress.WAITING  # type: ignore[arg-type]
    assert (queue.answers, len(queue.marks)) == (1, 0)


def test_every_slot_of_an_engine_and_that_of_a_single_training_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[list[Queue]] = []
    for module in (engine_actor, cli):
        monkeypatch.setattr(module, "watch", lambda queues, _: watched.append(list(queues)))
    engine = EngineActor(setup(tmp_path), gpu="", slots=2, deserted_seconds=FOREVER)
    assert engine.ready.wait(60)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--benchmark", "resnet8-digitslt", "--epochs", "1", "--threads", "1"]) == 0
    assert [len(queues) for queues in watched] == [2, 1]


def test_a_gpu_is_watched_in_another_thread_and_the_cpu_is_not(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: SimpleQueue[list[Queue]] = SimpleQueue()
    monkeypatch.setattr(watchdog, "keep_watch", lambda queues, _: watched.put(queues))
    watch([Queue(CPU)], "AMD EPYC")
    watch([Queue(CPU), queue], "NVIDIA H100")
    assert watched.get(timeout=60) == [queue]
