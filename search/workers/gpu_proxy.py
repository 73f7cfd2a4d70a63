"""What runs on a Ray worker with a share of a GPU: a stand-in for a trial that an engine trains.

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
from ray.exceptions import RayActorError


@dataclass(frozen=True)
class ProxySetup:
    """What a proxy needs: the actor that knows the engines (``workers.office.EngineRegistry``)."""

    office: ActorHandle


class ProxyTrainable(tune.Trainable):
    """Trains the trial that its config describes, as ``workers.trainable.TrialTrainable`` does.

    The loss of the engine in the middle of a trial is an error to Ray, which starts the trial
    again from its newest checkpoint, on whichever GPU has a share free.
    """

    def setup(self, config: dict[str, Any], shared: ProxySetup | None = None) -> None:
        assert shared is not None
        self.office = shared.office
        self.node = ray.get_runtime_context().get_node_id()
        # As Ray set it for this worker: the GPU of which it holds a share.
        self.gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        self.engine = self.find_engine()
        self.enter(config)

    def find_engine(self, lost: ActorHandle | None = None) -> ActorHandle:
        """Return the engine of this worker's GPU; a new one if ``lost`` is the one it had."""
        return ray.get(self.office.engine.remote(self.node, self.gpu, lost))

    def enter(self, config: dict[str, Any]) -> None:
        self.key = config["key"]
        try:
            ray.get(self.engine.begin.remote(config))
        except RayActorError:  # it died before this trial came; once more with a new one
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
