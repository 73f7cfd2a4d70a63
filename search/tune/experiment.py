"""The experiment of Ray Tune that runs a search's trials."""

import contextlib
import os
from collections.abc import Callable, Iterator

import ray
from ray import tune
from ray.tune.experiment import Trial
from rich.console import Console

from search.cluster.connection import RAY_ERRORS, local_ray
from search.cluster.nodes import Nodes, check_offer
from search.config.settings import Resources
from search.report.live_display import Display
from search.results.snapshot import Snapshots
from search.session.interrupt import Interrupt
from search.session.search import Search
from search.tune.bridge import StopSwitch, StudyCallback, StudyScheduler, StudySearcher
from search.tune.capacity import capacity_of
from search.tune.recruit import Recruit, Workers
from search.tune.saving import Saving
from search.tune.servers import SAVE_SECONDS, server_addresses, servers_watched

SESSION_ERRORS = (OSError, *RAY_ERRORS)
"""What ends a session from outside the trials: a full disk, a lost file system, a lost cluster."""
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the run folder has every epoch already
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Interrupt handles it, and SIGTERM
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # snapshots grow with the search, and nobody reads them
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # Capacity decides how many trials are begun
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000000",  # and tells what is waited for
}


@contextlib.contextmanager
def tune_told() -> Iterator[None]:
    """Tell Ray Tune ``ENVIRONMENT`` meanwhile: a user's own experiments are not to have it."""
    before = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for name in ENVIRONMENT:
            os.environ.pop(name, None)
        os.environ.update(before)


def search_on_ray(
    search: Search,
    recruit: Recruit,
    resources: Resources,
    attempt: int,
    interrupt: Interrupt,
    console: Console,
    give_up: Callable[[], None] = lambda: None,
) -> None:
    """Let Ray Tune run the search's trials until there are no more or something ends it.

    A cluster must be connected already; Ray on this machine is started here. ``recruit`` returns
    what trains the trials, once Ray is there. ``give_up`` ends the process when a server of Ray is
    gone and Ray holds the main thread.
    """
    local = resources.address is None
    if local:
        search.events.note("Starting Ray ...")

    def stop() -> str | None:
        return interrupt.reason() or search.must_stop()

    def server_is_gone(sentence: str) -> None:
        search.events.note(
            f"{sentence}. Every running trial is saved where it is, which takes at most "
            f"{SAVE_SECONDS:g} s."
        )
        search.halt(sentence)

    saving = Saving(search, stop)
    try:
        with tune_told(), contextlib.ExitStack() as stack:
            if local:
                stack.enter_context(local_ray())
            assert ray.is_initialized(), "a cluster is connected by whoever knows its address"
            servers = server_addresses()
            stack.enter_context(servers_watched(servers, server_is_gone, saving, give_up))
            if local:
                check_offer(resources, Nodes.of_cluster())
            workers = recruit()
            if interrupt.reason():
                return
            note_share(search, workers, attempt)
            name = search.folder.path.name
            with Display(Snapshots(search), console, name, saving.text) as display:
                capacity = capacity_of(workers.held, resources, search.events.note)
                searcher = StudySearcher(search, capacity.limit, stop, display.refresh)
                tuner(searcher, workers, saving, attempt, local).fit()
    finally:
        search.folder.drop_scratch()


def note_share(search: Search, workers: Workers, attempt: int) -> None:
    """Count the hours of trials by the part of a device that each holds; a resume reads it."""
    share = search.spending.device_share = workers.held.get("gpu", 1.0)
    search.folder.add_to_attempt(attempt, {"device_share": share})


def tuner(
    searcher: StudySearcher, workers: Workers, saving: Saving, attempt: int, local: bool
) -> tune.Tuner:
    """Return Ray Tune's experiment of this attempt.

    ``local``: on this machine's own Ray; idle workers would hold a cluster's nodes.
    """
    search = searcher.search
    experiment = tune.RunConfig(
        name=f"attempt-{attempt}",
        storage_path=str(search.folder.ray),
        stop=StopSwitch(saving.is_over),
        callbacks=[StudyCallback(search, saving, searcher.refresh, workers.reused)],
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        verbose=0,
        progress_reporter=tune.CLIReporter(),  # a notebook would be shown an empty one
    )
    held = tune.with_resources(workers.trainable, workers.held)
    config = tune.TuneConfig(
        search_alg=searcher,
        scheduler=StudyScheduler(search, searcher.stop, keeps=local and workers.reused),
        num_samples=-1,
        reuse_actors=workers.reused,
        trial_name_creator=trial_name,
        trial_dirname_creator=trial_name,
    )
    return tune.Tuner(held, tune_config=config, run_config=experiment)


def trial_name(trial: Trial) -> str:
    """Return the name of a trial, which is its key here."""
    return str(trial.config["key"])
