"""Timed search: notes when its trials end, and what memory the driver then holds."""

import os
import time
from pathlib import Path
from typing import Self

from search.config.budget import Budget
from search.config.objective import Objective
from search.config.settings import Settings
from search.session.search import Search
from search.store.record import Record
from search.store.run_folder import RunFolder
from spaces import BASELINES
from trainer.benchmarks import Benchmark


def resident_bytes() -> int:
    """Return this process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def settings_of(benchmark: Benchmark, sampler: str, seed: int) -> Settings:
    """Return the default settings of a search, but that early stopping stops from the start on."""
    return Settings(
        benchmarks=(benchmark.fingerprint(),),
        space="core",
        sampler=sampler,
        early_stopping="asha",
        grace_epochs=benchmark.epochs // 4,
        reduction_factor=2,
        seed=seed,
        precision="tf32",
        baselines=BASELINES,
    )


class TimedSearch(Search):
    """A search that notes when its trials end, and what the driver then holds."""

    @classmethod
    def new(cls, settings: Settings, objective: Objective, trials: int, path: Path) -> Self:
        """Make a run of so many trials, without a confirmation, in ``path``."""
        folder = RunFolder(path)
        folder.create()
        record = Record.create(folder.record, settings.baselines, settings.seed)
        attempt = folder.begin_attempt({})
        budget = Budget(trials, None, confirm=False)
        return cls(settings, budget, objective, folder, record, attempt)

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
        return sum(1 + sum(r < length for r in self.rungs.epochs) for length in lengths)

    def folder_bytes(self) -> int:
        """Return the size of the run folder."""
        return sum(f.stat().st_size for f in self.folder.path.rglob("*") if f.is_file())
