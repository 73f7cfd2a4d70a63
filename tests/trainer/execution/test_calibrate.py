"""How many trials share a device: doubled while that pays."""

import time

import pytest
import torch
from training import CPU, digits_task, digits_trial

from trainer.execution import calibrate
from trainer.execution.calibrate import best_slots, images_per_second
from trainer.execution.engine import Engine, Turn
from trainer.execution.loop import NAP_SECONDS
from trainer.execution.slot import Slot


def make_slot() -> Slot:
    return Slot(digits_trial(), digits_task())


def speeds(
    monkeypatch: pytest.MonkeyPatch, measured: dict[int, float], most: int
) -> dict[int, float]:
    """Return what is found where so many slots have these speeds."""

    def speed(engine: Engine, slots: int) -> float:
        assert len(engine.free) == slots
        return measured[slots]

    monkeypatch.setattr(calibrate, "images_per_second", speed)
    return calibrate.calibrate(make_slot, most, CPU)


def test_slots_are_doubled_until_a_doubling_gains_little(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {1: 100.0, 2: 190.0, 4: 195.0, 8: 900.0}
    assert speeds(monkeypatch, measured, most=8) == {1: 100.0, 2: 190.0, 4: 195.0}


def test_no_more_slots_are_tried_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert speeds(monkeypatch, {1: 1.0, 2: 2.0, 4: 4.0}, most=3) == {1: 1.0, 2: 2.0}


@pytest.mark.parametrize("trained", (False, True))
def test_the_end_of_the_memory_ends_the_doubling(
    trained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def make() -> Slot:
        if len(made) == 3 and not trained:
            raise torch.OutOfMemoryError("CUDA out of memory")
        made.append(make_slot())
        return made[-1]

    def speed(engine: Engine, slots: int) -> float:
        if slots == 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return float(slots)

    monkeypatch.setattr(calibrate, "images_per_second", speed)
    assert calibrate.calibrate(make, 8, CPU) == {1: 1.0, 2: 2.0}


@pytest.mark.parametrize(
    ("images", "of_slot", "engines", "slots"),
    ((0, 10, 1, 8), (0, 11, 1, 4), (0, 5, 2, 8), (0, 6, 2, 4), (40, 5, 1, 8), (40, 6, 1, 4)),
)
def test_slots_are_doubled_while_every_engine_has_room_for_them_beside_its_images(
    images: int, of_slot: int, engines: int, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Slot] = []

    def make() -> Slot:
        made.append(make_slot())
        return made[-1]

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: images + of_slot * len(made))
    monkeypatch.setattr(calibrate, "images_per_second", lambda _, slots: float(slots))
    found = calibrate.calibrate(make, 16, torch.device("cuda", 0), engines)
    assert max(found) == slots


@pytest.mark.parametrize(
    ("measured", "slots"),
    (({1: 100.0}, 1), ({1: 100.0, 2: 190.0, 4: 195.0}, 2), ({1: 100.0, 2: 103.0}, 1)),
)
def test_the_fewest_slots_within_five_percent_are_best(
    measured: dict[int, float], slots: int
) -> None:
    assert best_slots(measured) == slots


def test_the_speed_is_of_all_slots_together_and_leaves_them_free() -> None:
    engine = Engine(make_slot, 2)
    assert images_per_second(engine, 2) > 0
    assert engine.jobs == {}
    assert len(engine.free) == 2


def test_an_engine_that_waits_leaves_the_interpreter_to_the_threads_that_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn, naps = Engine.turn, []
    waits = iter([Turn([], idle=True, held=False)] * 3)
    monkeypatch.setattr(Engine, "turn", lambda engine: next(waits, None) or turn(engine))
    monkeypatch.setattr(time, "sleep", naps.append)
    images_per_second(Engine(make_slot, 1), 1)
    assert naps == [NAP_SECONDS] * 3
