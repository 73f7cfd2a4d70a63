"""Run of a whole search on a simulated cluster, and what it cost the driver."""

import os
import random
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.overhead.timed_search import TimedSearch, settings_of
from benchmarks.scale.driver_clock import DriverClock, WorkTimer
from benchmarks.scale.driver_log import DriverLog
from benchmarks.scale.measurement import summarize
from benchmarks.scale.options import ScaleCase
from benchmarks.scale.ray_costs import MEASURED
from benchmarks.scale.simulated_ray import SimulatedRay
from benchmarks.scale.simulated_trainable import SimulatedTrainable, Training, made_up, recorded
from search.config.settings import Resources
from search.session.interrupt import Interrupt
from search.session.logs import logging_to
from search.tune.experiment import search_on_ray
from search.tune.recruit import Workers

SNAPSHOTS = 100
RESOURCES = Resources(cpus=1, gpu=False, slots=None, concurrent=None, address="simulated")


class LoggedSearch(TimedSearch):
    """A search that tells a log when its trials end."""

    log: DriverLog

    def finish(self, key: str) -> None:
        super().finish(key)
        self.log.trial_ends()


def measure(case: ScaleCase) -> dict[str, Any]:
    """Run one search in this process and sum it up; after Ctrl-C, as far as it got."""
    timer, interrupt = WorkTimer(), Interrupt()
    with tempfile.TemporaryDirectory(dir=case.place) as place, interrupt.caught():
        path = Path(place) / "run"
        path.mkdir()
        with timer.watching(), logging_to(path / "log.txt"):
            search, simulated = prepare(case, DriverClock(timer), path)
            run(search, simulated, interrupt)
            summary = summarize(search.log, search.folder_bytes())
    return {
        **summary,
        "asked": case.trials,
        "trial_seconds": case.seconds,
        "epochs": search.objective.epochs,
        "disk_seconds_per_trial": timer.disk / max(1, summary["trials"]),
        "load_average": os.getloadavg()[1],
    }


def prepare(case: ScaleCase, clock: DriverClock, path: Path) -> tuple[LoggedSearch, SimulatedRay]:
    """Return a search that has not begun, with its run in ``path``, and where it is to run."""
    world = recorded(case.table) if case.table else made_up()
    half_counts = world.objective.benchmarks[0].half_counts
    assert half_counts is not None
    training = Training(case.seconds, case.ahead, world.curve, half_counts)
    log = DriverLog(clock, training, case.slots, max(1, case.trials // SNAPSHOTS))
    settings = settings_of(world.benchmark, case.sampler, case.seed)
    search = LoggedSearch.new(settings, world.objective, case.trials, path)
    search.log = log
    random.seed(case.seed)  # Tune draws which of the reports that wait it takes
    return search, SimulatedRay(case.slots, training, clock, log, MEASURED)


def run(search: LoggedSearch, simulated: SimulatedRay, interrupt: Interrupt) -> None:
    """Run a search as a user's is run, on a terminal that is none."""

    def recruit() -> Workers:
        return Workers(SimulatedTrainable, {"cpu": 1.0})

    search.begin()
    scratch = search.folder.path.parent / "session"
    with simulated.in_place(scratch), open(os.devnull, "w") as nowhere:
        search_on_ray(search, recruit, RESOURCES, 1, interrupt, Console(file=nowhere))
