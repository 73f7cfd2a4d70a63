"""The number of trials that share a device is found by training on it, for seconds."""

import time
from collections.abc import Callable

import torch

from trainer.execution.engine import Engine
from trainer.execution.loop import NAP_SECONDS
from trainer.execution.slot import Slot

MOST_SLOTS = 32
"""Where a calibration ends at the latest; most GPUs are full long before."""
LEAST_EPOCHS = 3
"""That the benchmark of a slot must have to be measured."""
GAIN = 1.05
"""Twice as many trials must train at least so many times as many images per second."""
MEMORY_SHARE = 0.85
"""Of a GPU's memory that slots may take: the rest is for libraries and fragmentation."""


def epoch_of_each(engine: Engine, number: int) -> float:
    """Let every trial of the engine train and test epoch ``number``; return the seconds taken."""
    start = time.perf_counter()
    for key in engine.jobs:
        engine.allow(key, number)
    waiting = set(engine.jobs)
    while waiting:
        turn = engine.turn()
        for key, outcome in turn.outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            waiting.remove(key)
        if turn.idle:  # threads that read images need the interpreter
            time.sleep(NAP_SECONDS)
    return time.perf_counter() - start


def images_per_second(engine: Engine, slots: int) -> float:
    """Return the training images per second of all slots together, evaluation included.

    The second of two epochs is measured; the slots' benchmark has ``LEAST_EPOCHS`` or more.
    """
    for key in range(slots):
        engine.begin(key, engine.free[0].like, None, 1, until=1)
    images = sum(job.slot.task.images for job in engine.jobs.values())
    epoch_of_each(engine, 1)
    seconds = epoch_of_each(engine, 2)
    for key in range(slots):
        engine.leave(key)
    return images / seconds


def calibrate(
    make_slot: Callable[[], Slot], most: int, device: torch.device, engines: int = 1
) -> dict[int, float]:
    """Return the images per second by number of slots, which is doubled while that pays.

    It ends at ``most`` slots, where a doubling gains less than 5 %, or where the memory ends, of
    which as many ``engines`` with as many slots each are to have equal parts. The images that the
    slots share are on the ``device`` already.
    """
    shared = memory_taken(device)
    engine = Engine(make_slot, 1)
    speeds = {1: images_per_second(engine, 1)}
    slots = 1
    while 2 * slots <= most and has_room(device, shared, engines):
        try:
            engine.free += [make_slot() for _ in range(slots)]
            speeds[2 * slots] = images_per_second(engine, 2 * slots)
        except torch.OutOfMemoryError:
            break
        slots *= 2
        if speeds[slots] < GAIN * speeds[slots // 2]:
            break
    return speeds


def memory_taken(device: torch.device) -> int:
    """Return the bytes of a GPU that this process holds."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else 0


def has_room(device: torch.device, shared: int, engines: int) -> bool:
    """Return whether a GPU that holds some slots has memory for twice as many in each engine.

    Of what is taken, bytes ``shared`` by an engine's slots stay as they are.
    """
    if device.type != "cuda":
        return True
    _, total = torch.cuda.mem_get_info(device)
    return engines * (2 * memory_taken(device) - shared) < MEMORY_SHARE * total


def best_slots(speeds: dict[int, float]) -> int:
    """Return the smallest number of slots that comes within 5 % of the fastest."""
    fastest = max(speeds.values())
    return min(slots for slots, speed in speeds.items() if GAIN * speed >= fastest)
