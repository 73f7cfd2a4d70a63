"""The recruiting of workers: on CPUs they train, on GPUs they are proxies of an engine."""

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ray
import torch
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.config.settings import Resources
from search.session.interrupt import Interrupt
from search.tune.capacity import capacity_of
from search.workers.gpu_proxy import EngineRegistry, ProxySetup, ProxyTrainable
from search.workers.setup import WorkerSetup
from search.workers.trainable import TrialTrainable, load_task, template_trial
from trainer import runtime
from trainer.execution.calibrate import LEAST_EPOCHS, MOST_SLOTS, best_slots, calibrate
from trainer.execution.slot import Slot
from trainer.prepared import ImageData

SHARE_STEPS = 10_000
"""Ray counts fractions of a resource in so many steps."""
DEFAULT_SLOTS = 1


@dataclass(frozen=True)
class Workers:
    """The workers of a search, each for one trial at a time.

    Attributes:
        trainable: told by its config which trial it trains.
        held: Ray resources that it holds meanwhile.
        keep: an actor that must live as long as the search.
        slots: trials that share a GPU; 0 on CPUs.
        speeds: training images a second of each benchmark on one GPU, if they were measured.
    """

    trainable: type[tune.Trainable]
    held: dict[str, float]
    keep: Any = None
    slots: int = 0
    speeds: tuple[float, ...] = ()


Recruit = Callable[[], Workers]
"""Called when Ray is connected."""


def recruit(
    setup: WorkerSetup,
    images: tuple[ImageData, ...],
    resources: Resources,
    say: Callable[[str], None],
    interrupt: Interrupt,
) -> Workers:
    """Return the workers of a search; on GPUs, how many trials share one is found first.

    The images travel to every node once, through Ray's object store. ``say`` tells a person what
    is tried and waited for.
    """
    setup = replace(setup, images=tuple(partial(ray.get, ray.put(data)) for data in images))
    if not resources.gpu:
        trainable = tune.with_parameters(TrialTrainable, shared=setup)
        return Workers(trainable, {"cpu": resources.cpus})
    given = resources.slots
    slots, speeds = (given, ()) if given else measured_slots(setup, resources, say, interrupt)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    registry = (
        ray.remote(EngineRegistry)
        .options(num_cpus=0, scheduling_strategy=here)
        .remote(setup, slots)
    )
    trainable = tune.with_parameters(ProxyTrainable, shared=ProxySetup(registry))
    held = {"cpu": share(resources.cpus, slots), "gpu": share(1, slots)}
    return Workers(trainable, held, registry, slots, speeds)


def share(whole: int, parts: int) -> float:
    """Return one of ``parts`` equal parts, rounded down so that all of them fit."""
    return whole * SHARE_STEPS // parts / SHARE_STEPS


def measured_slots(
    setup: WorkerSetup, resources: Resources, say: Callable[[str], None], interrupt: Interrupt
) -> tuple[int, tuple[float, ...]]:
    """Try on one GPU of the cluster how many trials should share it.

    Of several benchmarks, the one for which the fewest should decides. Returned with it are the
    images that so many train a second together, of each benchmark.
    """
    say("Trying how many trials should share a GPU ...")
    # One call a process: its memory on the GPU is the engine's then.
    one_gpu = ray.remote(num_cpus=resources.cpus, num_gpus=1, max_calls=1)
    future = one_gpu(speeds_on_this_gpu).remote(setup)
    whole = {"cpu": resources.cpus, "gpu": 1.0}
    capacity = capacity_of(whole, resources, lambda text: None if capacity.present else say(text))
    while not ray.wait([future], timeout=1)[0]:
        if interrupt.reason():
            ray.cancel(future, force=True)
            return DEFAULT_SLOTS, ()  # nothing will be started
        capacity.limit()  # tells, now and then, that a GPU is waited for
    speeds: list[dict[int, float]] = ray.get(future)
    found = min(map(best_slots, speeds))
    if len(speeds) > 1:
        for benchmark, of_one in zip(setup.benchmarks, speeds, strict=True):
            say(f"{benchmark.name}: {best_slots(of_one)} ({table(of_one)})")
        say(f"{found} trials share a GPU")
    else:
        say(f"{found} trials share a GPU ({table(speeds[0])})")
    return found, tuple(of_one[found] for of_one in speeds)


def table(speeds: dict[int, float]) -> str:
    """Return measured speeds on one line."""
    numbers = ", ".join(f"{slots}: {speed:.0f}" for slots, speed in speeds.items())
    return f"images/s by number of trials: {numbers}"


def speeds_on_this_gpu(setup: WorkerSetup) -> list[dict[int, float]]:
    """Return each benchmark's images per second by number of slots, on the GPU of this worker."""
    runtime.configure(setup.precision, setup.threads)
    device = runtime.select_device(setup.device)
    return [speeds_of(setup, index, device) for index in range(len(setup.benchmarks))]


def speeds_of(setup: WorkerSetup, index: int, device: torch.device) -> dict[int, float]:
    """Return what ``speeds_on_this_gpu`` does for one benchmark, and give its memory back."""
    trial, task = (
        template_trial(setup, index, least_epochs=LEAST_EPOCHS),
        load_task(setup, index, device),
    )
    speeds = calibrate(lambda: Slot(trial, task, variants=setup.variants), MOST_SLOTS)
    gc.collect()  # slots refer to themselves
    torch.cuda.empty_cache()
    return speeds
