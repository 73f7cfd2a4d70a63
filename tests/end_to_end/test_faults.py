"""Searches that are killed in the middle and resumed end as if nothing had happened.

Every trial reaches its end once, nothing stays RUNNING, and what was recorded is, bit for bit,
what an uninterrupted training gives.
"""

import errno
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import searching
from clusters import below
from enduring import (
    GCS,
    LONG,
    MANY,
    OPTIONS,
    WHOLE,
    check_equal_to_plain_training,
    check_whole,
    interrupted,
    line,
    repeated,
    running,
)
from fault_table import Tell

from search.store.trials import TrialState
from trainer.execution.checkpoint import saved_epochs

pytestmark = pytest.mark.slow


def test_ctrl_c_at_any_moment_keeps_what_is_done(tmp_path: Path, fault: Tell) -> None:
    """Where Ray starts and where trials train; ``tests/search/cli`` has it where torch loads."""
    process = searching.start(tmp_path, *LONG)
    searching.wait_until(lambda: below(process.pid, GCS), process)  # Ray starts
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=100)
    assert "Traceback" not in output + errors
    assert process.returncode == 130
    again = ("--resume",) if searching.folder(tmp_path).exists() else ()
    left: list[str] = []
    for _ in range(2):
        # A trial goes on to its next report, which in the last half of a short one is its end:
        # then the next signal finds others at their beginning.
        if not left:
            recorded = searching.recorded_epochs(tmp_path)
            process = interrupted(tmp_path, recorded + 8, signal.SIGINT, LONG, *again)
            output, errors = process.communicate()
            assert (process.returncode, errors) == (130, "")
            assert "--resume" in output.splitlines()[-1]
            again = ("--resume",)
            left = running(tmp_path)
    assert left, "the signal came too late to interrupt anything"
    done = searching.search(tmp_path, *LONG, "--resume")
    assert done.returncode == 0, done.stderr
    check_whole(tmp_path)
    assert repeated(done.stdout) == "nothing"
    check_equal_to_plain_training(tmp_path, left, MANY)
    fault("Ctrl-C, at any moment", line(output, "Stopped: Ctrl-C"), repeated(done.stdout), WHOLE)


@pytest.mark.long
def test_a_run_folder_that_is_moved_away_stops_the_search_and_goes_on_once_it_is_back(
    tmp_path: Path, stopping: list[subprocess.Popen[str]], fault: Tell
) -> None:
    process = searching.start(tmp_path, *OPTIONS)
    stopping.append(process)
    searching.wait_for_epochs(tmp_path, 8, process)
    folder = searching.folder(tmp_path).path
    elsewhere = folder.rename(folder.with_name("elsewhere"))
    output, errors = process.communicate(timeout=searching.SOON_SECONDS)
    assert (process.returncode, errors) == (1, "")
    told = f"Stopped: the run folder {folder} was deleted or moved while its search ran; put it"
    assert told in output
    assert output.splitlines()[-1].endswith("--resume")
    assert not (folder / "record.jsonl").exists()
    shutil.rmtree(folder, ignore_errors=True)
    elsewhere.rename(folder)
    done = searching.search(tmp_path, *OPTIONS, "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    check_whole(tmp_path)
    seen = line(output, "Stopped: ").replace(str(folder), "RUN")
    fault("the run folder is moved away or deleted", seen, repeated(done.stdout), "what it held")


@pytest.mark.long
def test_the_same_run_started_twice_is_refused_while_it_runs(
    tmp_path: Path, stopping: list[subprocess.Popen[str]], fault: Tell
) -> None:
    process = searching.start(tmp_path, *OPTIONS, "--trials", "64")
    stopping.append(process)
    searching.wait_for_epochs(tmp_path, 1, process)
    second = searching.search(tmp_path, *OPTIONS, "--resume")
    assert second.returncode == 2
    assert "is being searched by another process" in second.stderr
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    seen = line(second.stderr, "is being searched").removeprefix("error: ")
    fault("the same run is started twice", seen, "nothing", "the first goes on undisturbed")


@pytest.mark.long
def test_a_truncated_checkpoint_is_told_and_the_one_before_is_used(
    tmp_path: Path, fault: Tell
) -> None:
    # Two trials have reported their second rung, epoch 6, and saved epochs 4 and 6.
    interrupted(tmp_path, 12, signal.SIGKILL, OPTIONS).communicate()
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
    seen = line(done.stdout, "is torn or corrupt").replace(str(newest[0].parents[1]), "...")
    fault("a checkpoint is truncated", seen, "the epochs since the checkpoint before it", WHOLE)


BROKEN = """
import sys
from pathlib import Path


class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "torch" and "ray::" in Path("/proc/self/cmdline").read_text():
            raise ImportError("torch is broken on this worker")


sys.meta_path.insert(0, Broken())
"""


@pytest.mark.long
def test_workers_that_cannot_be_started_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = searching.search(tmp_path, *OPTIONS)
    assert done.returncode == 1, done.stderr
    reason = "lost its worker 4 times without a new epoch (ImportError: torch is broken on this"
    assert f"3 trials failed in a row: {reason}" in done.stdout


DIVERGING = """
name = "diverging"
network = "resnet8"
resolution = 8
epochs = 3
learning_rate = 1e6
[data]
root = "images"
"""


def test_a_search_whose_trials_all_diverge_stops_and_says_why(
    tmp_path: Path, make_folder: Callable[..., Path], fault: Tell
) -> None:
    make_folder(tmp_path / "images", (40, 12, 5))
    (tmp_path / "mine.toml").write_text(DIVERGING)
    done = searching.search(tmp_path, "--benchmark", "mine.toml", "--trials", "16")
    assert done.returncode == 1, done.stderr
    # Two train at a time, so that a fourth may have failed meanwhile.
    assert re.search("[34] trials failed in a row: epoch 1: the", done.stdout)
    failed = [row for row in searching.rows(tmp_path) if row.state == TrialState.FAIL]
    assert len(failed) >= 3
    assert all(row.reason is not None and row.reason.startswith("epoch 1:") for row in failed)
    assert "--resume" in done.stdout
    fault(
        "the weights make the loss diverge",
        line(done.stdout, ": failed: "),
        "nothing: the trial is stopped at once, and never tried again",
        "its reason; a search whose trials all diverge stops after three",
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A place whose folder of runs is on a file system of its own, of 3 MB."""
    runs = tmp_path / "runs"
    runs.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(runs)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system here")
    yield tmp_path
    subprocess.run(["umount", "-l", str(runs)], check=True)


def test_a_full_disk_stops_the_search_and_loses_nothing(small_disk: Path, fault: Tell) -> None:
    full = searching.search(small_disk, *OPTIONS)
    assert full.returncode == 1, full.stdout + full.stderr
    assert os.strerror(errno.ENOSPC) in full.stdout + full.stderr
    assert "Traceback" not in full.stdout + full.stderr
    command = ["mount", "-o", "remount,size=100m", str(small_disk / "runs")]
    subprocess.run(command, check=True)
    left = running(small_disk)
    done = searching.search(small_disk, *OPTIONS, "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    check_whole(small_disk)
    check_equal_to_plain_training(small_disk, left)
    seen = line(full.stdout, os.strerror(errno.ENOSPC)).replace(str(small_disk), "...")
    fault("the disk is full", seen, repeated(done.stdout), WHOLE)


AWAY = """
import builtins, errno, os

real_open = builtins.open


def open(file, mode="r", *arguments, **options):
    if set(mode) & set("wax+") and str(file).startswith({runs!r}) and os.path.exists({flag!r}):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return real_open(file, mode, *arguments, **options)


builtins.open = open
"""


@pytest.mark.long
def test_storage_that_is_away_for_a_while_is_waited_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stopping: list[subprocess.Popen[str]],
    fault: Tell,
) -> None:
    flag = tmp_path / "away"
    program = AWAY.format(runs=str(tmp_path / "runs"), flag=str(flag))
    (tmp_path / "sitecustomize.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # of the driver and of the workers
    process = searching.start(tmp_path, *OPTIONS)
    stopping.append(process)
    searching.wait_for_epochs(tmp_path, 10, process)
    flag.touch()
    time.sleep(6)
    flag.unlink()
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    check_whole(tmp_path)
    check_equal_to_plain_training(tmp_path, [row.key for row in searching.rows(tmp_path)][:2])
    words = "cannot be written at the moment"
    seen = line(output, words).partition(words)[2]
    fault("the storage is away for a while", f"FILE {words}{seen}", "the writes", WHOLE)


@pytest.mark.long
def test_the_hours_budget_ends_the_search_and_leaves_it_resumable(tmp_path: Path) -> None:
    begin = time.monotonic()
    done = searching.search(tmp_path, *OPTIONS, "--trials", "400", "--hours", "0.006")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 100
    assert "the budget of 0.006 hours is used up" in done.stdout
    again = searching.search(tmp_path, *OPTIONS, "--trials", "400", "--hours", "0.006", "--resume")
    assert again.returncode == 0, again.stderr
    left = len(running(tmp_path))
    assert f"{left} trial{' is' if left == 1 else 's are'} unfinished" in again.stdout
