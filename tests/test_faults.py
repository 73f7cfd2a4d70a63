"""Searches that are killed in the middle and resumed end as if nothing had happened.

Every trial reaches its end once, nothing stays RUNNING, and what was recorded is, bit for bit,
what an uninterrupted training gives.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import searching
from clusters import below
from optuna.trial import TrialState

from spaces import canonical_weights
from trainer.benchmarks import BENCHMARKS
from trainer.checkpoint import saved_epochs
from trainer.data import load, prepare
from trainer.loop import train
from trainer.precision import configure, select_device
from trainer.task import Task
from trainer.trial import Trial

pytestmark = pytest.mark.slow
OPTIONS = ("--trials", "8", "--epochs", "12", "--save-every", "2", "--early-stopping", "asha")


@pytest.fixture
def stopping() -> list[subprocess.Popen[str]]:
    """Processes that must not outlive the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def workers(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes below ``process`` that train a trial for Ray."""
    return below(process.pid, r"ray::\w*Trainable")


def wait_for_end(pids: list[int]) -> None:
    """Wait for processes that are no children of this one."""
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "a worker outlives its driver"
        time.sleep(0.05)


def interrupted(place: Path, epochs: int, number: signal.Signals) -> subprocess.Popen[str]:
    """Start a search, send it a signal once so many epochs are recorded, and wait for its end."""
    process = searching.start(place, *OPTIONS)
    try:
        searching.wait_for_epochs(place, epochs, process)
        orphans = workers(process)
        process.send_signal(number)
        process.wait(timeout=60)
        wait_for_end(orphans)  # they go on for a while, and save
    finally:
        process.kill()
    return process


def check_whole(place: Path) -> None:
    """All 8 trials have ended once, and the recorded epochs are those of plain training."""
    rows = searching.rows(place)
    assert len({row.key for row in rows}) == len(rows) == 8
    assert {row.state for row in rows} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert list(searching.folder(place).checkpoints.iterdir()) == []
    for row in rows:
        assert len(searching.folder(place).read_epochs(row.key)) == row.epochs


def check_equal_to_plain_training(place: Path, keys: list[str]) -> None:
    benchmark = BENCHMARKS[searching.BENCHMARK].with_epochs(12)
    data = load(prepare(benchmark, place / "data"), benchmark)
    configure("tf32", threads=1)
    task = Task(data, benchmark.padding, select_device("cpu"))
    rows = {row.key: row for row in searching.rows(place)}
    for key in keys:
        weights = canonical_weights(rows[key].weighting.weights(data.counts))
        recorded = searching.folder(place).read_epochs(key)
        plain = list(train(Trial(benchmark, tuple(weights), rows[key].seed), task))
        assert searching.without_seconds(recorded) == searching.without_seconds(
            plain[: len(recorded)]
        )


def running(place: Path) -> list[str]:
    return [row.key for row in searching.rows(place) if row.state == TrialState.RUNNING]


@pytest.mark.parametrize(
    ("number", "code"),
    ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)),
    ids=("ctrl-c", "sigterm", "kill-9"),
)
def test_an_interrupted_driver_is_resumed(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    process = interrupted(tmp_path, 55, number)
    output, errors = process.communicate()
    assert process.returncode == code, errors
    left = running(tmp_path)
    assert left, "the signal came too late to interrupt anything"
    if number != signal.SIGKILL:
        assert "Stopped: " in output
        assert "--resume" in output.splitlines()[-1]
        assert errors == ""
    done = searching.search(tmp_path, *OPTIONS, "--resume")
    assert done.returncode == 0, done.stderr
    assert f"{len(left)} go on" in done.stdout
    check_whole(tmp_path)
    check_equal_to_plain_training(tmp_path, left)


def test_a_killed_worker_costs_epochs_since_the_checkpoint_and_nothing_else(
    tmp_path: Path, stopping: list[subprocess.Popen[str]]
) -> None:
    process = searching.start(tmp_path, *OPTIONS)
    stopping.append(process)
    searching.wait_for_epochs(tmp_path, 10, process)
    victims = running(tmp_path)
    os.kill(workers(process)[0], signal.SIGKILL)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert errors == ""
    assert "lost its worker" in output
    check_whole(tmp_path)
    check_equal_to_plain_training(tmp_path, victims)


def test_the_same_run_started_twice_is_refused_while_it_runs(
    tmp_path: Path, stopping: list[subprocess.Popen[str]]
) -> None:
    process = searching.start(tmp_path, *OPTIONS)
    stopping.append(process)
    searching.wait_for_epochs(tmp_path, 1, process)
    second = searching.search(tmp_path, *OPTIONS, "--resume")
    assert second.returncode == 2
    assert "is being searched by another process" in second.stderr
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130


def test_a_truncated_checkpoint_is_told_and_the_one_before_is_used(tmp_path: Path) -> None:
    # Two trials have reported their second rung, epoch 6, and saved epochs 4 and 6.
    interrupted(tmp_path, 12, signal.SIGKILL).communicate()
    left = running(tmp_path)
    # Only where there is one before it: a trial whose only checkpoint is torn stops the search.
    folders = [searching.folder(tmp_path).checkpoint_folder(key) for key in left]
    newest = [saved_epochs(folder)[0] for folder in folders if len(saved_epochs(folder)) == 2]
    assert newest
    for path in newest:
        path.write_bytes(path.read_bytes()[:-1000])
    done = searching.search(tmp_path, *OPTIONS, "--resume")
    assert done.returncode == 0, done.stdout
    for path in newest:
        assert f"{path} is torn or corrupt" in done.stdout
    check_whole(tmp_path)
    check_equal_to_plain_training(tmp_path, left)


DIVERGING = """
name = "diverging"
network = "resnet8"
resolution = 8
epochs = 3
learning_rate = 1e30
[data]
root = "images"
"""


def test_a_search_whose_trials_all_diverge_stops_and_says_why(
    tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    make_folder(tmp_path / "images", (40, 12, 5))
    (tmp_path / "mine.toml").write_text(DIVERGING)
    done = searching.search(tmp_path, "--benchmark", "mine.toml", "--trials", "16")
    assert done.returncode == 1, done.stderr
    assert "3 trials failed in a row: epoch 1: the" in done.stdout
    failed = [row for row in searching.rows(tmp_path) if row.state == TrialState.FAIL]
    assert len(failed) >= 3
    assert all(row.reason is not None and row.reason.startswith("epoch 1:") for row in failed)
    assert "--resume" in done.stdout


def test_the_hours_budget_ends_the_search_and_leaves_it_resumable(tmp_path: Path) -> None:
    begin = time.monotonic()
    done = searching.search(tmp_path, *OPTIONS, "--hours", "0.002")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 60
    assert "the budget of 0.002 hours is used up" in done.stdout
    left = running(tmp_path)
    again = searching.search(tmp_path, *OPTIONS, "--resume")
    assert again.returncode == 0, again.stderr
    check_whole(tmp_path)
    check_equal_to_plain_training(tmp_path, left)
