"""Searches whose trials share declared GPUs: equal to plain training, whatever is killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from clusters import below, ray_head
from repository import REPOSITORY
from search_on_declared_gpus import benchmarks_of
from searching import without_seconds
from training import threads

from search.store.record import Record
from search.store.run_folder import RunFolder, part_key
from search.store.trials import TrialState
from trainer.execution.loop import train
from trainer.execution.task import Task
from trainer.prepared import load, prepare
from trainer.trial import Trial

TRIALS = 8
SCRIPT = REPOSITORY / "tests" / "helpers" / "search_on_declared_gpus.py"


class Searches:
    """Searches on a Ray head that is told of two GPUs, each with two slots.

    ``epochs`` has a number for each benchmark, with commas between.
    """

    def __init__(self, place: Path, address: str, head: int, epochs: str) -> None:
        self.place, self.address, self.head, self.epochs = place, address, head, epochs
        self.folder = RunFolder(place / "runs" / "declared")

    def start(self, slots: str = "2") -> subprocess.Popen[str]:
        numbers = (str(TRIALS), self.epochs, slots)
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), str(self.place), self.address, *numbers],
            env=os.environ
            | {
                "PYTHONPATH": f"{SCRIPT.parent}:{REPOSITORY}",
                "RAY_AUTH_MODE": "disabled",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def engines(self) -> list[int]:
        return below(self.head, "ray::EngineActor")

    def wait_for_epochs(self, epochs: int, search: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + 240
        while self.recorded() < epochs:
            assert search.poll() is None, search.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def recorded(self) -> int:
        files = self.folder.trials.glob("*.jsonl")
        return sum(file.read_bytes().count(b"\n") for file in files)

    def wait_for_no_engines(self) -> None:
        deadline = time.monotonic() + 60
        while self.engines():
            assert time.monotonic() < deadline, "an idle engine outlives its search"
            time.sleep(0.2)

    def check_the_end(self) -> None:
        """Every trial ended once, and its epochs are those of plain training, bit for bit."""
        rows = Record(self.folder.record).rows()
        assert len(rows) == TRIALS
        assert {row.state for row in rows} <= {TrialState.COMPLETE, TrialState.PRUNED}
        for part, benchmark in enumerate(benchmarks_of(self.epochs)):
            data = load(prepare(benchmark, self.place / "data"), benchmark)
            task = Task(data, benchmark.padding, torch.device("cpu"))
            with threads(1):
                for row in rows:
                    recorded = without_seconds(self.folder.read_epochs(part_key(row.key, part)))
                    recipe = row.strategy.recipe(data.counts)
                    trial = Trial(benchmark, recipe, row.seed, diagnosed=row.diagnosed)
                    plain = list(train(trial, task))
                    assert recorded == without_seconds(plain)[: len(recorded)]
                    if row.state == TrialState.COMPLETE:
                        assert len(recorded) == benchmark.epochs


@contextmanager
def searches(place: Path, epochs: str = "8") -> Iterator[Searches]:
    with ray_head("--num-gpus=2") as (address, head):
        yield Searches(place, address, head, epochs)


@pytest.mark.slow
def test_an_engine_that_is_killed_costs_epochs_since_the_checkpoints_alone(tmp_path: Path) -> None:
    with searches(tmp_path) as ray:
        search = ray.start()
        ray.wait_for_epochs(8, search)
        assert len(ray.engines()) == 2  # one for each GPU
        os.kill(ray.engines()[0], signal.SIGKILL)
        output, _ = search.communicate(timeout=300)
        assert search.returncode == 0, output
        assert "4 trials at a time" in output
        assert "lost its worker" in (ray.folder.log.read_text() + output)
        ray.wait_for_no_engines()
        ray.check_the_end()


@pytest.mark.slow
@pytest.mark.long
def test_a_joint_search_goes_on_after_its_engine_and_its_driver_were_killed(
    tmp_path: Path,
) -> None:
    with searches(tmp_path, epochs="6,5") as ray:
        search = ray.start()
        ray.wait_for_epochs(14, search)
        os.kill(ray.engines()[0], signal.SIGKILL)
        ray.wait_for_epochs(45, search)
        search.kill()
        search.communicate()
        ray.wait_for_no_engines()
        again = ray.start("auto")
        output, _ = again.communicate(timeout=300)
        assert again.returncode == 0, output
        for benchmark in benchmarks_of(ray.epochs):
            assert re.search(rf"^{benchmark.name}: \d+ \(images/s", output, re.MULTILINE)
        assert re.search(r"^\d+ trials? at a time on a GPU$", output, re.MULTILINE)
        ray.check_the_end()
