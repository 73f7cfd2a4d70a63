"""A search that is killed in three ways, and gone on with each time.

First Ray's head is killed, then the driver, which tears the files that it writes, then a worker.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess, Popen

import pytest
import searching
from clusters import below, workers
from enduring import (
    GCS,
    LONG,
    MANY,
    WHOLE,
    check_equal_to_plain_training,
    check_whole,
    hit,
    interrupted,
    line,
    reason,
    repeated,
    running,
)
from fault_table import Tell

from search.report.last_words import WORDS

pytestmark = pytest.mark.slow
SAVED = "nothing, if the trials were saved within 10 s"


@dataclass(frozen=True)
class Killed:
    """What is left of the search.

    Attributes:
        beheaded, driven, ended: how its processes ended: without its head, killed, at its end.
        at_head, at_driver, at_worker: the trials that ran when it was hit.
        log: what its log said after the head's death.
    """

    place: Path
    beheaded: CompletedProcess[str]
    driven: CompletedProcess[str]
    ended: CompletedProcess[str]
    at_head: list[str]
    at_driver: list[str]
    at_worker: list[str]
    log: str


def kill_head(process: Popen[str]) -> None:
    (head,) = below(process.pid, GCS)
    os.kill(head, signal.SIGKILL)


def without_driver(place: Path) -> tuple[CompletedProcess[str], list[str]]:
    """Go on with the search, kill its driver, and tear two of its files."""
    epochs = searching.recorded_epochs(place) + 8
    process = interrupted(place, epochs, signal.SIGKILL, LONG, "--resume")
    output, errors = process.communicate()
    folder, left = searching.folder(place), running(place)
    assert left, "the driver was killed too late to interrupt anything"
    for path in (folder.record, folder.trials / f"{left[0]}.jsonl"):
        line_before = path.read_bytes().splitlines()[-1]
        path.write_bytes(path.read_bytes() + line_before[: len(line_before) // 2])
    return CompletedProcess((), process.returncode, output, errors), left


def without_worker(place: Path) -> tuple[CompletedProcess[str], list[str]]:
    """Go on with the search to its end, and kill a worker on the way."""
    process = searching.start(place, *LONG, "--resume")
    try:
        searching.wait_for_epochs(place, searching.recorded_epochs(place) + 8, process)
        victims = running(place)
        os.kill(workers(process)[0], signal.SIGKILL)
        output, errors = process.communicate(timeout=200)
    finally:
        process.kill()
    return CompletedProcess((), process.returncode, output, errors), victims


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    place = tmp_path_factory.mktemp("killed")
    beheaded, at_head = hit(place, kill_head), running(place)
    log = searching.folder(place).log.read_text()
    driven, at_driver = without_driver(place)
    ended, at_worker = without_worker(place)
    return Killed(place, beheaded, driven, ended, at_head, at_driver, at_worker, log)


def test_a_search_whose_head_is_killed_ends_soon_and_says_how_to_go_on(
    killed: Killed, fault: Tell
) -> None:
    done = killed.beheaded
    assert done.returncode == 1, done.stdout + done.stderr
    seen = reason(done, killed.log)
    assert seen.startswith("Stopped: Ray's head is gone. ")
    assert killed.at_head, "the head was killed too late to interrupt anything"
    fault("Ray's head is killed, on its own (gcs)", seen, SAVED, WHOLE)


def test_a_killed_driver_says_how_to_go_on(killed: Killed, fault: Tell) -> None:
    assert killed.driven.returncode == -signal.SIGKILL
    assert killed.driven.stderr.startswith(WORDS)
    assert killed.driven.stderr.endswith("--resume\n")
    again = killed.ended.stdout
    seen = f"with --resume: {line(again, 'resumed:')}"
    fault("the driver is killed", seen, repeated(again), WHOLE)


def test_a_record_and_a_trial_whose_last_lines_are_torn_are_resumed(
    killed: Killed, fault: Tell
) -> None:
    assert line(killed.ended.stdout, "resumed:")
    fault("the record's last line is torn", "nothing: the line is cut off", "what it said", WHOLE)


def test_a_killed_worker_does_not_end_the_search(killed: Killed, fault: Tell) -> None:
    done = killed.ended
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert killed.at_worker, "the worker was killed too late to interrupt anything"
    seen = line(done.stdout, "lost its worker after epoch")
    fault("a worker is killed", seen, repeated(done.stdout), WHOLE)


def test_every_trial_has_ended_once_and_nothing_is_left_over(killed: Killed) -> None:
    check_whole(killed.place)


def test_trials_that_were_disturbed_are_bit_for_bit_as_if_they_had_not_been(
    killed: Killed,
) -> None:
    disturbed = {*killed.at_head, *killed.at_driver, *killed.at_worker}
    check_equal_to_plain_training(killed.place, sorted(disturbed), MANY)
