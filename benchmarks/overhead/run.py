"""Whole searches of trials that cost nothing, run on this machine with Ray and without."""

import io
import tempfile
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ray import cloudpickle, tune
from rich.console import Console

from benchmarks.overhead import costless
from benchmarks.overhead.costless import BENCHMARK, CostlessTrainable, facts_of, results_of
from benchmarks.overhead.measurement import Measurement
from benchmarks.overhead.options import Case
from benchmarks.overhead.timed_search import TimedSearch, settings_of
from search.config.settings import Resources
from search.session.interrupt import Interrupt
from search.session.logs import logging_to
from search.session.running import Running
from search.session.search import Search
from search.tune.experiment import search_on_ray
from search.tune.recruit import Workers, share
from search.workers.code_version import CodeVersion
from search.workers.setup import WorkerSetup
from spaces import canonical_weights
from trainer.runtime import available_cpus


def measured(search: TimedSearch, case: Case) -> Measurement:
    seconds, cpu = time.perf_counter() - search.start, time.process_time() - search.cpu_start
    return Measurement(
        with_ray=case.with_ray,
        asked=case.trials,
        ended=tuple(search.ends),
        memory=tuple(search.memory),
        reports=search.reports(),
        epochs=search.spending.trained_epochs,
        seconds=seconds,
        cpu_seconds=cpu,
        folder_bytes=search.folder_bytes(),
    )


def run_alone(search: Search, slots: int, interrupt: Interrupt) -> None:
    """Run the trials in this process, each slot reporting up to the next rung in its turn."""
    working: deque[Callable[[], bool]] = deque()
    while interrupt.reason() is None:
        while len(working) < slots and (trial := search.next_trial()):
            working.append(Slot(search, trial).report)
        if not working:
            return
        report = working.popleft()
        if not report():
            working.append(report)


class Slot:
    """Reports the epochs of one trial."""

    def __init__(self, search: Search, trial: Running) -> None:
        self.search, self.trial = search, trial
        weights = canonical_weights(
            trial.row.strategy.weighting.weights(search.objective.benchmarks[0].counts)
        )
        self.results = results_of(weights.tolist(), trial.row.seed, search.objective.epochs)

    def report(self) -> bool:
        """Report the epochs up to the next rung or the last one; return whether it was the end."""
        key, objective = self.trial.row.key, self.search.objective
        for result in self.results:
            stop = self.search.report(key, 0, result)
            if stop or result.epoch == objective.epochs:
                self.search.finish(key)
                return True
            if result.epoch in self.search.rungs.epochs:
                break
        return False


def run_on_ray(search: Search, slots: int, interrupt: Interrupt) -> None:
    """Run the trials as a user's search does."""
    resources = Resources(cpus=1, gpu=False, slots=None, concurrent=slots, address=None)
    console = Console(file=io.StringIO())
    workers = partial(costless_workers, search, slots)
    search_on_ray(search, workers, resources, 1, interrupt, console)


def costless_workers(search: Search, slots: int) -> Workers:
    """Return the workers of a search that trains nothing; ``slots`` of them fit on this machine."""
    cloudpickle.register_pickle_by_value(costless)  # workers are sent no benchmarks
    setup = WorkerSetup(
        benchmarks=(BENCHMARK,),
        images=(),
        run=search.folder.path,
        proof=search.folder.path,
        code_version=CodeVersion.here(),
        precision=search.settings.precision,
        compiled=False,
        device="cpu",
        threads=1,
        save_every=5,
    )
    trainable = tune.with_parameters(CostlessTrainable, shared=setup, workers=slots)
    return Workers(trainable, {"cpu": share(available_cpus(), slots)})


def measure(case: Case) -> Measurement:
    """Run one search in this process; after Ctrl-C, measure what it got to."""
    interrupt = Interrupt()
    with (
        interrupt.caught(),
        tempfile.TemporaryDirectory(dir=case.place) as place,
        logging_to(Path(place) / "log.txt"),
    ):
        settings = settings_of(BENCHMARK, case.sampler, case.seed)
        path = Path(place) / "run"
        search = TimedSearch.new(settings, facts_of(BENCHMARK), case.trials, path)
        search.begin()
        run = run_on_ray if case.with_ray else run_alone
        run(search, case.slots, interrupt)
        return measured(search, case)
