"""Which engine trains on which GPU: made when the first trial comes to the GPU."""

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.workers.setup import WorkerSetup

CALLS_BESIDE_REPORTS = 4
"""Every slot's proxy may wait in a call; these are for those that come and go meanwhile."""


class EngineRegistry:
    """Owns the engines, as the driver owns the office: when either goes, so do the engines."""

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
