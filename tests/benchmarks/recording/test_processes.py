"""A recording in processes of its own: killed, interrupted, gone on with."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from repository import REPOSITORY
from tables import expected, files, options, table_of

from benchmarks.recording.table import Table


def start(place: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.recording", *options(place, *more)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_files(place: Path, number: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(files(place)) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing is recorded"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_for_end(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, "the training processes outlive their parent"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_killed_recording_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    size = ("--weightings", "12", "--seeds", "2")
    process = start(tmp_path, *size)
    wait_for_files(tmp_path, 3, process)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    before = files(tmp_path)
    assert 3 <= len(before) < 24
    wait_for_end(workers)
    again = start(tmp_path, *size)
    out, err = again.communicate(timeout=240)
    assert (again.returncode, err) == (0, "")
    assert f"{len(before)} of 24 trials are recorded" in out
    after = files(tmp_path)
    assert {name: after[name] for name in before} == before
    table = Table.load(table_of(tmp_path))
    assert len(table.seed) == 24
    assert len(table.recordings) == 2
    results = expected(table.points[11], 2)
    assert table.correct[23].tolist() == [[list(h) for h in r.correct] for r in results]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "name", "whole_group"),
    ((signal.SIGINT, "Ctrl-C", True), (signal.SIGTERM, "SIGTERM", False)),
)
def test_a_signal_stops_cleanly_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals, name: str, whole_group: bool
) -> None:
    process = start(tmp_path, "--weightings", "50")
    wait_for_files(tmp_path, 1, process)
    workers = children(process.pid)
    assert workers
    (os.killpg if whole_group else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert f"Stopped: {name}. " in out
    assert "go on with\n  python -m benchmarks.recording --table" in out
    wait_for_end(workers)
    left = list((table_of(tmp_path) / "trials").iterdir())
    assert {path.suffix for path in left} == {".npz"}
    assert Table.load(table_of(tmp_path)).epochs.tolist() == [2] * len(left)


@pytest.mark.slow
def test_ctrl_c_while_the_training_processes_start_is_clean(tmp_path: Path) -> None:
    process = start(tmp_path, "--weightings", "50")
    deadline = time.monotonic() + 60
    while not children(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_training_process_that_dies_is_said(tmp_path: Path) -> None:
    process = start(tmp_path, "--weightings", "50")
    wait_for_files(tmp_path, 1, process)
    for pid in children(process.pid):
        command = Path(f"/proc/{pid}/cmdline").read_text()
        if "spawn_main" in command:
            os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a training process ended with -9" in err
    assert err.count("\n") == 1
