"""How a search runs on Ray Tune: the session, its slots, and the experiment."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.error import TuneError
from ray.tune.experiment import Trial
from rich.console import Console

from search.display import Display
from search.interrupt import Interrupt
from search.search import Search
from search.settings import Resources
from search.tune_bridge import StopSwitch, StudyCallback, StudyScheduler, StudySearcher
from search.workers import Recruit, Workers
from trainer.errors import UserError
from trainer.precision import available_cpus

MAX_WORKER_LOSSES = 3
CONNECT_SECONDS = 10
SESSION_ERRORS = (OSError, RayError, TuneError)
"""What ends a session from outside the trials: a full disk, a lost file system, a lost cluster."""
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the run folder has every epoch already
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Interrupt handles it, and SIGTERM
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # snapshots grow with the search, and nobody reads them
}


def check_reachable(address: str) -> None:
    """Raise UserError if nothing listens at ``HOST:PORT``, where Ray itself would retry for long.

    Other forms of address (``auto``, ``ray://...``) are left to Ray.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--address is {address!r}, and nothing answers there ({error}); "
            "give the HOST:PORT that 'ray start --head' printed."
        ) from error


@contextlib.contextmanager
def ray_session(resources: Resources) -> Iterator[None]:
    """Connect to the cluster at ``resources.address``, or start Ray on this machine's CPUs.

    Raises:
        UserError: no cluster answers at the address.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    try:
        if resources.address:
            check_reachable(resources.address)
            ray.init(address=resources.address, **quiet)
        else:
            # "local": without it, Ray looks for a cluster that this machine may have.
            ray.init("local", num_cpus=available_cpus(), include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if not resources.address:
            raise
        raise UserError(
            f"--address is {resources.address!r}, and no Ray cluster lets us in there: {error}"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def check_offer(resources: Resources) -> None:
    """Raise UserError if the connected cluster cannot run a single trial."""
    total = ray.cluster_resources()
    if total.get("CPU", 0) < resources.cpus:
        raise UserError(
            f"--cpus-per-trial is {resources.cpus}, but Ray offers {total.get('CPU', 0):g} CPUs; "
            "give at most as many."
        )
    if resources.gpu and total.get("GPU", 0) < 1:
        raise UserError("--device is cuda, but Ray offers no GPU; use --device cpu.")


def places(held: dict[str, float], most: int | None) -> int:
    """Return how many trials that hold so much fit on the connected cluster at a time."""
    total = ray.cluster_resources()
    fitting = min(int(total.get(name.upper(), 0) / share + 1e-9) for name, share in held.items())
    return max(1, min(fitting, most or fitting))


def search_on_ray(
    search: Search,
    recruit: Recruit,
    resources: Resources,
    attempt: int,
    interrupt: Interrupt,
    console: Console,
) -> None:
    """Let Ray Tune run the search's trials until there are no more or something ends it.

    ``recruit`` returns what trains the trials, once Ray is connected.
    """
    os.environ.update(ENVIRONMENT)
    scratch = search.folder.ray
    console.print("Starting Ray ..." if not resources.address else "Connecting to Ray ...")
    try:
        with ray_session(resources):
            interrupt.arm()
            check_offer(resources)
            workers = recruit(console, interrupt)
            search.device_share = workers.held.get("gpu", 1.0)
            concurrent = places(workers.held, resources.concurrent)
            console.print(f"{concurrent} trials at a time")
            with Display(search, console, title=search.folder.path.name) as display:
                experiment = tune.RunConfig(
                    name=f"attempt-{attempt}",
                    storage_path=str(scratch),
                    stop=StopSwitch(lambda: interrupt.reason() or search.must_stop()),
                    callbacks=[StudyCallback(search, display.refresh)],
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    failure_config=tune.FailureConfig(max_failures=MAX_WORKER_LOSSES),
                    verbose=0,
                )
                tuner(search, workers, concurrent, experiment).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def tuner(
    search: Search,
    workers: Workers,
    concurrent: int,
    experiment: tune.RunConfig,
) -> tune.Tuner:
    held = tune.with_resources(workers.trainable, workers.held)
    config = tune.TuneConfig(
        search_alg=StudySearcher(search),
        scheduler=StudyScheduler(search),
        num_samples=-1,
        max_concurrent_trials=concurrent,
        reuse_actors=True,
        trial_name_creator=trial_name,
        trial_dirname_creator=trial_name,
    )
    return tune.Tuner(held, tune_config=config, run_config=experiment)


def trial_name(trial: Trial) -> str:
    return str(trial.config["key"])
