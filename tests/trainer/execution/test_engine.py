"""Slots: what a trial's numbers may not depend on, and how trials enter and leave."""

import contextlib
import dataclasses
import gc
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from training import all_equal, all_numbers, digits_task, digits_trial, without_seconds

from trainer.execution import checkpoint, graphs
from trainer.execution.batch_steps import batch_sizes, evaluation_batch
from trainer.execution.engine import Engine
from trainer.execution.graphs import WARM_UP_STEPS, Queue, Step, captured, compiled
from trainer.execution.loop import TrainingError, train
from trainer.execution.slot import Slot
from trainer.models import build
from trainer.results import EpochResult
from trainer.trial import Trial

EPOCHS = 3


def trial(seed: int) -> Trial:
    """Return a trial whose seed and weights differ from those of every other seed."""
    like = digits_trial(EPOCHS, seed)
    weights = (1.0 + seed, *like.recipe.weights[1:])
    return Trial.weighted(like.benchmark, weights, seed, like.precision)


def alone(seed: int) -> list[EpochResult]:
    return list(train(trial(seed), digits_task()))


def engine(slots: int) -> Engine:
    return Engine(lambda: Slot(trial(0), digits_task()), slots)


def run(engine: Engine) -> dict[str, list[EpochResult | Exception]]:
    """Turn the engine until no trial is in it, or all are held."""
    outcomes: dict[str, list[EpochResult | Exception]] = {}
    while engine.jobs:
        turn = engine.turn()
        for key, outcome in turn.outcomes:
            outcomes.setdefault(key, []).append(outcome)
        if turn.held:
            break
    return outcomes


def same(outcomes: list[EpochResult | Exception], results: list[EpochResult]) -> bool:
    epochs = [outcome for outcome in outcomes if isinstance(outcome, EpochResult)]
    return without_seconds(epochs) == without_seconds(results)


def test_batches_cover_the_images_and_the_last_is_short() -> None:
    assert batch_sizes(10, 4) == [4, 4, 2]
    assert batch_sizes(8, 4) == [4, 4]
    assert batch_sizes(3, 4) == [3]
    assert [evaluation_batch(side) for side in (8, 64, 224, 5000)] == [500, 500, 40, 1]


def test_a_trial_among_others_equals_the_trial_alone_bit_for_bit() -> None:
    full = engine(3)
    for seed in (1, 2, 3):
        full.begin(str(seed), trial(seed), None, 1, EPOCHS)
    outcomes = run(full)
    assert full.jobs == {}
    assert len(full.free) == 3
    for seed in (1, 2, 3):
        assert same(outcomes[str(seed)], alone(seed))


def test_the_steps_of_trials_are_interleaved() -> None:
    full = engine(2)
    for seed in (1, 2):
        full.begin(str(seed), trial(seed), None, 1, EPOCHS)
    turns = [[key for key, _ in full.turn().outcomes] for _ in range(16)]
    assert turns.count(["1", "2"]) == 1  # both end their first epoch in the same turn


def test_a_reused_slot_trains_as_a_fresh_one_bit_for_bit() -> None:
    slot = Slot(trial(0), digits_task())
    list(train(trial(1), digits_task(), slot=slot))
    again = list(train(trial(2), digits_task(), slot=slot))
    fresh = Slot(trial(0), digits_task())
    results = list(train(trial(2), digits_task(), slot=fresh))
    assert without_seconds(again) == without_seconds(results)
    used, new = (all_numbers(s.network, s.optimizer) for s in (slot, fresh))
    assert all_equal(used, new)


def test_a_trial_that_joins_late_and_one_that_leaves_early_disturb_nobody() -> None:
    full = engine(2)
    full.begin("1", trial(1), None, 1, EPOCHS)
    full.begin("2", trial(2), None, 1, EPOCHS)
    early = [full.turn().outcomes for _ in range(20)]
    full.leave("2")
    assert len(full.free) == 1
    full.begin("3", trial(3), None, 1, EPOCHS)
    outcomes = run(full)
    first = [outcome for turn in early for key, outcome in turn if key == "1"]
    assert same([*first, *outcomes["1"]], alone(1))
    assert same(outcomes["3"], alone(3))
    assert "2" not in outcomes


def test_a_trial_resumes_in_another_slot_bit_for_bit(tmp_path: Path) -> None:
    full = engine(2)
    first = full.begin("1", trial(1), tmp_path, 1, until=2)
    run(full)
    full.leave("1")
    assert full.begin("1", trial(1), tmp_path, 1, EPOCHS) is not first
    outcomes = run(full)
    assert same(outcomes["1"], alone(1))


class Disk:
    """Lets checkpoints be written only when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.free = threading.Event(), threading.Event()
        self.save = checkpoint.save
        monkeypatch.setattr(checkpoint, "save", self.save_when_free)

    def save_when_free(self, *arguments: Any) -> None:
        self.asked.set()
        assert self.free.wait(60)
        self.save(*arguments)


def test_while_a_checkpoint_is_written_its_epoch_is_held_back_and_other_trials_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, full = Disk(monkeypatch), engine(2)
    full.begin("1", trial(1), tmp_path, 1, EPOCHS)
    full.begin("2", trial(2), None, 1, EPOCHS)
    outcomes: list[tuple[str, EpochResult | Exception]] = []
    while "2" in full.jobs or not disk.asked.is_set():
        outcomes += full.turn().outcomes
    assert [key for key, _ in outcomes] == ["2"] * EPOCHS
    disk.free.set()
    assert same(run(full)["1"], alone(1))


def test_what_is_written_is_the_state_of_then_whoever_is_in_the_slot_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, full = Disk(monkeypatch), engine(1)
    full.begin("1", trial(1), tmp_path, 1, EPOCHS)
    while not disk.asked.is_set():
        full.turn()
    full.leave("1")
    full.begin("2", trial(2), None, 1, EPOCHS)
    run(full)
    disk.free.set()
    while not checkpoint.saved_epochs(tmp_path):
        time.sleep(0.001)
    full.begin("1", trial(1), tmp_path, 1, EPOCHS)
    assert same(run(full)["1"], alone(1))


def test_a_checkpoint_that_cannot_be_written_ends_its_trial_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    full = engine(2)
    full.begin("1", trial(1), tmp_path / "file" / "checkpoints", 1, EPOCHS)
    full.begin("2", trial(2), None, 1, EPOCHS)
    outcomes = run(full)
    assert [str(error) for error in outcomes["1"]] == [
        f"{tmp_path}/file/checkpoints/epoch-00001.ckpt cannot be written (Not a directory); "
        "make room or use another folder."
    ]
    assert same(outcomes["2"], alone(2))


def test_a_divergence_in_one_slot_ends_that_trial_alone() -> None:
    full = engine(2)
    wild = Trial.weighted(trial(1).benchmark, (1e38, *trial(1).recipe.weights[1:]), 1, "fp32")
    full.begin("wild", wild, None, 1, EPOCHS)
    full.begin("2", trial(2), None, 1, EPOCHS)
    outcomes = run(full)
    assert isinstance(outcomes["wild"][-1], TrainingError)
    assert same(outcomes["2"], alone(2))
    full.begin("3", trial(3), None, 1, EPOCHS)
    full.begin("4", trial(4), None, 1, EPOCHS)
    outcomes = run(full)
    assert same(outcomes["3"], alone(3))
    assert same(outcomes["4"], alone(4))


def test_a_trial_is_held_after_the_epoch_it_is_allowed() -> None:
    full = engine(1)
    full.begin("1", trial(1), None, 1, until=2)
    outcomes = run(full)
    assert [x.epoch for x in outcomes["1"] if isinstance(x, EpochResult)] == [1, 2]
    assert full.turn().idle
    full.allow("1", EPOCHS)
    assert same([*outcomes["1"], *run(full)["1"]], alone(1))


def test_a_key_in_use_is_refused_and_no_slot_is_lost() -> None:
    full = engine(2)
    full.begin("1", trial(1), None, 1, EPOCHS)
    with pytest.raises(ValueError, match="trial '1' is in a slot already"):
        full.begin("1", trial(2), None, 1, EPOCHS)
    assert len(full.free) == 1


def test_no_more_trials_enter_than_there_are_slots() -> None:
    full = engine(1)
    full.begin("1", trial(1), None, 1, EPOCHS)
    with pytest.raises(IndexError):
        full.begin("2", trial(2), None, 1, EPOCHS)


def test_leaving_twice_changes_nothing() -> None:
    full = engine(1)
    full.begin("1", trial(1), None, 1, EPOCHS)
    full.leave("1")
    full.leave("1")
    assert len(full.free) == 1


def test_the_exported_state_has_the_counters_that_training_goes_without() -> None:
    slot = Slot(trial(1), digits_task())
    list(train(trial(1), digits_task(), slot=slot))
    network = slot.state()["network"]
    counters = [x for name, x in network.items() if name.endswith("num_batches_tracked")]
    assert {int(x) for x in counters} == {EPOCHS * len(slot.train_sizes)}
    build("resnet8", 1, 10, seed=0).load_state_dict(network)  # strict: nothing missing


def test_after_a_capture_that_fails_none_is_tried_again_and_one_warning_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def refused() -> None:
        tried.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "capturing", True)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", refused)
    ran: list[str] = []
    steps: dict[str, Step] = {n: partial(ran.append, n) for n in ("train 4", "test 4")}
    queue = Queue(torch.device("cpu"))
    for _ in range(2):
        assert captured(steps, queue, lambda: None) is steps
    assert len(tried) == len(caplog.messages) == 1
    assert "cannot be captured (operation not permitted" in caplog.text
    assert ran.count("test 4") == 2 * WARM_UP_STEPS, "what a step does first it has done"


@pytest.mark.parametrize("fails", (False, True))
def test_no_garbage_is_collected_while_a_step_is_captured(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def step() -> None:
        seen.append(gc.isenabled())
        if fails and len(seen) > WARM_UP_STEPS:
            raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "capturing", True)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=step))
    monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: contextlib.nullcontext())
    captured({"train 4": step}, Queue(torch.device("cpu")), lambda: None)
    assert seen == [*[True] * WARM_UP_STEPS, False]
    assert gc.isenabled()


def test_a_step_that_fails_before_its_capture_is_not_taken_for_a_failed_capture(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    with pytest.raises(RuntimeError, match="no kernel image"):
        captured({"train 4": fails}, Queue(torch.device("cpu")), lambda: None)
    assert caplog.text == ""


@pytest.mark.parametrize("reproducible", (True, False))
def test_a_compiled_step_is_as_reproducible_as_was_asked(
    reproducible: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(torch, "compile", lambda function, **options: seen.update(options))
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", reproducible)
    compiled(lambda size: None)
    assert seen == {"dynamic": False, "options": {"deterministic": reproducible}}


def test_a_step_is_compiled_for_every_size_of_many_benchmarks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compile_ = torch.compile

    def without_kernels(function: Any, **options: Any) -> Any:
        return compile_(function, dynamic=options["dynamic"], backend="eager")

    monkeypatch.setattr(torch, "compile", without_kernels)
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 8)
    step = compiled(lambda size: torch.zeros(size) + torch.compiler.is_compiling())
    assert all(step(size).all() for size in range(1, 10))


@pytest.mark.slow
def test_compiled_slots_share_their_code_and_agree_with_each_other_and_when_resumed(
    tmp_path: Path,
) -> None:
    compiled = dataclasses.replace(digits_trial(2, 1), compiled=True, diagnosed=True)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    full = Engine(lambda: Slot(compiled, digits_task()), 2)
    full.begin("1", compiled, None, 1, 2)
    whole = [x for x in run(full)["1"] if isinstance(x, EpochResult)]
    assert (losses := whole[-1].class_losses)
    assert losses.train
    assert min(x for x in losses.train if x is not None) > 0
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    other = dataclasses.replace(compiled, seed=2)
    full.begin("2", other, None, 1, 2)
    slot = full.begin("1", compiled, tmp_path, 1, until=1)
    first = run(full)["1"]
    full.leave("1")
    assert full.begin("1", compiled, tmp_path, 1, 2) is not slot
    assert same(first, whole[:1])
    assert same(run(full)["1"], whole)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs
