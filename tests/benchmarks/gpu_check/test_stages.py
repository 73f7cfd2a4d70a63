"""Stages of the check on a GPU, in this process: tests with limits, and whole trainings."""

from pathlib import Path

import pytest
import torch
from training import CPU, threads

from benchmarks.gpu_check.context import Context
from benchmarks.gpu_check.made_up import made_up
from benchmarks.gpu_check.plan import STAGES
from benchmarks.gpu_check.results import FILE, Results, rows_of
from benchmarks.gpu_check.stages import __main__ as process
from benchmarks.gpu_check.stages import accuracy
from benchmarks.gpu_check.stages.suite.stage import run_tests

SUITE = """
import os
import time

import pytest

pytestmark = pytest.mark.gpu


def test_hangs():
    time.sleep(60)


def test_breaks():
    raise RuntimeError("CUDA error: an illegal memory access")


@pytest.mark.parametrize("compiled", (True, False))
def test_passes(compiled):
    pass


def test_ends():
    os._exit(7)
"""
"""Tests of which one takes too long, one breaks the GPU, and one ends its process."""


@pytest.mark.slow
def test_a_test_that_hangs_breaks_the_gpu_or_ends_costs_no_other(tmp_path: Path) -> None:
    tests, results = tmp_path / "test_suite.py", Results(tmp_path / FILE, "tests")
    tests.write_text(SUITE)
    assert not run_tests([tests], results, tmp_path / "begun", 1.0)
    rows = rows_of(results.path.read_bytes())
    assert [(row["test"].partition("::")[2], row["outcome"]) for row in rows] == [
        ("test_hangs", "failed"),
        ("test_breaks", "failed"),
        ("test_passes[False]", "passed"),
        ("test_ends", "failed"),
    ]
    reasons = [row.get("reason", "") for row in rows]
    assert reasons[0] == "it ended its process (exit code 1), or took over 1 s"
    assert "CUDA error" in reasons[1]
    assert reasons[3] == "it ended its process (exit code 7), or took over 1 s"
    compiled = Results(tmp_path / "compiled", "tests-compiled")
    assert run_tests([tests], compiled, tmp_path / "begun", 1.0)
    (row,) = rows_of(compiled.path.read_bytes())
    assert row["test"].endswith("test_passes[True]")


@pytest.mark.slow
def test_strategies_are_trained_side_by_side_each_in_its_own_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, results = STAGES["accuracy-strategies"], Results(tmp_path / FILE, "accuracy-strategies")
    monkeypatch.setattr(accuracy, "prepare", lambda benchmark, _: benchmark)
    monkeypatch.setattr(accuracy, "load", lambda benchmark, _: made_up(benchmark)[1])
    with threads(1):
        accuracy.run(Context(stage, CPU, True, 60.0, tmp_path, tmp_path, results))
    rows = rows_of(results.path.read_bytes())
    assert [row["strategy"] for row in rows if "best" in row] == list(stage.strategies)
    losses = {row["train_loss"] for row in rows if "train_loss" in row}
    assert len(losses) == len(stage.strategies)
    assert rows[-1]["trained"] == len(stage.strategies)


def test_a_stage_makes_its_gpu_the_one_on_which_kernels_are_launched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu, calls = torch.device("cuda", 1), []
    monkeypatch.setattr(process, "end_with_parent", lambda: None)
    monkeypatch.setattr(process, "LOGGERS", ())
    monkeypatch.setattr("faulthandler.enable", lambda: None)
    monkeypatch.setattr(process, "configure", lambda *_, **__: calls.append("configured"))
    monkeypatch.setattr(process, "select_device", lambda name: torch.device(name))
    monkeypatch.setattr(process, "device_name", str)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.setitem(process.KINDS, "facts", lambda context: calls.append(context.device))
    words = ["facts", "--out", str(tmp_path), "--scratch", str(tmp_path), "--seconds", "1"]
    monkeypatch.setattr("sys.argv", ["stages", *words, "--device", "cuda:1"])
    assert process.main() == 0
    assert calls == ["configured", gpu, gpu]
