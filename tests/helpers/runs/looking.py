"""Looks at run folders that may be hostile: every command that opens one, and what it must keep."""

import contextlib
import io
import json
import runpy
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from search.cli.commands import main
from search.driver.ending import FINISHED, Ending
from search.export import verification
from search.report.verdict_view import conclusion_view
from search.results.conclusion import Conclusion
from search.session.plan import Plan
from search.session.running import Running
from search.session.search import Search
from search.store import lease
from trainer.benchmarks.metrics import score
from trainer.results import EpochResult, half_counts, selection

SECONDS = 10
COMMANDS = ("show", "export", "export --counts", "study", "report", "--resume")
HERE = ("--device", "cpu", "--address", "local", "--concurrent", "1")


def epochs_of(trial: Running, part: int) -> Iterator[EpochResult]:
    """Yield made-up epochs of a trial's part, the same every time."""
    benchmark = trial.benchmarks[part]
    random = np.random.default_rng([trial.row.seed, part])
    halves = np.array(benchmark.half_counts)
    best = 0.0
    for epoch in range(1, benchmark.epochs + 1):
        correct = random.binomial(halves, epoch / (benchmark.epochs + 1))
        percent = score(
            benchmark.metric,
            *(selection(n, benchmark.test_held_out) for n in (correct, correct, halves)),
        )
        assert percent is not None
        best = max(best, float(percent))
        counts = half_counts(correct.tolist())
        yield EpochResult(epoch, 1.0, 1.0, 0.1, 1.0, float(percent), best, counts, counts)


def feeding(trials: int | None) -> Callable[..., None]:
    """Return what trains in Ray's place; after so many trials, one is left unfinished."""

    def feed(*arguments: object) -> None:
        (search,) = (a for a in arguments if isinstance(a, Search))
        begun = 0
        while trial := search.next_trial():
            begun += 1
            key = trial.row.key
            curves = [list(epochs_of(trial, part)) for part in range(len(trial.benchmarks))]
            done = [0] * len(curves)
            for ends in trial.stages:
                for part, end in enumerate(ends):
                    for result in curves[part][done[part] : end]:
                        if not trial.stop:
                            search.report(key, part, result)
                        if begun == trials:
                            return
                    done[part] = end
                if trial.stop:
                    break
            search.finish(key)

    return feed


@dataclass(frozen=True)
class Made:
    """A run as a search left it.

    Attributes:
        arguments: of the search, but for where the run is.
    """

    folder: Path
    arguments: tuple[str, ...]


def write_images(root: Path) -> Path:
    """Write a small data set of images."""
    random = np.random.default_rng(0)
    for label, (split, count) in (
        (i, part) for i in range(3) for part in (("train", 9 - 2 * i), ("test", 3))
    ):
        folder = root / split / f"class{label}"
        folder.mkdir(parents=True)
        for index in range(count):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


DIGITS = "--benchmark resnet8-digitslt40 --epochs 4 --baselines uniform,sqrt_inverse,inverse"
SEARCHES = {
    "finished": (f"{DIGITS} --trials 20 --confirm-runs 9 --grace-epochs 1", None),
    "unfinished": (f"{DIGITS} --trials 40 --space full --grace-epochs 1", 15),
    "cmaes": (f"{DIGITS} --trials 40 --sampler cmaes --early-stopping none --no-confirm", 18),
    "strategies": (f"{DIGITS} --trials 30 --space losses --confirm-runs 9 --grace-epochs 1", None),
    "joint": (
        "--benchmark resnet8-digitslt,resnet8-digitslt40 --epochs 3 --holdout IMAGES --trials 16 "
        "--confirm-runs 9 --sampler qmc --grace-epochs 1",
        None,
    ),
}
"""Name -> options of a search, and after how many trials it is left unfinished."""


def make(name: str, place: Path) -> Made:
    """Make a run of SEARCHES below ``place``."""
    words, trials = SEARCHES[name]
    images = place / "images"
    if not images.exists():
        write_images(images)
    arguments = [str(images) if word == "IMAGES" else word for word in words.split()]
    arguments += ["--data-root", str(place / "data"), *HERE]
    where = ["--runs", str(place / "runs"), "--name", name]
    with (
        quick(),
        patch("search.driver.run.train", feeding(trials)),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        code = main([*arguments, *where])
    assert code == (0 if trials is None else 1), (name, code)
    return Made(place / "runs" / name, tuple(arguments))


def answers_here(
    path: Path, vectors: list[list[int]], epochs: list[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Run an exported module in this process: a fresh one takes seconds."""
    asked, answers = io.StringIO(json.dumps({"counts": vectors, "epochs": epochs})), io.StringIO()
    with (
        patch.object(sys, "argv", ["probe", str(path)]),
        patch.object(sys, "stdin", asked),
        contextlib.redirect_stdout(answers),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # that some of the counts are too uneven
        runpy.run_path(str(verification._PROBE), run_name="__main__")
    return list(json.loads(answers.getvalue()))


def prepared_only(
    plan: Plan, images: object, search: Search, attempt: int, console: object, loggers: object
) -> Ending:
    """Do what a search that goes on does before its first trial starts on Ray."""
    if not search.finished():
        search.next_trial()
    conclusion_view(Conclusion.of(plan.folder))
    return Ending(plan.folder, FINISHED)


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """Wait for no other machine, start no other process."""
    with (
        patch.multiple(lease, RENEW_SECONDS=0.05, LEASE_SECONDS=0.1, SETTLE_SECONDS=0.01),
        patch.object(verification, "_answers", answers_here),
        patch("os.fsync", lambda file: None),
    ):
        yield


class Hung(BaseException):
    """A command takes too long."""


@contextlib.contextmanager
def watched(seconds: float) -> Iterator[None]:
    """Raise Hung in whatever takes longer."""

    def end(number: int, frame: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def words(command: str, run: Path, out: Path, arguments: Sequence[str]) -> list[str]:
    """Return the words of a command on a run; ``out`` is a folder for what it writes elsewhere."""
    if command == "--resume":
        return [*arguments, "--runs", str(run.parent), "--name", run.name, "--resume"]
    if command == "export --counts":
        return ["export", str(run), "--counts", str(out / "counts.json")]
    if command == "study":
        return ["study", str(run), "--output", str(out / "study.journal")]
    if command == "report":
        return ["report", str(run), "--output", str(out / "report.html")]
    return [command, str(run)]


@dataclass(frozen=True)
class Seen:
    """What a command did: its exit code and texts, or what it raised."""

    code: int | None
    out: str
    error: str
    raised: BaseException | None
    seconds: float

    def fault(self) -> str | None:
        """Return what is wrong with it, None if nothing is."""
        if self.raised is not None:
            frames = traceback.extract_tb(self.raised.__traceback__)
            ours = [f for f in frames if "site-packages" not in f.filename]
            frame = [
                f
                for f in ours
                if "/search/" in f.filename or "/trainer/" in f.filename or "/spaces/" in f.filename
            ] or ours
            last = frame[-1]
            return f"{type(self.raised).__name__} in {Path(last.filename).name}:{last.name}"
        if self.code not in (0, 2):
            return f"exit code {self.code}: {self.error.strip()[:60]}"
        *notes, last = self.error.splitlines() or [""]
        spoken = last.startswith("error: ") and all(note.startswith("note: ") for note in notes)
        if self.code == 2 and not spoken:
            return f"no sentence: {self.error[:80]!r}"
        said = (self.out + self.error).replace("\n", "")
        if not said.isprintable():
            return "steers the terminal"
        return None


def look(command: str, run: Path, out: Path, arguments: Sequence[str]) -> Seen:
    """Run a command on a run folder in this process."""
    (out / "counts.json").write_text("[90, 30, 5]")
    stdout, stderr = io.StringIO(), io.StringIO()
    code, raised, begun = None, None, time.monotonic()
    with (
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        patch("search.driver.run.search_and_export", prepared_only),
        quick(),
    ):
        try:
            with watched(SECONDS):
                code = main(words(command, run, out, arguments))
        except BaseException as error:
            raised = error
    return Seen(code, stdout.getvalue(), stderr.getvalue(), raised, time.monotonic() - begun)
