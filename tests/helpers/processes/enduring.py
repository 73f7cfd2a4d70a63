"""What the tests of faults do to a search, ask of it once it is over, and say of it."""

import contextlib
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import searching
from clusters import below, stopped, wait_for_end, workers

from search.store.trials import TrialState
from trainer.benchmarks import BENCHMARKS
from trainer.execution.loop import train
from trainer.execution.task import Task
from trainer.prepared import load, prepare
from trainer.runtime import configure, select_device
from trainer.trial import Trial

TRIALS, EPOCHS, SAVE_EVERY = 6, 12, 2
OPTIONS = (
    *("--trials", str(TRIALS)),
    *("--epochs", str(EPOCHS)),
    *("--save-every", str(SAVE_EVERY)),
    *("--early-stopping", "asha"),
)
WHOLE = "all: every trial ended once, disturbed ones bit for bit as if they had not been"
"""What ``check_whole`` and ``check_equal_to_plain_training`` have shown."""
MANY = 24
"""Epochs of trials that are long enough to be hit several times; one may report ten at once."""
LONG = (*OPTIONS, "--epochs", str(MANY))
GCS = r"\S*/gcs_server\0"
"""How the title of the process of Ray's head begins."""


def check_whole(place: Path) -> None:
    """All trials have ended once, and nothing is left over."""
    rows = searching.rows(place)
    assert len({row.key for row in rows}) == len(rows) == TRIALS
    assert {row.state for row in rows} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert list(searching.folder(place).checkpoints.iterdir()) == []
    for row in rows:
        assert len(searching.folder(place).read_epochs(row.key)) == row.epochs


def check_equal_to_plain_training(place: Path, keys: list[str], epochs: int = EPOCHS) -> None:
    """The recorded epochs of these trials are those of training without a search."""
    assert keys, "nothing was disturbed"
    benchmark = BENCHMARKS[searching.BENCHMARK].with_epochs(epochs)
    data = load(prepare(benchmark, place / "data"), benchmark)
    configure("tf32", threads=1)
    task = Task(data, benchmark.padding, select_device("cpu"))
    rows = {row.key: row for row in searching.rows(place)}
    for key in keys:
        row = rows[key]
        recorded = searching.folder(place).read_epochs(key)
        recipe = row.strategy.recipe(data.counts)
        plain = list(train(Trial(benchmark, recipe, row.seed, diagnosed=row.diagnosed), task))
        assert searching.without_seconds(recorded) == searching.without_seconds(
            plain[: len(recorded)]
        )


def hit(place: Path, how: Callable[[subprocess.Popen[str]], None]) -> CompletedProcess[str]:
    """Start a search, hit its Ray while trials run, and return its end, which leaves no process."""
    process = searching.start(place, *LONG)
    try:
        searching.wait_for_epochs(place, 8, process)
        family = below(process.pid, "")
        how(process)
        output, errors = process.communicate(timeout=searching.SOON_SECONDS)
    finally:
        process.kill()
    wait_for_end(family)
    return CompletedProcess((), process.returncode, output, errors)


def reason(done: CompletedProcess[str], log: str) -> str:
    """Return why a search stopped; it says how to go on, on the screen and in its log."""
    last = done.stdout.splitlines()[-1]
    assert last.endswith("--resume")
    assert last.strip() in log
    return re.sub(r" \([^)]*:\d+\)", "", line(done.stdout, "Stopped: "))


def running(place: Path) -> list[str]:
    """Return the keys of the trials that have not ended."""
    return [row.key for row in searching.rows(place) if row.state == TrialState.RUNNING]


def line(output: str, words: str) -> str:
    """Return the first line of a search's output that has these words in it."""
    found = [text for text in output.splitlines() if words in text]
    assert found, output
    return found[0]


def repeated(output: str) -> str:
    """Return what a search said it trained again."""
    again = [text for text in output.splitlines() if "trained again from checkpoints" in text]
    return again[0] if again else "nothing"


def interrupted(
    place: Path, epochs: int, number: signal.Signals, options: tuple[str, ...], *again: str
) -> subprocess.Popen[str]:
    """Start a search, send it a signal once so many epochs are recorded, and wait for its end."""
    process = searching.start(place, *options, *again)
    try:
        searching.wait_for_epochs(place, epochs, process)
        with contextlib.nullcontext() if number == signal.SIGKILL else stopped(workers(process)):
            family = below(process.pid, "")
            process.send_signal(number)
        process.wait(timeout=60)
        wait_for_end(family)  # Ray's processes and the workers, which go on for a while, and save
    finally:
        process.kill()
    return process
