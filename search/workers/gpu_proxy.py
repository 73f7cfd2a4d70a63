"""The proxy on a Ray worker with a share of a GPU stands for a trial that an engine trains.

It holds the trial's share of the GPU for Ray, so that scheduling, early stopping and fault
handling are Ray Tune's as ever, and passes on what the engine on that GPU reports. It is small:
torch is not imported here.
"""

import os
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.workers.setup import WorkerSetup

CALLS_BESIDE_REPORTS = 4
"""Every slot's proxy may wait in a call; these are for those that come and go meanwhile."""


@dataclass(frozen=True)
class ProxySetup:
    """The set-up of a proxy: the actor that knows the engines (``EngineRegistry``)."""

    registry: ActorHandle


class ProxyTrainable(tune.Trainable):
    """Trains the trial that its config describes, as ``workers.trainable.TrialTrainable`` does.

    The loss of the engine in the middle of a trial is an error to Ray, which starts the trial
    again from its newest checkpoint, on whichever GPU has a share free.
    """

    def setup(self, config: dict[str, Any], shared: ProxySetup | None = None) -> None:
        assert shared is not None
        self.registry = shared.registry
        self.node = ray.get_runtime_context().get_node_id()
        # As Ray set it for this worker: the GPU of which it holds a share.
        self.gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        self.engine = self.find_engine()
        self.enter(config)

    def find_engine(self, lost: ActorHandle | None = None) -> ActorHandle:
        """Return the engine of this worker's GPU; a new one if ``lost`` is the one it had."""
        return ray.get(self.registry.engine.remote(self.node, self.gpu, lost))

    def enter(self, config: dict[str, Any]) -> None:
        self.key = config["key"]
        try:
            ray.get(self.engine.begin.remote(config))
        except ActorDiedError:  # it died before this trial came; once more with a new one
            self.engine = self.find_engine(lost=self.engine)
            ray.get(self.engine.begin.remote(config))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        self.enter(new_config)
        return True

    def step(self) -> dict[str, Any]:
        report: dict[str, Any] = ray.get(self.engine.report.remote(self.key))
        return report

    def save_now(self) -> None:
        """Have the engine save where the trial is."""
        ray.get(self.engine.save_now.remote(self.key))

    def cleanup(self) -> None:
        self.engine.leave.remote(self.key)


class EngineRegistry:
    """The registry owns the engines, as the driver owns it: when either goes, so do they."""

    def __init__(self, setup: WorkerSetup, slots: int) -> None:
        self.setup, self.slots = setup, slots
        self.engines: dict[tuple[str, str], ActorHandle] = {}

    def engine(self, node: str, gpu: str, lost: ActorHandle | None = None) -> ActorHandle:
        """Return the engine of a node's GPU; another one if ``lost`` is the one that is known."""
        known = self.engines.get((node, gpu))
        if known is None or (lost is not None and known._actor_id == lost._actor_id):
            self.engines[node, gpu] = self.start(node, gpu)
        return self.engines[node, gpu]

    def start(self, node: str, gpu: str) -> ActorHandle:
        from search.workers.engine_actor import EngineActor  # torch, which nothing else here needs

        options = {
            "num_cpus": 0,  # the proxies hold what it uses
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False),
            "max_concurrency": 2 * self.slots + CALLS_BESIDE_REPORTS,
        }
        actor: ActorHandle = (
            ray.remote(EngineActor).options(**options).remote(self.setup, gpu, self.slots)
        )
        return actor
