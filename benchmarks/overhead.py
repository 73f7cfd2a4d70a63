"""What do Ray and Optuna cost per trial and per report, and does it grow with the search?

Runs whole searches, with the real search layer, run folder and Ray Tune, of a trainer that costs
nothing. From the repository's root:

    python benchmarks/overhead.py --trials 100,1000
"""

import argparse
import io
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.costless import BENCHMARK, facts_of, results_of
from benchmarks.measurement import Measurement, summarize
from benchmarks.overhead_views import draw, table
from search.budget import Budget
from search.checks import check_choice, check_minimum
from search.interrupt import Interrupt
from search.quiet import logging_to
from search.record import Record
from search.runfolder import RunFolder
from search.running import Running
from search.samplers import SAMPLERS
from search.search import Search
from search.settings import Resources, Settings
from spaces import BASELINES, canonical_weights
from trainer.errors import UserError
from trainer.files import write_atomic
from trainer.precision import available_cpus
from trainer.provenance import provenance

MODES = {"both": (False, True), "ray": (True,), "none": (False,)}
"""Value of --ray -> whether Ray Tune runs the trials, in each case to be measured."""


@dataclass(frozen=True)
class Case:
    """A search to be measured.

    Attributes:
        slots: trials at a time.
        place: folder for the run folder, which is removed at the end.
    """

    with_ray: bool
    trials: int
    sampler: str
    slots: int
    seed: int
    place: Path | None


def resident_bytes() -> int:
    """Return this process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class TimedSearch(Search):
    """A search that notes when its trials end, and what the driver then holds."""

    def begin(self) -> None:
        self.ends: list[float] = []
        self.memory: list[int] = []
        self.start, self.cpu_start = time.perf_counter(), time.process_time()

    def finish(self, key: str) -> None:
        super().finish(key)
        self.ends.append(time.perf_counter() - self.start)
        self.memory.append(resident_bytes())

    def reports(self) -> int:
        """Return how often the driver heard of the trials that have ended: at rungs and ends."""
        lengths = [row.epochs for row in self.ended if row.summaries]
        return sum(1 + sum(r < length for r in self.early_stopping.rungs) for length in lengths)

    def measured(self, case: Case) -> Measurement:
        seconds, cpu = time.perf_counter() - self.start, time.process_time() - self.cpu_start
        return Measurement(
            with_ray=case.with_ray,
            asked=case.trials,
            ended=tuple(self.ends),
            memory=tuple(self.memory),
            reports=self.reports(),
            epochs=self.trained_epochs,
            seconds=seconds,
            cpu_seconds=cpu,
            folder_bytes=sum(f.stat().st_size for f in self.folder.path.rglob("*") if f.is_file()),
        )


def new_search(case: Case, path: Path) -> TimedSearch:
    """Make a run in ``path`` with the default settings of a search."""
    settings = Settings(
        benchmarks=(BENCHMARK.fingerprint(),),
        space="core",
        sampler=case.sampler,
        scheduler="asha",
        grace_epochs=BENCHMARK.epochs // 4,
        reduction_factor=2,
        seed=case.seed,
        precision="tf32",
        baselines=BASELINES,
    )
    folder = RunFolder(path)
    folder.create()
    record = Record.create(folder.journal, settings.baselines, settings.seed)
    attempt = folder.begin_attempt({})
    budget = Budget(case.trials, None, confirm=False)
    return TimedSearch(settings, budget, facts_of(BENCHMARK), folder, record, attempt)


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
        weights = canonical_weights(trial.row.weighting.weights(search.facts.benchmarks[0].counts))
        self.results = results_of(weights.tolist(), trial.row.seed, search.facts.epochs)

    def report(self) -> bool:
        """Report the epochs up to the next rung or the last one; return whether it was the end."""
        key, facts = self.trial.row.key, self.search.facts
        for result in self.results:
            stop = self.search.report(key, 0, result)
            if stop or result.epoch == facts.epochs:
                self.search.finish(key)
                return True
            if result.epoch in self.search.early_stopping.rungs:
                break
        return False


def run_on_ray(search: Search, slots: int, interrupt: Interrupt) -> None:
    """Run the trials as a user's search does."""
    from search.on_ray import search_on_ray  # Ray takes seconds to import

    resources = Resources(cpus=1, gpu=False, slots=None, concurrent=slots, address=None)
    console = Console(file=io.StringIO())
    search_on_ray(
        search, partial(costless_workers, search, slots), resources, 1, interrupt, console
    )


def costless_workers(search: Search, slots: int, console: Console, interrupt: Interrupt) -> Any:
    """Return the workers of a search that trains nothing; ``slots`` of them fit on this machine."""
    from ray import tune

    from benchmarks.costless import CostlessTrainable
    from search.origin import Origin
    from search.worker_setup import WorkerSetup
    from search.workers import Workers, share

    setup = WorkerSetup(
        benchmarks=(BENCHMARK,),
        images=(),
        run=search.folder.path,
        proof=search.folder.path,
        origin=Origin.here(),
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
        search = new_search(case, Path(place) / "run")
        search.begin()
        run = run_on_ray if case.with_ray else run_alone
        run(search, case.slots, interrupt)
        return search.measured(case)


def measure_apart(case: Case) -> Measurement:
    """Run one search in a process of its own, whose memory tells of this search alone."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure, case).result()


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="overhead.py",
        description="Measure what Ray and Optuna cost per trial of a trainer that costs nothing.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = made.add_argument
    add("--trials", default="100,1000", help="lengths of the searches, with commas between")
    add("--ray", default="both", help=f"{', '.join(MODES)}: let Ray Tune run the trials, or not")
    add("--sampler", default="tpe", help=", ".join(SAMPLERS))
    add("--slots", type=int, default=available_cpus(), help="trials at a time")
    add("--repeats", type=int, default=1, help="searches per length; medians are shown")
    add("--seed", type=int, default=42, help="of the first repeat; the others count on from it")
    add("--place", type=Path, help="folder for the run folders (the system's temporary one)")
    add("--out", type=Path, default=Path("overhead"), help="name of the .json and .png to write")
    return made


def cases(options: argparse.Namespace) -> list[list[Case]]:
    """Return the repeats of every case, the short searches first.

    Raises:
        UserError: an option is out of its range.
    """
    check_choice("--ray", options.ray, MODES)
    check_choice("--sampler", options.sampler, SAMPLERS)
    check_minimum("--slots", options.slots, 1)
    check_minimum("--repeats", options.repeats, 1)
    check_minimum("--seed", options.seed, 0)
    lengths = options.trials.split(",")
    if not all(n.isdecimal() and int(n) > 0 for n in lengths):
        raise UserError(f"--trials is {options.trials!r}; write numbers such as 100,1000.")
    seeds = range(options.seed, options.seed + options.repeats)
    return [
        [Case(ray, n, options.sampler, options.slots, seed, options.place) for seed in seeds]
        for n in sorted(map(int, lengths))
        for ray in MODES[options.ray]
    ]


def measure_all(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the summary of each case; after Ctrl-C, of what was begun."""
    interrupt = Interrupt()
    with interrupt.caught():
        for repeats in cases(options):
            done = []
            for case in repeats:
                if interrupt.reason() is None:
                    done.append(measure_apart(case))
            if done:
                yield summarize(done)


def write(out: Path, options: argparse.Namespace, summaries: list[dict[str, Any]]) -> None:
    """Write OUT.json and OUT.png."""
    setting = {name: getattr(options, name) for name in ("sampler", "slots", "repeats", "seed")}
    content = {"options": setting, "cpus": available_cpus(), **provenance(), "cases": summaries}
    write_atomic(out.with_suffix(".json"), json.dumps(content, indent=1).encode())
    draw(summaries, out.with_suffix(".png"))


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; return the exit code, 2 for bad input."""
    options = parser().parse_args(arguments)
    summaries: list[dict[str, Any]] = []
    try:
        for summary in measure_all(options):
            summaries.append(summary)
            print(table(summaries), flush=True)
            write(options.out, options, summaries)  # after each, for the next may take hours
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
