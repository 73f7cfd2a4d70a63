"""Ray Tune on a simulated cluster: Ray's calls and what is inside Tune, replaced for a driver.

Everything in the driver is real: Tune's controller, its actor manager, and what a search gives it.
Beneath it, Ray's calls are answered here: an actor is a slot of the simulated cluster, and waiting
moves the clock to when a call is done. What is sent to and from an actor crosses as a pickle, as
between processes. What Ray itself would take of the driver's time is charged (``ray_costs``).
Left out: the network, and the steps that Tune takes every .1 s while it waits. What is replaced is
no public interface of Ray, so that it holds for one version (``RAY_VERSION``).
"""

import contextlib
import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ray
from ray import cloudpickle
from ray.air.execution import ResourceManager, ResourceRequest
from ray.air.execution.resources.request import AcquiredResources
from ray.train._internal import storage
from ray.tune.execution import tune_controller

import search.report.live_display
import search.results.snapshot
import search.tune.capacity
import search.tune.experiment
import search.workers.reports
from benchmarks.scale.driver_clock import DriverClock
from benchmarks.scale.driver_log import DriverLog
from benchmarks.scale.ray_costs import RayCosts
from benchmarks.scale.simulated_trainable import SimulatedTrainable, Training
from spaces.errors import UserError

RAY_VERSION = "2.60"
"""For which this file was written, and in which ``ray_costs`` were measured."""
START_SECONDS = 5.0
"""From asking for an actor until it is there."""
NODE_SLOTS = 8
"""Slots of a node."""
ANSWERED = (
    *("is_initialized", "wait", "get", "remote"),
    *("nodes", "cluster_resources", "available_resources"),
)
IGNORED = ("init", "shutdown", "kill")
"""Functions of ``ray``: those that ``SimulatedRay`` has too, and those that do nothing."""


def check_ray_version() -> None:
    """Raise UserError if another version of Ray is installed than is simulated here."""
    if not ray.__version__.startswith(f"{RAY_VERSION}."):
        raise UserError(
            f"Ray is {ray.__version__}, but the inside of Ray {RAY_VERSION} is simulated; install "
            "that, or bring benchmarks/scale/simulated_ray.py up to date."
        )


@dataclass(eq=False)
class Call:
    """A call under way to an actor.

    Attributes:
        number: of calls before it; makes the order of sets repeatable.
        done: when it is.
        message: what it returns, pickled.
    """

    number: int
    method: str
    done: float
    message: bytes

    def __hash__(self) -> int:
        return self.number


class SimulatedRay:
    """Answers the driver in place of Ray.

    Attributes:
        slots: actors at a time.
    """

    def __init__(
        self, slots: int, training: Training, clock: DriverClock, log: DriverLog, costs: RayCosts
    ) -> None:
        self.slots, self.training, self.clock, self.log = slots, training, clock, log
        self.costs = costs
        self.calls = 0

    def is_initialized(self) -> bool:
        return True

    def new_call(self, method: str, done: float, result: Any) -> Call:
        self.calls += 1
        return Call(self.calls, method, done, pickle.dumps(result))

    def wait(
        self, futures: Sequence[Call], *, num_returns: int = 1, timeout: float | None = None
    ) -> tuple[list[Call], list[Call]]:
        """Return the first call in the list that is done, else the one that will be next."""
        self.clock.charge(self.costs.wait + self.costs.wait_per_call * len(futures))
        with self.clock.stopped():
            self.log.step_ends()
            now = self.clock.now
            if not futures:
                self.clock.wait_until(now + (timeout or 0.0))
                return [], []
            found = next((call for call in futures if call.done <= now), None)
            found = found or min(futures, key=lambda call: call.done)
            self.clock.wait_until(found.done)
            self.log.step_begins(found.method, max(0.0, now - found.done))
        return [found], [call for call in futures if call is not found]

    def get(self, call: Call) -> Any:
        self.clock.charge(self.costs.get)
        return pickle.loads(call.message)

    def remote(self, *args: Any, **options: Any) -> Any:
        """Be a decorator, with or without options, of classes whose actors are slots."""
        return ActorClass(self) if args else lambda _: ActorClass(self)

    def nodes(self) -> list[dict[str, Any]]:
        sizes = [min(NODE_SLOTS, self.slots - i) for i in range(0, self.slots, NODE_SLOTS)]
        return [{"Alive": True, "Resources": {"CPU": float(size)}} for size in sizes]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(self.slots)}

    def available_resources(self) -> dict[str, float]:
        return self.cluster_resources()  # as it is before any trial begins

    @contextlib.contextmanager
    def in_place(self, scratch: Path) -> Iterator[None]:
        """Answer the driver while the block runs; what looks at a clock sees the simulated one.

        ``scratch`` takes what Tune writes to the folder of a Ray session.
        """
        answers: dict[str, Any] = {name: getattr(self, name) for name in ANSWERED}
        answers |= {name: lambda *_, **__: None for name in IGNORED}
        manager = "PlacementGroupResourceManager"
        with (
            patch.multiple(ray, **answers),
            patch.object(tune_controller, manager, lambda: Slots(self.slots)),
            patch.object(storage, "_get_ray_train_session_dir", lambda: str(scratch)),
            patch.object(search.workers.reports, "time", self.training.moment),
            patch.object(search.report.live_display, "time", Monotonic(self.clock)),
            patch.object(search.results.snapshot, "time", Monotonic(self.clock)),
            patch.object(search.tune.capacity, "time", Monotonic(self.clock)),
            patch.object(search.tune.experiment, "server_addresses", dict),
            patch.dict(os.environ, {"RAY_CHDIR_TO_TRIAL_DIR": "0"}),
        ):
            yield


@dataclass(frozen=True)
class Monotonic:
    """Stands in for the module ``time``."""

    clock: DriverClock

    def monotonic(self) -> float:
        return self.clock.now


@dataclass(frozen=True)
class ActorClass:
    """Starts slots."""

    ray: SimulatedRay

    def remote(self, **arguments: Any) -> "Actor":
        return Actor(self.ray, arguments)


class Actor:
    """A slot, as the driver sees it: a thing with methods that are called remotely, in turn."""

    def __init__(self, simulated: SimulatedRay, arguments: dict[str, Any]) -> None:
        self.ray = simulated
        simulated.clock.charge(simulated.costs.actor)
        message = cloudpickle.dumps(arguments)
        with simulated.clock.stopped():
            training = simulated.training
            self.free = training.moment.seconds = simulated.clock.now + START_SECONDS
            self.slot: SimulatedTrainable = training.new_slot(**pickle.loads(message))

    def __getattr__(self, name: str) -> "Method":
        return Method(self, name)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        simulated = self.ray
        simulated.clock.charge(simulated.costs.call)
        message = cloudpickle.dumps((args, kwargs))
        with simulated.clock.stopped():
            moment = simulated.training.moment
            moment.seconds = max(self.free, simulated.clock.now)
            args, kwargs = pickle.loads(message)
            result = None if name.startswith("__") else getattr(self.slot, name)(*args, **kwargs)
            self.free = moment.seconds
            return simulated.new_call(name, self.free, result)


@dataclass(frozen=True)
class Method:
    """A method of an actor."""

    actor: Actor
    name: str

    def remote(self, *args: Any, **kwargs: Any) -> Call:
        return self.actor.call(self.name, args, kwargs)


@dataclass
class Slot(AcquiredResources):
    """A slot that an actor holds."""

    def annotate_remote_entities(self, entities: list[Any]) -> list[Any]:
        return entities


class Slots(ResourceManager):
    """Gives out the slots of a cluster, which are all there from the start."""

    def __init__(self, number: int) -> None:
        self.left = number

    def request_resources(self, resource_request: ResourceRequest) -> None:
        """Nothing: there is no line."""

    def cancel_resource_request(self, resource_request: ResourceRequest) -> None:
        """Nothing, either."""

    def has_resources_ready(self, resource_request: ResourceRequest) -> bool:
        return self.left > 0

    def acquire_resources(self, resource_request: ResourceRequest) -> Slot:
        self.left -= 1
        return Slot(resource_request)

    def free_resources(self, acquired_resource: AcquiredResources) -> None:
        self.left += 1

    def clear(self) -> None:
        """Nothing."""
