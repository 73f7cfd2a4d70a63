"""Streamed trainings: bit for bit those of images on the device, whatever a strategy reads."""

import dataclasses
from pathlib import Path

import pytest
import torch
from images import few_digits, on_disk
from training import CPU, DIGITS, without_seconds

from spaces import STRATEGIES, Strategy
from spaces.parts.auxiliary import Auxiliary
from spaces.parts.mixing import Mixing
from trainer.errors import DataError
from trainer.execution.engine import Engine
from trainer.execution.loop import epochs, train
from trainer.execution.slot import Progress, Slot
from trainer.execution.task import Task
from trainer.results import EpochResult
from trainer.streaming.buffered_task import COPIES, BufferedTask
from trainer.trial import Trial

NAMES = (
    *("ce", "cb_sampling", "curriculum_easy", "feedback_weights", "crt"),
    *("two_branch", "cmo"),
)
CASES = {name: STRATEGIES[name].strategy for name in NAMES} | {
    "three streams": Strategy(mixing=Mixing(0.5), auxiliary=Auxiliary("rotation"))
}


def trial_of(strategy: Strategy, seed: int = 3) -> Trial:
    recipe = strategy.recipe(few_digits().counts)
    return Trial(DIGITS.with_epochs(2), recipe, seed, "fp32", diagnosed=True)


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return Task(on_disk(few_digits(), tmp_path_factory.mktemp("stored")), DIGITS.padding, CPU)


def results(task: Task, trial: Trial) -> list[dict[str, object]]:
    return without_seconds(list(train(trial, task, slot=Slot(trial, task))))


@pytest.mark.parametrize("name", CASES)
def test_every_strategy_has_the_same_numbers_from_disk(name: str, streamed: Task) -> None:
    trial, whole = trial_of(CASES[name]), Task(few_digits(), DIGITS.padding, CPU)
    assert results(streamed, trial) == results(whole, trial)


def test_images_that_a_gpu_cannot_hold_come_from_the_memory_of_its_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial, whole = trial_of(CASES["cmo"]), Task(few_digits(), DIGITS.padding, CPU)
    monkeypatch.setattr(Task, "streams", lambda task, data: True)
    assert results(Task(few_digits(), DIGITS.padding, CPU), trial) == results(whole, trial)


def test_test_images_are_put_on_a_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[torch.Tensor] = []
    here = Task.here
    monkeypatch.setattr(Task, "here", lambda task, array: put.append(here(task, array)) or put[-1])
    task = Task(few_digits(), DIGITS.padding, CPU)
    assert any(tensor is task.test_pixels for tensor in put)
    assert task.test_pixels.is_contiguous()


@pytest.mark.parametrize("batches", (1, 2))
def test_a_streamed_trial_goes_on_from_within_an_epoch(batches: int, streamed: Task) -> None:
    trial = trial_of(CASES["cmo"])
    before, after = Slot(trial, streamed), Slot(trial, streamed)
    whole, number = [], 0
    for item in epochs(before, trial, None, 1):
        if isinstance(item, EpochResult):
            whole.append(item)
        number += item is Progress.QUEUED
        if number == len(before.sequence) + batches and item is Progress.QUEUED:
            state = before.state()
    after.enter(trial)
    after.restore(state)
    for _ in after.epoch(2, whole[1].learning_rate):
        pass
    assert [float(x) for x in after.outcome()[:2]] == [whole[1].train_loss, whole[1].test_loss]


def test_trials_side_by_side_have_buffers_of_their_own(streamed: Task) -> None:
    trials = [trial_of(CASES["ce"], seed) for seed in (3, 4)]
    engine = Engine(lambda: Slot(trials[0], streamed), 2)
    tasks = [slot.task for slot in engine.free]
    assert all(isinstance(task, BufferedTask) for task in tasks)
    found: dict[int, list[EpochResult]] = {0: [], 1: []}
    for key, trial in enumerate(trials):
        engine.begin(key, trial, None, 1, until=2)
    while engine.jobs:
        for key, outcome in engine.turn().outcomes:
            found[key].append(outcome)
    assert [without_seconds(found[key]) for key in (0, 1)] == [
        results(streamed, trial) for trial in trials
    ]


class Copy:
    """A mark behind a batch's copy to a GPU, which is done when a test says so."""

    done = False

    def query(self) -> bool:
        return self.done


def test_batches_wait_on_the_host_for_a_gpu_that_is_behind(
    streamed: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[Copy] = []

    class Stream:
        def record_event(self) -> Copy:
            copies.append(Copy())
            return copies[-1]

    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: Stream())
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    trial = trial_of(CASES["ce"])
    trial = dataclasses.replace(trial, benchmark=dataclasses.replace(trial.benchmark, batch_size=8))
    slot = Slot(trial, streamed)
    assert isinstance(slot.task, BufferedTask)
    slot.task.pinned = True
    work = epochs(slot, trial, None, 1)
    for done in (0, 1):  # of the copies
        for copy in copies[:done]:
            copy.done = True
        while len(copies) < COPIES + done or not slot.task.reading.is_ready():
            assert isinstance(next(work), Progress)
        assert [next(work) for _ in range(3)] == [Progress.WAITING] * 3
        assert len(copies) == COPIES + done


def test_a_damaged_image_ends_the_training_with_a_sentence(tmp_path: Path) -> None:
    data = on_disk(few_digits(), tmp_path)
    path = tmp_path / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    task = Task(data, DIGITS.padding, CPU)
    with pytest.raises(DataError, match=r"images\.npy is damaged: delete the folder .* run again"):
        results(task, trial_of(CASES["ce"]))
