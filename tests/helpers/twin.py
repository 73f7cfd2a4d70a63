"""An in-process twin of the remote executor: simulated slots that drive a search without Ray."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.config.budget import Budget
from search.config.objective import BenchmarkObjective, Objective, Stages
from search.config.settings import Resources, Settings
from search.report.event_lines import line_of
from search.session.events import Event
from search.session.plan import Plan
from search.session.running import Running
from search.session.search import Search
from search.store import record as store_record
from search.store import run_folder
from search.store.record import Record
from search.store.run_folder import RunFolder, part_key
from search.store.trials import Row
from spaces import Strategy, Weighting
from trainer.benchmarks import BENCHMARKS
from trainer.results import EpochResult

HALVES = ((13, 13, 12, 12), (12, 12, 13, 13))
BENCHMARK = BenchmarkObjective("small", 6, (200, 60, 20, 10), HALVES)
OBJECTIVE = Objective((BENCHMARK,))
OTHER = BenchmarkObjective("other", 4, (90, 30, 9, 3), HALVES, noise_sd=2.0)
JOINT = Objective((replace(BENCHMARK, noise_sd=0.5), OTHER))
SAVE_EVERY = 2
STRATEGY = Strategy.of(Weighting(exponent=0.5))
CONTROLS = ("uniform", "sqrt_inverse", "inverse", "mlsbench_balanced_softmax")
"""Four of the default that differ on all of these counts."""


MEMORY = "/dev/shm"


@contextlib.contextmanager
def fast_folder() -> Iterator[Path]:
    """A temporary folder, in memory where possible: the record's many small writes cost less."""
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def make_settings(**changes: object) -> Settings:
    fields: dict[str, object] = {
        "benchmarks": ("0123456789abcdef",),
        "space": "core",
        "sampler": "random",
        "early_stopping": "asha",
        "grace_epochs": 1,
        "reduction_factor": 2,
        "seed": 7,
        "precision": "tf32",
        "baselines": CONTROLS,
    }
    return Settings(**(fields | changes))


def results_of(seed: int, epochs: int = OBJECTIVE.epochs) -> list[EpochResult]:
    """Return the synthetic epochs of the trial with this training seed: the same every time."""
    random = np.random.default_rng(seed)
    results: list[EpochResult] = []
    for epoch in range(1, epochs + 1):
        correct = tuple(tuple(random.integers(0, 13, 4).tolist()) for _ in range(2))
        accuracy = float(np.sum(correct))
        best = max([accuracy, *(r.best_score for r in results)])
        results.append(EpochResult(epoch, 1.0, 1.0, 0.1, 0.5, accuracy, best, correct))
    return results


def make_run(path: Path, settings: Settings) -> RunFolder:
    """Make the folder and the record of a new run."""
    folder = RunFolder(path)
    folder.create()
    Record.create(folder.record, settings.baselines, settings.seed)
    return folder


def make_plan(folder: RunFolder, benchmark: str, budget: Budget, settings: Settings) -> Plan:
    """Return the plan of a search on one CPU of this machine."""
    return Plan(
        benchmarks=(BENCHMARKS[benchmark],),
        holdout=None,
        data_root=folder.path.parent,
        folder=folder,
        settings=settings,
        budget=budget,
        resources=Resources(1, gpu=False, slots=None, concurrent=None, address=None),
        device="cpu",
        save_every=1,
        resume=False,
        resume_command="",
        arguments=(),
    )


def attempt(
    folder: RunFolder,
    settings: Settings,
    trials: int | None,
    hours: float | None = None,
    objective: Objective = OBJECTIVE,
    **limits: Any,
) -> Search:
    """Open the run as a new process would; without a confirmation, unless ``limits`` ask for it."""
    number = folder.begin_attempt({})
    record = Record.reopen(folder.record)
    budget = Budget(trials, hours, **({"confirm": False} | limits))
    return Search(settings, budget, objective, folder, record, number)


def lines_told(search: Search) -> list[str]:
    """Return the lines that are told of a search, to be looked at later."""
    lines: list[str] = []

    def take(event: Event) -> None:
        if line := line_of(event):
            lines.append(line)

    search.events.subscribe(take)
    return lines


def never(row: Row, epoch: int) -> bool:
    return False


@dataclass
class Twin:
    """Slots that each run one trial; which slot makes an epoch next is random but seeded.

    As on a worker, a trial that goes on reports again all epochs behind its last checkpoint.

    Attributes:
        fails: whether a trial fails instead of finishing an epoch.
        diverges: whether such a failure is that the loss is no longer finite.
        started: keys in the order in which they were handed out.
    """

    search: Search
    slots: int = 1
    fails: Callable[[Row, int], bool] = never
    diverges: bool = False
    seed: int = 0
    started: list[str] = field(default_factory=list)
    trained: dict[str, list[int]] = field(default_factory=dict)

    def run(self) -> None:
        """Run trials until the search has no more, or wants all to stop."""
        random = np.random.default_rng(self.seed)
        work: list[Iterator[bool]] = []
        while True:
            while len(work) < self.slots and (trial := self.search.next_trial()):
                self.started.append(trial.row.key)
                work.append(self.epochs(trial))
            if not work or self.search.must_stop():
                assert self.search.must_stop() or not self.search.has_more()
                return
            slot = work[random.integers(len(work))]
            if next(slot):
                work.remove(slot)

    def epochs(self, trial: Running) -> Iterator[bool]:
        """Report the trial's epochs, one at a time, stage by stage; yield whether it has ended."""
        key, seed = trial.row.key, trial.row.seed
        saved = [len(part) // SAVE_EVERY * SAVE_EVERY for part in trial.results]
        curves = [results_of(seed, benchmark.epochs) for benchmark in trial.benchmarks]
        for part, epoch in order(trial.stages):
            if epoch > saved[part]:
                self.trained.setdefault(part_key(key, part), []).append(epoch)
                if self.fails(trial.row, epoch):
                    self.search.fail(key, "it diverged", "the details", self.diverges)
                    yield True
                checkpoint = self.search.folder.checkpoint_folder(part_key(key, part)) / "state"
                checkpoint.parent.mkdir(exist_ok=True)
                checkpoint.touch()
            if self.search.report(key, part, curves[part][epoch - 1]):
                break
            if not trial.reached(-1):
                yield False
        self.search.finish(key)
        yield True


def order(stages: Stages) -> Iterator[tuple[int, int]]:
    """Yield (part, epoch) in the order in which a worker trains them."""
    done = [0] * len(stages[0])
    for ends in stages:
        for part, end in enumerate(ends):
            yield from ((part, epoch) for epoch in range(done[part] + 1, end + 1))
            done[part] = end


class Killed(BaseException):
    """The process ends here, as SIGKILL would end it."""


class Killer:
    """Ends the process at its n-th write: before it, in the middle of it, or after it.

    Every durable effect of a search is a write to the record or to a file of the run folder.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self.writes = 0
        self.how = "before"
        monkeypatch.setattr("os.fsync", lambda file: None)  # no power is cut here, and it is slow
        self._watch(monkeypatch, store_record, "append_whole")
        for name in ("append_line", "write_atomic"):
            self._watch(monkeypatch, run_folder, name)
        self._watch(monkeypatch, RunFolder, "drop_checkpoints")

    def arm(self, writes: int, how: str) -> None:
        self.left, self.how = writes, how

    def disarm(self) -> None:
        self.left = None

    def _watch(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        write = getattr(owner, name)

        def watched(*arguments: object, **options: object) -> None:
            self.writes += 1
            if self.left is None:
                return write(*arguments, **options)
            self.left -= 1
            if self.left > 0:
                return write(*arguments, **options)
            if self.how != "before":
                write(*arguments, **options)
            if self.how == "torn":
                tear(name, arguments)
            raise Killed

        monkeypatch.setattr(owner, name, watched)


def tear(name: str, arguments: tuple[object, ...]) -> None:
    """Cut the last bytes from the file that was appended to."""
    if name in ("append_whole", "append_line"):
        with Path(str(arguments[0])).open("r+b") as file:
            file.truncate(os.fstat(file.fileno()).st_size - 5)


def plan_in(place: Path) -> Plan:
    """Return the plan of a run there that goes on."""
    budget = Budget(32, None)
    plan = make_plan(RunFolder(place / "run"), "resnet8-digitslt", budget, make_settings())
    return replace(plan, resume=True)
