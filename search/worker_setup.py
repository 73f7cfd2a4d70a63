"""What all trials of a search share, as it is sent to the workers; free of torch."""

from dataclasses import dataclass
from pathlib import Path

from trainer.benchmarks import Benchmark


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker must know besides the trial itself.

    Attributes:
        benchmarks: what the parts of a trial train; a trial need not have a part for each.
        prepared: the benchmarks' prepared data files.
        run: the run folder; checkpoints are written below it.
        compiled: networks run through ``torch.compile``.
        device: as ``trainer.precision.select_device`` takes it.
        threads: CPU threads of a trial, or of the engine that trains it.
        save_every: epochs between checkpoints.
    """

    benchmarks: tuple[Benchmark, ...]
    prepared: tuple[Path, ...]
    run: Path
    precision: str
    compiled: bool
    device: str
    threads: int
    save_every: int
