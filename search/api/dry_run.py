"""Dry run of a search: it prepares the images, says what would be done and what that costs."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from search.cluster.connection import local_ray
from search.cluster.nodes import Nodes, check_offer
from search.driver.ending import FINISHED, INTERRUPTED, Ending
from search.driver.preparation import manifest_of, opened_events, prepared_images, worker_setup
from search.report.announcement import announcement, forecast_text
from search.results.forecast import Forecast, forecast, threads, trials_here
from search.session.events import Events
from search.session.logs import warnings_published
from search.session.opening import open_record
from search.session.plan import Plan
from search.session.search import Search
from search.store.manifest import Manifest
from search.store.run_folder import RunFolder
from search.tune.recruit import measured_on_ray, own_slots
from spaces import Strategy
from spaces.errors import UserError
from trainer.own.function import load_function
from trainer.own.running import FunctionError, Running
from trainer.prepared import ImageData

FIRST = 1
"""The number of the attempt that a dry run is for."""


def dry_run(plan: Plan, console: Console) -> Ending:
    """Say what a search would do and cost, and return how that ended.

    Nothing of it stays, except that the images are prepared.

    Raises:
        UserError: the plan cannot be carried out.
    """
    events = opened_events(plan, console)
    try:
        with ended_by_signals(), warnings_published(events):
            images = prepared_images(plan, events)
            with tempfile.TemporaryDirectory() as scratch:
                tell_plan(plan, images, RunFolder(Path(scratch) / "dry-run"), events)
    except KeyboardInterrupt:
        events.note("Stopped. Nothing was begun.")
        return Ending(plan.folder, INTERRUPTED)
    events.note("Nothing was begun; the same command without --dry-run searches.")
    return Ending(plan.folder, FINISHED)


def tell_plan(
    plan: Plan, images: tuple[ImageData, ...], scratch: RunFolder, events: Events
) -> None:
    """Say what a search would do and cost, with a run in the scratch folder."""
    manifest, aside = manifest_of(plan, images), replace(plan, folder=scratch)
    scratch.create()
    search = search_of(aside, manifest, events)
    events.note("\n".join(announcement(plan, search)))
    found = own_measured(aside, events) if plan.own else measured(aside, images, events)
    if found:
        events.note("\n".join(forecast_text(found, plan, search)))


def search_of(plan: Plan, manifest: Manifest, events: Events) -> Search:
    """Return the search of a new run."""
    record = open_record(plan, manifest)
    objective = manifest.objective
    return Search(plan.settings, plan.budget, objective, plan.folder, record, FIRST, events)


def measured(plan: Plan, images: tuple[ImageData, ...], events: Events) -> Forecast:
    """Measure what trains the trials: this machine's CPUs, a GPU, or a CPU of the cluster."""
    found = forecast(plan, images, lambda: None)
    if found:
        return found
    local = plan.resources.address is None
    with local_ray() if local else nullcontext():
        if local:
            check_offer(plan.resources, Nodes.of_cluster())
        return measured_on_ray(worker_setup(plan, FIRST), images, plan.resources, events.note)


def own_measured(plan: Plan, events: Events) -> Forecast | None:
    """Let a user's own function train two epochs here; None where it is to train elsewhere.

    Raises:
        UserError: the function failed.
    """
    own, resources = plan.own, plan.resources
    assert own is not None
    if resources.address is not None:
        events.note(
            f"Not measured: {own.trainable} trains on the machines of the cluster. The search says "
            "what it costs after the second epoch."
        )
        return None
    events.note(f"Training two epochs with {own.trainable} ...")
    function, recipe = load_function(own.trainable, own.place), Strategy().recipe(own.train_counts)
    place = plan.folder.checkpoint_folder("dry-run")
    trial = Running(own, function, recipe, plan.settings.seed, place, resources.cpus)
    second = min(2, own.epochs)
    try:
        with threads(resources.cpus):
            results = filter(None, trial.results())
            seconds = next(result.seconds for result in results if result.epoch == second)
    except FunctionError as error:
        raise UserError(f"{own.trainable} failed: {error.reason.rstrip('.')}.") from error
    finally:
        trial.stop()
    return Forecast((seconds,), trials_here(resources), own_slots(resources))


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End with KeyboardInterrupt on Ctrl-C, SIGTERM and a closed terminal."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
