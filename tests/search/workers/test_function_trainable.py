"""The worker of a training of one's own: what it reports, refuses and leaves behind."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.config.settings import Resources
from search.tune.recruit import own_workers
from search.workers.code_version import CodeVersion
from search.workers.function_trainable import FunctionTrainable
from search.workers.setup import WorkerSetup
from spaces import Recipe
from trainer.own.declaration import own_training
from trainer.provenance import processor

MODULE = """
import os
from pathlib import Path

def train(weights, seed, report, epochs, checkpoints, dataset):
    print("begins", dataset, repr(os.environ["CUDA_VISIBLE_DEVICES"]))
    for epoch in range(1, epochs + 1):
        if seed == 13:
            raise OSError(f"no image {seed}")
        if seed == 99:
            report(epoch, accuracy=float("nan"))
        report(epoch, accuracy=weights[1] / 10)
        (checkpoints / "epoch").write_text(str(epoch))
"""
EPOCHS = 6


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerSetup]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # as on a machine with GPUs
    monkeypatch.setattr("search.workers.reports.REPORT_SECONDS", 60.0)
    (tmp_path / "my_module.py").write_text(MODULE)
    (tmp_path / "trials").mkdir()
    yield WorkerSetup(
        benchmarks=(),
        images=(),
        run=tmp_path,
        proof=tmp_path,
        code_version=CodeVersion.here(),
        precision="tf32",
        compiled=False,
        device="cpu",
        threads=1,
        save_every=5,
        own=(own_training("my_module:train", "[50, 20]", EPOCHS),),
    )
    sys.modules.pop("my_module", None)


def worker(
    setup: WorkerSetup, seed: int = 7, known: int = 0, training: int = 0
) -> FunctionTrainable:
    """Return what Ray makes on a worker."""
    made = FunctionTrainable.__new__(FunctionTrainable)
    part = {
        "benchmark": training,
        "recipe": Recipe((50, 20), (0.5, 1.5)).to_dict(),
        "checkpoints": str(setup.run / "checkpoints"),
        "known_epochs": known,
    }
    made.setup({"key": "a", "seed": seed, "parts": [part], "stages": [[2], [EPOCHS]]}, setup)
    return made


def epochs_in(report: dict[str, Any]) -> list[int]:
    return [row["epoch"] for _, row in json.loads(report["epochs"])]


def test_a_step_ends_at_a_rung_and_at_the_last_epoch(setup: WorkerSetup) -> None:
    trial = worker(setup)
    first, last = trial.step(), trial.step()
    assert (epochs_in(first), first["done"], first["within"]) == ([1, 2], False, None)
    assert (epochs_in(last), last["done"]) == ([3, 4, 5, 6], True)
    assert first["hardware"] == last["hardware"] == processor()
    trial.cleanup()
    assert (setup.run / "trials" / "a.out.txt").read_text() == "begins searched ''\n"


def test_a_file_of_what_is_printed_that_cannot_be_made_is_no_fault_of_the_function(
    setup: WorkerSetup,
) -> None:
    (setup.run / "trials").rmdir()
    trial = worker(setup)
    report = trial.step()
    trial.cleanup()
    assert (report["done"], "failure" in report) == (True, False)
    assert "a.out.txt" in report["halt"]


def test_relative_paths_are_from_where_the_search_was_started(
    setup: WorkerSetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for shared, found in ((setup, tmp_path), (replace(setup, working_folder=Path("/no")), scratch)):
        monkeypatch.chdir(scratch)  # Ray does so
        trial = worker(shared)
        trial.step()
        assert Path.cwd() == found
        trial.cleanup()


def test_the_function_is_told_of_the_data_that_are_held_out(
    setup: WorkerSetup, tmp_path: Path
) -> None:
    (tmp_path / "hidden.csv").write_text("60\n30\n")
    held = own_training("my_module:train", "hidden.csv", EPOCHS, held_out=True)
    trial = worker(replace(setup, own=(*setup.own, held)), training=1)
    assert epochs_in(trial.step()) == [1, 2]
    trial.cleanup()
    assert (setup.run / "trials" / "a.out.txt").read_text() == "begins hidden ''\n"


def test_a_trial_that_was_stopped_goes_on_where_the_driver_is(setup: WorkerSetup) -> None:
    trial = worker(setup)
    trial.step()
    trial.cleanup()
    again = worker(setup, known=2)
    assert epochs_in(again.step()) == [3, 4, 5, 6]
    again.cleanup()


@pytest.mark.parametrize(
    ("seed", "reason", "diverged"),
    ((13, "OSError: no image 13", False), (99, "epoch 1: the accuracy is nan", True)),
)
def test_a_function_that_fails_is_a_failed_trial_and_ends_nothing_else(
    seed: int, reason: str, diverged: bool, setup: WorkerSetup
) -> None:
    trial = worker(setup, seed)
    report = trial.step()
    assert report["failure"].startswith(reason)
    assert (report["diverged"], report["done"]) == (diverged, True)
    assert "in train" in report["traceback"]
    assert "halt" not in report
    trial.cleanup()


def test_the_module_is_imported_before_the_gpu_is_asked_for_its_name(
    setup: WorkerSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    del sys.modules["my_module"]
    name = "search.workers.function_trainable.device_name"
    monkeypatch.setattr(name, lambda device: f"imported: {'my_module' in sys.modules}")
    trial = worker(setup)
    assert trial.step()["hardware"] == "imported: True"
    trial.cleanup()


def test_a_module_that_is_not_on_a_worker_stops_the_search(
    setup: WorkerSetup, tmp_path: Path
) -> None:
    del sys.modules["my_module"]
    (tmp_path / "my_module.py").unlink()
    halt = worker(setup).step()["halt"]
    assert "there is no module 'my_module' in" in halt
    assert "On a cluster, every machine needs the module" in halt


def test_another_file_of_the_module_stops_the_search(setup: WorkerSetup) -> None:
    other = replace(setup, own=(replace(setup.own[0], code="f" * 16),))
    trial = worker(other)
    assert "has another file of module my_module than the driver had" in trial.step()["halt"]
    trial.cleanup()  # nothing was begun


@pytest.mark.parametrize(
    ("gpu", "slots", "held"),
    (
        (False, None, {"cpu": 2}),
        (True, None, {"cpu": 2, "gpu": 1}),
        (True, 4, {"cpu": 0.5, "gpu": 0.25}),
    ),
)
def test_a_trial_holds_cpus_and_a_gpu_or_a_share_and_a_process_is_for_one_trial(
    gpu: bool,
    slots: int | None,
    held: dict[str, float],
    setup: WorkerSetup,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ray.tune.with_parameters", lambda trainable, shared: trainable)
    workers = own_workers(setup, Resources(2, gpu, slots, None, None))
    assert workers.held == held
    assert not workers.reused
