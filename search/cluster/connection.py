"""How a search joins a Ray cluster, or starts one here, and what the nodes have or could have."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.exceptions import RayError
from ray.tune.error import TuneError

from search.cluster.address import LOCAL, TOKEN_MODE, check_reachable, host_and_port
from search.cluster.admission import check_admitted
from search.cluster.session_folder import logs_in, session_folder
from search.config.settings import Resources
from search.workers.code_version import copy_sources
from spaces.errors import UserError
from trainer.cpus import available_cpus

NODES_SECONDS = 60.0
"""How long a cluster that does not grow by itself is given to show its first worker."""
QUIET: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
BOOTSTRAP = Path("ray_bootstrap_config.yaml")
"""Where ``ray up`` leaves the cluster's configuration, in the home directory of its head."""


class StartError(UserError):
    """Ray does not start on this machine."""


@contextlib.contextmanager
def local_ray() -> Iterator[None]:
    """Run Ray on this machine's CPUs; what it leaves on disk is deleted, except when it fails.

    Raises:
        UserError: Ray does not start here.
    """
    with session_folder(kept_after=(StartError, RayError, TuneError)) as folder:
        try:
            start_here(folder)
            yield
        finally:
            ray.shutdown()


def start_here(folder: Path) -> None:
    """Start Ray with its sockets and logs in ``folder``."""
    try:
        with shipped_code() as code:
            # LOCAL: without it, Ray looks for a cluster that this machine may have.
            begin(
                address=LOCAL,
                num_cpus=available_cpus(),
                include_dashboard=False,
                _temp_dir=str(folder),
                **code,
            )
    except Exception as error:  # Ray has no one class for it
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StartError(
            f"Ray does not start on this machine ({reason[:300]}); its logs are kept in "
            f"{logs_in(folder)}; try again where the machine was overloaded, and see whether "
            "memory, processes or open files are limited (ulimit -a)."
        ) from error


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to the cluster at ``address``, if there is one; once in a process's life.

    The cluster's workers are sent this project's code, as it is here.

    Raises:
        UserError: no cluster answers at the address.
    """
    if address is None:
        yield
        return
    check_reachable(address)
    check_admitted(address)
    check_closed(address)
    with shipped_code() as code:
        connect(address, code)
    try:
        yield
    finally:
        ray.shutdown()


def check_closed(address: str) -> None:
    """Raise UserError if we ask for a token and the cluster does not: Ray cannot work so."""
    if (
        os.environ.get("RAY_AUTH_MODE") == TOKEN_MODE
        and host_and_port(address)
        and is_open(address)
    ):
        raise UserError(
            f"the Ray cluster at {address} lets anybody in, but a token is kept here "
            "(~/.ray/auth_token, RAY_AUTH_TOKEN); start its nodes with RAY_AUTH_MODE=token, or set "
            "RAY_AUTH_MODE=disabled here to use it as it is."
        )


def is_open(address: str) -> bool:
    """Return whether the Ray head at ``HOST:PORT`` answers without a token.

    In a process of its own: Ray reads the mode once.
    """
    ask = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"
    environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", ask, address]
    return not subprocess.run(command, env=environment, capture_output=True, check=False).returncode


@contextlib.contextmanager
def shipped_code() -> Iterator[dict[str, Any]]:
    """Yield options of ``ray.init`` that give workers this project's code, as it is now.

    So they have it on machines without it, and keep it when it is changed here during the search.
    """
    os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"  # a job's folder gives way to our code
    with tempfile.TemporaryDirectory() as staged:
        copy_sources(Path(staged))
        yield {"runtime_env": {"working_dir": staged}}


def begin(**options: Any) -> None:
    """Call ``ray.init``, and take back SIGTERM, which it takes; while it runs, it is as Ctrl-C."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options, **QUIET)
    except SystemExit as error:  # what Ray makes of the signal
        raise KeyboardInterrupt from error
    finally:
        signal.signal(signal.SIGTERM, before)


def connect(address: str, code: dict[str, Any]) -> None:
    log = logging.getLogger("ray")
    level = log.level
    log.setLevel(logging.WARNING)  # that it connects is said by us
    try:
        begin(address=address, **code)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"--address is {address!r}, and no Ray cluster lets us in there: {error}"
        ) from error
    finally:
        log.setLevel(level)


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
        nodes = len(self.present)
        return f"{nodes} node{'s' if nodes != 1 else ''} with {cpus:g} CPUs and {gpus:g} GPUs"


def node_types(bootstrap: Path) -> tuple[tuple[NodeType, ...], int]:
    """Return the worker types in a configuration of ``ray up``, and the most workers in all.

    Types of which the resources are not stated, such as hosts reached by ssh, are left out; so
    is everything where there is no such file, or another cluster's.
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
                "s; start one, or give --device to wait for it."
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
            f"--cpus-per-trial is {resources.cpus}, but Ray offers {cpus:g} CPUs; "
            "give at most as many."
        )
    if resources.gpu and not nodes.has_gpu:
        raise UserError("--device is cuda, but Ray offers no GPU; use --device cpu.")
