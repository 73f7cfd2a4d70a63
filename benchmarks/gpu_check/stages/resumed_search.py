"""Stage that runs a search to its export though its driver is killed on the way."""

import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu_check.context import Context, LeftOutError
from benchmarks.throughput.processes import REPOSITORY, child_environment

TRIALS, EPOCHS = 64, 10
TINY_BENCHMARK, TINY_TRIALS, TINY_EPOCHS = "resnet8-digitslt", 6, 8
KILL_AFTER_EPOCHS = 3
"""On record, for each trial that trains side by side."""
EXPORT_SECONDS = 20.0
"""Of the stage's time, for what follows the search."""
POLL_SECONDS = 0.1
NAME = "gpu-check"


@dataclass(frozen=True)
class Search:
    """A search as a person starts it, in processes of its own.

    Attributes:
        end: of ``time.monotonic``, by which everything should be over.
    """

    context: Context
    end: float

    @property
    def folder(self) -> Path:
        return self.context.scratch / "runs" / NAME

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        context, stage = self.context, self.context.stage
        benchmark, trials, epochs = stage.benchmark, TRIALS, EPOCHS
        if context.tiny:
            benchmark, trials, epochs = TINY_BENCHMARK, TINY_TRIALS, TINY_EPOCHS
        words = ["--benchmark", benchmark, "--trials", str(trials), "--epochs", str(epochs)]
        words += ["--precision", stage.precision, "--no-confirm", "--name", NAME]
        words += ["--runs", str(self.folder.parent), "--data-root", str(context.data_root)]
        words += ["--hours", str(max(1.0, self.left() - EXPORT_SECONDS) / 3600)]
        words += ["--device", context.device.type]
        if context.device.type == "cuda":
            words += ["--slots", str(stage.slots[0])]
        return self.popen(*words, *more)

    def popen(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the program, with what Ray leaves on disk in a folder that is not kept."""
        command = [sys.executable, "-u", "run_search.py", *words]
        environment = child_environment() | {"RAY_TMPDIR": str(self.context.scratch)}
        return subprocess.Popen(command, cwd=REPOSITORY, env=environment)

    def left(self) -> float:
        return self.end - time.monotonic()

    def epochs(self) -> int:
        """Return the number of epochs on record."""
        return sum(path.read_bytes().count(b"\n") for path in self.folder.glob("trials/*.jsonl"))


def run(context: Context) -> None:
    """Search, kill the driver when some epochs are on record, resume, and export."""
    try:
        import optuna  # noqa: F401
        import ray  # noqa: F401
    except ImportError as error:
        raise LeftOutError(f"{error.name} is not installed.") from None
    search = Search(context, time.monotonic() + context.seconds)
    killed(search)
    resumed = time.monotonic()
    code = search.start("--resume").wait()
    context.results.put(resumed_exit_code=code, seconds=time.monotonic() - resumed)
    code = code or search.popen("export", str(search.folder)).wait()
    exported = sorted(path.name for path in search.folder.glob("best*"))
    context.results.put(export_exit_code=code, exported=exported, **ended(search.folder))
    if code or len(exported) != 2:
        raise RuntimeError("the search did not come to its export; its words are in logs.txt.")


def killed(search: Search) -> None:
    """Start the search and kill its driver, which can do nothing about it."""
    begun = time.monotonic()
    driver = search.start()
    enough = KILL_AFTER_EPOCHS * search.context.stage.slots[0]
    while search.epochs() < enough and driver.poll() is None and search.left() > EXPORT_SECONDS:
        time.sleep(POLL_SECONDS)
    driver.kill()
    driver.wait()
    search.context.results.put(
        killed_after_seconds=time.monotonic() - begun, epochs_on_record=search.epochs()
    )


def ended(folder: Path) -> dict[str, object]:
    """Return how the trials ended, the best result in percent, and the epochs trained."""
    from search.results.conclusion import Conclusion
    from search.store.run_folder import RunFolder

    rows = Conclusion.of(RunFolder(folder)).rows
    values = [row.value for row in rows if row.value is not None]
    states = Counter(row.state.name for row in rows)
    return {"trials": dict(states), "best": max(values, default=None)}
