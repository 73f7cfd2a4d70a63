"""Helpers of the tests that run real searches, as a user does: in a process of their own."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from repository import REPOSITORY

from search.cli.options import add_search
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import Row
from trainer.arguments import Parser
from trainer.results import EpochResult

BENCHMARK = "resnet8-digitslt"
SOON_SECONDS = 60
"""In which a search ends that cannot go on; twenty on a machine that does nothing else."""


def search_parser() -> Parser:
    """Return the parser of a search alone."""
    parser = Parser()
    add_search(parser)
    return parser


def arguments(place: Path, *options: str) -> list[str]:
    """Return the arguments of a search in ``place`` whose run is called ``run``.

    It searches ``BENCHMARK`` unless the options say otherwise.
    """
    what = [] if "--benchmark" in options else ["--benchmark", BENCHMARK]
    where = ["--data-root", str(place / "data"), "--runs", str(place / "runs"), "--name", "run"]
    return [*what, *where, *options]


def command(place: Path, *options: str) -> list[str]:
    """Return the command of that search."""
    return [sys.executable, str(REPOSITORY / "run_search.py"), *arguments(place, *options)]


def search(place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(place, *options), cwd=place, capture_output=True, text=True, check=False
    )


def start(place: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(place, *options),
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def folder(place: Path) -> RunFolder:
    return RunFolder(place / "runs" / "run")


def rows(place: Path) -> list[Row]:
    return Record(folder(place).record).rows()


def recorded_epochs(place: Path) -> int:
    """Return how many epochs all trials have on record, while a search may be running."""
    files = (place / "runs" / "run" / "trials").glob("*.jsonl")
    return sum(file.read_bytes().count(b"\n") for file in files)


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until a condition of a search holds that still runs."""
    deadline = time.monotonic() + 240  # on a machine that others use, too
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the search makes no progress"
        time.sleep(0.05)


def wait_for_epochs(place: Path, epochs: int, process: subprocess.Popen[str]) -> None:
    """Wait until the search has recorded so many epochs."""
    wait_until(lambda: recorded_epochs(place) >= epochs, process)


def without_seconds(results: list[EpochResult]) -> list[dict[str, object]]:
    """Return what must be equal between two runs of one trial: all but the wall time."""
    return [result.to_dict() | {"seconds": None} for result in results]
