"""The nodes of a Ray cluster: what they have, and what may be started."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import ray
import yaml

from search.config.settings import Resources
from spaces.errors import UserError
from spaces.parts.words import number_of

NODES_SECONDS = 60.0
"""How long a cluster that does not grow by itself is given to show its first worker."""
BOOTSTRAP = Path("ray_bootstrap_config.yaml")
"""Where ``ray up`` leaves the cluster's configuration, in the home directory of its head."""


@dataclass(frozen=True)
class NodeType:
    """A kind of node that a cluster may start.

    Attributes:
        most: nodes of this kind at a time.
    """

    resources: dict[str, float]
    most: int


@dataclass(frozen=True)
class Nodes:
    """What a cluster has, and what it may have.

    Attributes:
        present: resources of each node that is alive.
        types: of nodes that ``ray up``'s autoscaler may start.
        most: workers of all types together.
    """

    present: tuple[dict[str, float], ...]
    types: tuple[NodeType, ...] = ()
    most: int = 0

    @classmethod
    def of_cluster(cls) -> "Nodes":
        """Return the nodes of the connected cluster."""
        present = tuple(node["Resources"] for node in ray.nodes() if node["Alive"])
        return cls(present, *node_types(Path.home() / BOOTSTRAP))

    @property
    def has_gpu(self) -> bool:
        """Whether a GPU is there, or may come."""
        possible = [*self.present, *(kind.resources for kind in self.types)]
        return any(resources.get("GPU", 0) >= 1 for resources in possible)

    @property
    def has_worker(self) -> bool:
        """Whether any node offers a CPU or GPU, or may come and do so."""
        return self.has_gpu or any(
            resources.get("CPU", 0) >= 1
            for resources in (*self.present, *(kind.resources for kind in self.types))
        )

    def describe(self) -> str:
        cpus = sum(resources.get("CPU", 0) for resources in self.present)
        gpus = sum(resources.get("GPU", 0) for resources in self.present)
        nodes = number_of(len(self.present), "node")
        return f"{nodes} with {number_of(cpus, 'CPU', 'g')} and {number_of(gpus, 'GPU', 'g')}"


def free_resources() -> dict[str, float]:
    """Return what nobody holds on the connected cluster, of all nodes together."""
    return dict(ray.available_resources())


def node_types(bootstrap: Path) -> tuple[tuple[NodeType, ...], int]:
    """Return the worker types in a configuration of ``ray up``, and the most workers in all.

    Types of which the resources are not stated, such as hosts reached by ssh, are left out.
    Nothing may be started where there is no such file; whose it is, is not asked.
    """
    if not os.path.isfile(bootstrap):
        return (), 0
    content = yaml.safe_load(bootstrap.read_text())
    head = content.get("head_node_type")
    kinds = {k: v for k, v in content.get("available_node_types", {}).items() if k != head}
    types = tuple(
        NodeType(dict(kind["resources"]), int(kind.get("max_workers", content["max_workers"])))
        for kind in kinds.values()
        if kind.get("resources")
    )
    return types, int(content.get("max_workers", 0))


def finds_gpus() -> bool:
    """Return whether the connected cluster has GPUs or may start nodes that do.

    While it has no worker at all, one is waited for.

    Raises:
        UserError: no worker comes.
    """
    deadline = time.monotonic() + NODES_SECONDS
    while not (nodes := Nodes.of_cluster()).has_worker:
        if time.monotonic() > deadline:
            raise UserError(
                f"the cluster has {nodes.describe()} and no worker came within {NODES_SECONDS:g} "
                "s; start one, or search when 'ray status' lists one: hosts that `ray up` sets up "
                "for the first time install for some minutes."
            )
        time.sleep(1)
    return nodes.has_gpu


def gpus_for(device: str, address: str | None, present: int) -> bool:
    """Return whether trials train on GPUs; ``present`` is how many this machine has.

    Raises:
        UserError: the connected cluster, if there is one, has no worker.
    """
    if device != "auto":
        return device == "cuda"
    return finds_gpus() if address else present > 0


def check_offer(resources: Resources, nodes: Nodes) -> None:
    """Raise UserError if no node of this machine's own Ray can run a single trial."""
    cpus = max((node.get("CPU", 0) for node in nodes.present), default=0)
    if cpus < resources.cpus:
        raise UserError(
            f"--cpus-per-trial is {resources.cpus}, but Ray offers {number_of(cpus, 'CPU', 'g')}; "
            "give at most as many."
        )
    if resources.gpu and not nodes.has_gpu:
        raise UserError("--device is cuda, but Ray offers no GPU; use --device cpu.")
