"""Dry run of a search: it prepares the images, says what would be done and what that costs."""

import html
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from search.cluster.connection import RAY_ERRORS, local_ray
from search.cluster.nodes import Nodes, check_offer
from search.driver.preparation import manifest_of, opened_events, prepared_images, worker_setup
from search.report.announcement import announcement, forecast_text
from search.results.forecast import Forecast, forecast, trials_here, trials_left
from search.session.events import Events
from search.session.interrupt import NAMES, hang_up_ignored
from search.session.logs import warnings_published
from search.session.opening import open_run
from search.session.plan import Plan
from search.session.search import Search
from search.store.manifest import Manifest
from search.store.run_folder import RunFolder
from search.tune.recruit import measured_on_ray, own_slots
from spaces import Strategy
from spaces.errors import UserError
from trainer.own.function import load_function
from trainer.own.running import FunctionError, Running
from trainer.own.training import OwnTraining
from trainer.prepared import ImageData
from trainer.runtime import threads

FIRST = 1
"""The number of the attempt that a dry run is for."""


@dataclass(frozen=True, repr=False)
class DryRun:
    """A dry run of a search says what would be done, and what that costs on this hardware.

    ``print`` says it in words, and a notebook shows it.

    Attributes:
        path: where the run's folder would be.
        plan: what would be searched, and what is deliberately not, in lines.
        cost: in words, in lines; none where nothing could be measured.
        trials: of full length to which all of it amounts; None without a limit in trials.
        concurrency: trials at a time; None where nothing could be measured.
        epoch_seconds: of an epoch of each benchmark, tests included, the hold-out's last; that of
            the hold-out may be missing, and all of them where nothing could be measured.
        seconds: of the whole search, if no trial is stopped early; None without a limit in trials,
            or where nothing could be measured.
        gpu_hours: of it; None on CPUs, too.
    """

    path: Path
    plan: tuple[str, ...]
    cost: tuple[str, ...]
    trials: float | None
    concurrency: int | None
    epoch_seconds: tuple[float, ...]
    seconds: float | None
    gpu_hours: float | None

    @property
    def hours(self) -> float | None:
        """Hours of the whole search, or None as ``seconds``."""
        return None if self.seconds is None else self.seconds / 3600

    def __str__(self) -> str:
        return "\n".join((*self.plan, *self.cost))

    def __repr__(self) -> str:
        return f"<DryRun of {str(self.path)!r}: {' '.join(self.cost) or 'not measured'}>"

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self.plan)
        return f"<p><strong>{html.escape(' '.join(self.cost))}</strong></p><ul>{lines}</ul>"


def dry_run(plan: Plan, console: Console) -> DryRun:
    """Say what a search would do and cost, and return that.

    Nothing of it stays, except that the images are prepared.

    Raises:
        UserError: the plan cannot be carried out.
        KeyboardInterrupt: it was told to end, and has said so.
    """
    events = opened_events(plan, console)
    try:
        with ended_by_signals(), warnings_published(events):
            images = prepared_images(plan, events)
            with tempfile.TemporaryDirectory() as scratch:
                return told_plan(plan, images, RunFolder(Path(scratch) / "dry-run"), events)
    except KeyboardInterrupt:
        events.note("Stopped. Nothing was begun.")
        raise


def told_plan(
    plan: Plan, images: tuple[ImageData, ...], scratch: RunFolder, events: Events
) -> DryRun:
    """Say what a search would do and cost, with a run in the scratch folder."""
    manifest, aside = manifest_of(plan, images), replace(plan, folder=scratch)
    scratch.create()
    search = search_of(aside, manifest, events)
    lines = announcement(plan, search)
    events.note("\n".join(lines))
    found = own_measured(aside, events) if plan.own else measured(aside, images, events)
    costs = forecast_text(found, plan, search) if found else []
    if costs:
        events.note("\n".join(costs))
    seconds = found.seconds(plan, search) if found else None
    return DryRun(
        path=plan.folder.path,
        plan=tuple(map(plan.wording, lines)),
        cost=tuple(map(plan.wording, costs)),
        trials=trials_left(search),
        concurrency=found.concurrency if found else None,
        epoch_seconds=found.epoch_seconds if found else (),
        seconds=seconds,
        gpu_hours=found.gpu_hours(seconds) if found and seconds is not None else None,
    )


def search_of(plan: Plan, manifest: Manifest, events: Events) -> Search:
    """Return the search of a new run."""
    record, attempt = open_run(plan, manifest)
    objective = manifest.objective
    return Search(plan.settings, plan.budget, objective, plan.folder, record, attempt, events)


def measured(plan: Plan, images: tuple[ImageData, ...], events: Events) -> Forecast:
    """Measure what trains the trials: this machine's CPUs, a GPU, or a CPU of the cluster.

    Raises:
        UserError: Ray, or what it was to measure, failed.
    """
    found = forecast(plan, images, lambda: None)
    if found:
        return found
    local = plan.resources.address is None
    try:
        with local_ray() if local else nullcontext():
            if local:
                check_offer(plan.resources, Nodes.of_cluster())
            return measured_on_ray(worker_setup(plan, FIRST), images, plan.resources, events.note)
    except RAY_ERRORS as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        failed = f"measuring failed ({reason[:300]}); try again, or search without a dry run."
        notes = getattr(error, "__notes__", ())  # where Ray's logs are
        raise UserError(" ".join([failed, *notes])) from error


def own_measured(plan: Plan, events: Events) -> Forecast | None:
    """Let a user's own function train two epochs here; None where it is to train elsewhere.

    Raises:
        UserError: the function failed.
    """
    resources, trainable = plan.resources, plan.own[0].trainable
    if resources.address is not None:
        events.note(
            f"Not measured: {trainable} trains on the machines of the cluster. The search says "
            "what it costs after the second epoch."
        )
        return None
    events.note(f"Training two epochs with {trainable} ...")
    with threads(resources.cpus):
        seconds = tuple(own_epoch_seconds(own, plan) for own in plan.own)
    alone = not resources.gpu
    return Forecast(seconds, trials_here(resources), own_slots(resources), alone)


def own_epoch_seconds(own: OwnTraining, plan: Plan) -> float:
    """Return how long the second epoch of a user's own function takes here.

    Raises:
        UserError: the function failed.
    """
    function, recipe = load_function(own.trainable, own.place), Strategy().recipe(own.train_counts)
    place = plan.folder.checkpoint_folder(f"dry-run-{own.name}")
    trial = Running(
        own, function, recipe, plan.settings.seed, place, plan.resources.cpus, plan.device
    )
    second = min(2, own.epochs)
    try:
        results = filter(None, trial.results())
        return next(result.seconds for result in results if result.epoch == second)
    except FunctionError as error:
        raise UserError(f"{own.trainable} failed: {error.reason.rstrip('.')}.") from error
    finally:
        trial.stop()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End with KeyboardInterrupt on Ctrl-C, SIGTERM and, unless under nohup, a closed terminal."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    numbers = [n for n in NAMES if n != signal.SIGHUP or not hang_up_ignored()]
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
