"""Searches on a cluster whose machines are lost: one by one, with and without notice, and all."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import searching
from enduring import (
    OPTIONS,
    WHOLE,
    check_equal_to_plain_training,
    check_whole,
    line,
    repeated,
    running,
)
from fault_table import Tell
from machines import Machines, machines, skewed_clock
from metadata import metadata_service, notice

pytestmark = pytest.mark.slow
HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def cluster() -> Iterator[Machines]:
    with machines() as made:
        yield made


def drained(cluster: Machines, address: str) -> str:
    """Give the node at ``address`` notice; return what its watcher said of it."""
    end = datetime.now(UTC) + timedelta(minutes=2)
    with metadata_service() as (base, metadata):
        metadata.content["local-ipv4"] = address
        metadata.content["spot/instance-action"] = notice(f"{end:%Y-%m-%dT%H:%M:%SZ}")
        watcher = [sys.executable, "-m", "search.cluster.preemption", "--head", cluster.address]
        done = subprocess.run(
            [*watcher, "--metadata", base],
            cwd=searching.REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    return line(done.stdout, f"the node {address} is draining").partition(": ")[2]


@pytest.mark.long
def test_nodes_that_leave_with_and_without_notice_cost_epochs_since_the_checkpoint(
    cluster: Machines, tmp_path: Path, fault: Tell
) -> None:
    announced, sudden = cluster.worker(), cluster.worker()
    process = searching.start(tmp_path, *OPTIONS, "--address", cluster.address)
    try:
        searching.wait_for_epochs(tmp_path, 6, process)
        cluster.lose(sudden)
        cluster.worker()
        said = drained(cluster, cluster.address_of(announced))
        searching.wait_for_epochs(tmp_path, searching.recorded_epochs(tmp_path) + 12, process)
        cluster.lose(announced)
        output, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, output + errors
    check_whole(tmp_path)
    check_equal_to_plain_training(tmp_path, [row.key for row in searching.rows(tmp_path)][:4])
    assert "2 trials at a time, on 3 nodes with 2 CPUs" in output
    both = f"{repeated(output)} (this fault and the notice together)"
    fault("a node is lost", line(output, "lost its worker"), both, WHOLE)
    fault("a preemption notice", f"on the node: {said}", "the same, if the node goes early", WHOLE)


@pytest.mark.long
def test_a_new_head_with_another_clock_continues_from_the_run_folder(
    cluster: Machines, tmp_path: Path, fault: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.worker()
    process = searching.start(tmp_path, *OPTIONS, "--address", cluster.address)
    try:
        searching.wait_for_epochs(tmp_path, 20, process)
    finally:
        process.kill()  # it ran on the head
        process.communicate()
        cluster.lose_all()
    left = running(tmp_path)
    with machines() as other:
        other.worker(skewed_clock(tmp_path, HOUR))
        for name, value in skewed_clock(tmp_path, -DAY).items():
            monkeypatch.setenv(name, value)
        done = searching.search(tmp_path, *OPTIONS, "--resume", "--address", other.address)
    assert done.returncode == 0, done.stdout + done.stderr
    check_whole(tmp_path)
    check_equal_to_plain_training(tmp_path, left)
    seen = line(done.stdout, "resumed:")
    fault("the head is lost", f"on a new one, with --resume: {seen}", repeated(done.stdout), WHOLE)
    clocks = "nothing (new head a day behind, its worker an hour ahead): no decision reads a clock"
    fault("the clocks of the nodes differ", clocks, "nothing", WHOLE)


OTHER_NUMPY = """
import importlib.metadata as metadata

real = metadata.version
metadata.version = lambda name: "1.2.3" if name == "numpy" else real(name)
"""


def test_a_worker_with_other_versions_is_refused_with_both_named(
    cluster: Machines, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(OTHER_NUMPY)
    cluster.worker({"PYTHONPATH": str(tmp_path)})
    done = searching.search(tmp_path, *OPTIONS, "--address", cluster.address)
    assert done.returncode == 1
    assert f"has numpy 1.2.3, not {np.__version__} as the driver has" in done.stdout
    assert searching.recorded_epochs(tmp_path) == 0
    assert "--resume" in done.stdout
