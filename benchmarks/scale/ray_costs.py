"""Costs of Ray itself: what calls that a simulation leaves out take of a driver's time.

``python -m benchmarks.scale --ray-costs`` measures them on a Ray that it starts on this machine.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import ray
from ray import tune
from ray.air.execution import PlacementGroupResourceManager

UNDER_WAY = 1000
REPEATS = 100
ACTORS = 9
REPORT = "x" * 1500
"""As long as a report of two epochs."""
SETTLE_SECONDS = 0.02
"""Given to a call to come back, so that waiting for it is all overhead."""


@dataclass(frozen=True)
class RayCosts:
    """Seconds of the driver.

    Attributes:
        call: to send an actor a call.
        wait: to wait for calls, one of which is done.
        wait_per_call: the same for every further call that is waited for.
        get: to get what a call returned.
        actor: to have an actor started in a placement group of its own.
    """

    call: float
    wait: float
    wait_per_call: float
    get: float
    actor: float


MEASURED = RayCosts(call=4e-4, wait=1.2e-4, wait_per_call=3e-7, get=2e-4, actor=6e-3)
"""On two shared cores "AMD EPYC", Ray 2.60.0, medians of three measurements."""


class Worker:
    """Comes back after so many seconds, however many calls it has."""

    async def train(self, seconds: float) -> dict[str, Any]:
        await asyncio.sleep(seconds)
        return {"epochs": REPORT, "done": False}


def seconds_of(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def measure() -> RayCosts:
    """Measure on the connected Ray."""
    worker: Any = ray.remote(num_cpus=0, max_concurrency=UNDER_WAY + 2)(Worker).remote()
    waits = {}
    for number in (0, UNDER_WAY):
        others = [worker.train.remote(1e6) for _ in range(number)]
        ray.get(worker.train.remote(0))
        rows = [call_times(worker, others) for _ in range(REPEATS)]
        call, waits[number], get = (median(column) for column in zip(*rows, strict=True))
    ray.kill(worker)
    per_call = max(0.0, waits[UNDER_WAY] - waits[0]) / UNDER_WAY
    return RayCosts(call, waits[0], per_call, get, actor_time())


def call_times(worker: Any, others: list[Any]) -> tuple[float, float, float]:
    """Return how long it takes to call, to wait, among others, and to get."""
    call, future = seconds_of(lambda: worker.train.remote(0))
    time.sleep(SETTLE_SECONDS)
    futures = [*others, future]
    random.shuffle(futures)
    wait, (ready, _) = seconds_of(lambda: ray.wait(futures, num_returns=1))
    assert ready == [future]
    get, _ = seconds_of(lambda: ray.get(future))
    return call, wait, get


def actor_time() -> float:
    """Return how long it takes to ask for a placement group, and for an actor in it."""
    manager: Any = PlacementGroupResourceManager()
    request = tune.PlacementGroupFactory([{"CPU": 0.1}])
    kind = ray.remote(tune.Trainable)
    found = []
    for _ in range(ACTORS):
        asking, _ = seconds_of(lambda: manager.request_resources(request))
        while not manager.has_resources_ready(request):
            time.sleep(0.1)
        acquired = manager.acquire_resources(request)
        begin = time.perf_counter()
        [placed] = acquired.annotate_remote_entities([kind])
        actor = placed.remote(config={})
        found.append(asking + time.perf_counter() - begin)
        ray.get(actor.__ray_ready__.remote())
        ray.kill(actor)
        manager.free_resources(acquired)
    return median(found)


def measure_here(cpus: int) -> RayCosts:
    """Measure on a Ray that is started for it on this machine."""
    ray.init("local", num_cpus=cpus, include_dashboard=False, log_to_driver=False)
    try:
        return measure()
    finally:
        ray.shutdown()
