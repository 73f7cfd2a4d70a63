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
from search.trainable import TrialTrainable, WorkerSetup
from search.tune_bridge import StopSwitch, StudyCallback, StudyScheduler, StudySearcher
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


def slots(resources: Resources) -> int:
    """Return how many trials fit on the connected cluster at a time.

    Raises:
        UserError: not even one does.
    """
    total = ray.cluster_resources()
    fitting = int(total.get("CPU", 0) // resources.cpus)
    if resources.gpus:
        fitting = min(fitting, int((total.get("GPU", 0) + 1e-9) // resources.gpus))
    if fitting < 1:
        raise UserError(
            f"a trial asks for {resources.cpus} CPUs and {resources.gpus:g} GPUs, but Ray offers "
            f"{total.get('CPU', 0):g} CPUs and {total.get('GPU', 0):g} GPUs; "
            "lower --cpus-per-trial or --gpus-per-trial."
        )
    return min(fitting, resources.concurrent or fitting)


def search_on_ray(
    search: Search,
    setup: WorkerSetup,
    resources: Resources,
    attempt: int,
    interrupt: Interrupt,
    console: Console,
) -> None:
    """Let Ray Tune run the search's trials until there are no more or something ends it."""
    os.environ.update(ENVIRONMENT)
    scratch = search.folder.ray
    console.print("Starting Ray ..." if not resources.address else "Connecting to Ray ...")
    try:
        with ray_session(resources):
            interrupt.arm()
            concurrent = slots(resources)
            console.print(f"{concurrent} trials at a time")
            with Display(search, console, title=setup.run.name) as display:
                experiment = tune.RunConfig(
                    name=f"attempt-{attempt}",
                    storage_path=str(scratch),
                    stop=StopSwitch(lambda: interrupt.reason() or search.must_stop()),
                    callbacks=[StudyCallback(search, display.refresh)],
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    failure_config=tune.FailureConfig(max_failures=MAX_WORKER_LOSSES),
                    verbose=0,
                )
                tuner(search, setup, resources, concurrent, experiment).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def tuner(
    search: Search,
    setup: WorkerSetup,
    resources: Resources,
    concurrent: int,
    experiment: tune.RunConfig,
) -> tune.Tuner:
    trainable = tune.with_resources(
        tune.with_parameters(TrialTrainable, shared=setup),
        {"cpu": resources.cpus, "gpu": resources.gpus},
    )
    config = tune.TuneConfig(
        search_alg=StudySearcher(search),
        scheduler=StudyScheduler(search),
        num_samples=-1,
        max_concurrent_trials=concurrent,
        reuse_actors=True,
        trial_name_creator=trial_name,
        trial_dirname_creator=trial_name,
    )
    return tune.Tuner(trainable, tune_config=config, run_config=experiment)


def trial_name(trial: Trial) -> str:
    return str(trial.config["key"])
