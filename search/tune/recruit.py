"""The recruiting of workers: on CPUs they train, on GPUs they are proxies of an engine."""

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ray
import torch
from ray import tune
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.config.settings import SHARE_STEPS, Resources
from search.results.forecast import Forecast, epoch_seconds
from search.session.interrupt import Interrupt
from search.tune.capacity import capacity_of
from search.workers.function_trainable import FunctionTrainable
from search.workers.gpu_proxy import EngineRegistry, ProxySetup, ProxyTrainable
from search.workers.setup import WorkerSetup
from search.workers.trainable import TrialTrainable, load_task, template_trial
from spaces.errors import UserError
from spaces.parts.words import number_of
from trainer import runtime
from trainer.execution.calibrate import (
    LEAST_EPOCHS,
    MOST_SLOTS,
    best_slots,
    calibrate,
    images_per_second,
)
from trainer.execution.engine import Engine
from trainer.execution.slot import Slot
from trainer.prepared import ImageData

DEFAULT_SLOTS = 1
log = logging.getLogger("search")


@dataclass(frozen=True)
class Workers:
    """The workers of a search, each for one trial at a time.

    Attributes:
        trainable: told by its config which trial it trains.
        held: Ray resources that it holds meanwhile.
        keep: an actor that must live as long as the search.
        slots: trials that share a GPU; 0 on CPUs.
        speeds: training images a second of each benchmark on one GPU, if they were measured.
        reused: a worker trains one trial after another, and saves where it is when it is asked to.
    """

    trainable: type[tune.Trainable]
    held: dict[str, float]
    keep: Any = None
    slots: int = 0
    speeds: tuple[float, ...] = ()
    reused: bool = True


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
    if setup.own:
        return own_workers(setup, resources)
    setup = with_images(setup, images)
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


def with_images(setup: WorkerSetup, images: tuple[ImageData, ...]) -> WorkerSetup:
    """Return a set-up whose images travel to every node once."""
    return replace(setup, images=tuple(partial(ray.get, ray.put(data)) for data in images))


def measured_on_ray(
    setup: WorkerSetup,
    images: tuple[ImageData, ...],
    resources: Resources,
    say: Callable[[str], None],
) -> Forecast:
    """Measure a GPU of the cluster, with the trials that are to share it, or else one of its CPUs.

    How many trials share a GPU is found first, unless it is given.
    """
    setup, unasked = with_images(setup, images), Interrupt()
    if resources.gpu:
        slots, speeds = measured_slots(setup, resources, say, unasked)
        held = {"cpu": share(resources.cpus, slots), "gpu": share(1, slots)}
        return Forecast.of_gpus(speeds, slots, images, at_a_time(held, resources))
    say("Measuring a few steps on a CPU of the cluster ...")
    held = {"cpu": float(resources.cpus)}
    task = ray.remote(num_cpus=resources.cpus, max_calls=1)(epoch_seconds_here)
    seconds = answer(task.remote(setup), held, resources, say, unasked)
    return Forecast(tuple(seconds), at_a_time(held, resources), alone=True)


def at_a_time(held: dict[str, float], resources: Resources) -> int:
    """Return how many trials that hold so much the cluster runs at a time, 1 while none fits."""
    return max(1, capacity_of(held, resources, lambda sentence: None).limit())


def own_workers(setup: WorkerSetup, resources: Resources) -> Workers:
    """Return workers for a user's own training: a process for each trial, and a GPU or a share."""
    slots = own_slots(resources)
    held: dict[str, float] = {"cpu": resources.cpus}
    if slots:
        held = {"cpu": share(resources.cpus, slots), "gpu": share(1, slots)}
    trainable = tune.with_parameters(FunctionTrainable, shared=setup)
    return Workers(trainable, held, slots=slots, reused=False)


def own_slots(resources: Resources) -> int:
    """Return how many trials of a user's own training share a GPU; 0 on CPUs."""
    return (resources.slots or 1) if resources.gpu else 0


def share(whole: int, parts: int) -> float:
    """Return one of ``parts`` equal parts, rounded down so that all of them fit."""
    return whole * SHARE_STEPS // parts / SHARE_STEPS


def measured_slots(
    setup: WorkerSetup, resources: Resources, say: Callable[[str], None], interrupt: Interrupt
) -> tuple[int, tuple[float, ...]]:
    """Try on one GPU of the cluster how many trials should share it, or measure those given.

    Of several benchmarks, the one for which the fewest should decides. Returned with it are the
    images that so many train a second together, of each benchmark.
    """
    given = resources.slots
    say(
        f"Measuring {number_of(given, 'trial')} ..."
        if given
        else "Trying how many trials should share a GPU ..."
    )
    # One call a process: its memory on the GPU is the engine's then.
    one_gpu = ray.remote(num_cpus=resources.cpus, num_gpus=1, max_calls=1)
    future = one_gpu(speeds_on_this_gpu).remote(setup, given)
    whole = {"cpu": float(resources.cpus), "gpu": 1.0}
    speeds: list[dict[int, float]] | None = answer(future, whole, resources, say, interrupt)
    if speeds is None:
        return DEFAULT_SLOTS, ()  # nothing will be started
    found = min(map(best_slots, speeds))
    if len(speeds) > 1:
        for benchmark, of_one in zip(setup.benchmarks, speeds, strict=True):
            say(f"{benchmark.name}: {best_slots(of_one)} ({table(of_one)})")
        say(f"{number_of(found, 'trial')} at a time on a GPU")
    else:
        say(f"{number_of(found, 'trial')} at a time on a GPU ({table(speeds[0])})")
    return found, tuple(of_one[found] for of_one in speeds)


def answer(
    future: Any,
    held: dict[str, float],
    resources: Resources,
    say: Callable[[str], None],
    interrupt: Interrupt,
) -> Any:
    """Return what a task on the cluster answers, None if an interrupt comes first.

    ``say`` is told, now and then, that a node is waited for which has what the task holds.

    Raises:
        UserError: the task failed.
    """
    capacity = capacity_of(held, resources, lambda text: None if capacity.present else say(text))
    while not ray.wait([future], timeout=1)[0]:
        if interrupt.reason():
            ray.cancel(future, force=True)
            return None
        capacity.limit()
    try:
        return ray.get(future)
    except RayTaskError as error:  # whose own text is a traceback
        log.info("measuring failed", exc_info=True)
        if isinstance(error.cause, UserError):
            raise UserError(str(error.cause)) from error
        reason = f"{type(error.cause).__name__}: {error.cause}".partition("\n")[0].rstrip(".")
        raise UserError(
            f"measuring failed on a worker ({reason}); try --device cpu, fewer --slots, or without "
            "--compile."
        ) from error


def table(speeds: dict[int, float]) -> str:
    """Return measured speeds on one line."""
    numbers = ", ".join(f"{slots}: {speed:.0f}" for slots, speed in speeds.items())
    return f"images/s by number of trials: {numbers}"


def epoch_seconds_here(setup: WorkerSetup) -> list[float]:
    """Return how long an epoch of each benchmark takes on the CPUs of this worker."""
    runtime.configure(setup.precision, setup.threads)
    return [
        epoch_seconds(template_trial(setup, index), setup.images[index]())
        for index in range(len(setup.benchmarks))
    ]


def speeds_on_this_gpu(setup: WorkerSetup, slots: int | None = None) -> list[dict[int, float]]:
    """Return each benchmark's images per second by number of slots, on the GPU of this worker.

    It is that of ``slots`` alone where they are given.
    """
    runtime.configure(setup.precision, setup.threads)
    device = runtime.select_device(setup.device)
    return [speeds_of(setup, index, device, slots) for index in range(len(setup.benchmarks))]


def speeds_of(
    setup: WorkerSetup, index: int, device: torch.device, slots: int | None
) -> dict[int, float]:
    """Return what ``speeds_on_this_gpu`` does for one benchmark, and give its memory back."""
    trial, task = (
        template_trial(setup, index, least_epochs=LEAST_EPOCHS),
        load_task(setup, index, device),
    )

    def make_slot() -> Slot:
        return Slot(trial, task, variants=setup.variants)

    if slots:
        speeds = {slots: images_per_second(Engine(make_slot, slots), slots)}
    else:
        speeds = calibrate(make_slot, MOST_SLOTS, device, engines=len(setup.benchmarks))
    gc.collect()  # slots refer to themselves
    torch.cuda.empty_cache()
    return speeds
