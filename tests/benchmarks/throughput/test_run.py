"""The throughput benchmark: what it trains, and how it goes on or refuses."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from repository import REPOSITORY
from training import CPU, DIGITS, digits_data, digits_task, digits_trial, threads

from benchmarks.throughput import __main__ as throughput
from benchmarks.throughput import options, processes, rounds
from benchmarks.throughput.arms import Arm, Job, jobs
from benchmarks.throughput.plain import PlainTraining
from benchmarks.throughput.processes import ArmError, Process
from benchmarks.throughput.worker import EngineTraining, cut
from trainer.execution.task import Task
from trainer.trial import Trial

JOB = Job("resnet8-digitslt", ".", "cpu", 1, 1, 2, 3, Arm("fp32"))
SPEED = 200.0
"""Training images per second of a process of ``FAKE_WORKER``."""
FAKE_WORKER = """
import json, sys
def answer(**fields):
    print(json.dumps(fields | {"warnings": []}), flush=True)
arm = json.loads(sys.stdin.readline())["arm"]
answer()
for line in sys.stdin:
    if arm["compiled"]:
        answer(failed="RuntimeError: no compiler here")
    elif arm["precision"] == "bf16" and line.strip() != "set up":
        sys.exit("first words\\n\\nlast words")
    else:
        answer(seconds=0.5, train_images=100, test_images=50)
"""


@pytest.fixture
def fake_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that train nothing; compiled arms cannot be set up, and bf16 ones die later."""
    monkeypatch.setattr(processes, "COMMAND", (sys.executable, "-c", FAKE_WORKER))
    monkeypatch.setattr(throughput, "measured_ceilings", lambda device: None)
    monkeypatch.setattr(throughput, "catch_interrupts", lambda: None)
    for module in (rounds, options):
        monkeypatch.setattr(module, "available_cpus", lambda: 2)


def measure(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the command on the digits and return its exit code and its JSON."""
    command = ["--benchmarks", "resnet8-digitslt", "--device", "cpu", "--data-root", str(folder)]
    code = throughput.main([*command, "--out", str(folder / "speed"), *options])
    return code, json.loads((folder / "speed.json").read_text())


def arms_of(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {arm["label"]: arm for arm in content["benchmarks"][0]["arms"]}


def test_the_reference_trains_on_as_many_images_as_the_engine() -> None:
    benchmark, data = cut(DIGITS, digits_data(), 2, seed=5)
    weights = (1.0,) * benchmark.num_classes
    trials = [Trial.weighted(benchmark, weights, seed, "fp32") for seed in (1, 2)]
    with threads(1):
        plain = PlainTraining(benchmark, data, CPU, workers=0, seed=1).epochs(3)
        engine = EngineTraining(trials, Task(data, benchmark.padding, CPU), graphs=True).epochs(3)
    assert plain[0] == 3 * 2 * DIGITS.batch_size
    assert engine == (2 * plain[0], 2 * plain[1])


def test_the_engine_trains_on_past_the_end_of_a_trial() -> None:
    trial = digits_trial(epochs=2)
    with threads(1):
        training = EngineTraining([trial], digits_task(), graphs=True)
        images = [training.epochs(number)[0] for number in (1, 2, 1, 5)]
    assert images == [398, 796, 398, 5 * 398]


def test_the_reference_learns() -> None:
    with threads(1):
        plain = PlainTraining(DIGITS, digits_data(), CPU, workers=0, seed=1)
        plain.epochs(6)
    assert plain.accuracy > 50


def test_the_reference_has_as_many_threads_as_the_engine(tmp_path: Path) -> None:
    words = f"""
import dataclasses, torch
from benchmarks.throughput.arms import Arm, Job
from benchmarks.throughput.worker import Worker
for arm in (Arm("fp32", workers=0), Arm("fp32")):
    Worker(Job("resnet8-digitslt", {str(tmp_path)!r}, "cpu", 2, 1, 2, 3, arm))
    print(torch.get_num_threads())
    torch.set_num_threads(1)
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", words]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.stdout.split()[-2:] == ["2", "2"], done.stderr


def test_a_cut_keeps_the_share_of_the_tests() -> None:
    data = digits_data()
    benchmark, few = cut(DIGITS, data, 6, seed=0)
    assert benchmark.train_images == len(few.train_labels) == 6 * 32
    share = len(few.test_labels) / len(data.test_labels)
    assert share == pytest.approx(6 * 32 / 398, abs=0.5 / len(data.test_labels))
    assert len(few.half_a) == len(few.test_labels)


def test_no_cut_is_made_for_more_batches_than_there_are() -> None:
    assert cut(DIGITS, digits_data(), 13, seed=0) == (DIGITS, digits_data())


def test_trials_side_by_side_are_processes_on_a_cpu_and_slots_on_a_gpu() -> None:
    arm = Arm("fp32", together=2)
    on_cpu = jobs(arm, JOB, cpus=5)
    assert [(job.slots, job.threads, job.seed) for job in on_cpu] == [(1, 2, 3), (1, 2, 4)]
    on_gpu = jobs(arm, dataclasses.replace(JOB, device="cuda:0"), cpus=5)
    assert [(job.slots, job.seed) for job in on_gpu] == [(2, 3)]


def test_a_job_survives_its_way_to_the_process() -> None:
    assert Job.from_dict(json.loads(json.dumps(JOB.to_dict()))) == JOB


@pytest.mark.usefixtures("fake_workers")
def test_a_failing_arm_is_reported_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, content = measure(tmp_path, "--compile", "--rounds", "3", "--slots", "1,2")
    assert code == 1
    arms = arms_of(content)
    assert arms["fp32 x1 compiled"]["failure"] == "RuntimeError: no compiler here"
    assert arms["bf16 x2"]["failure"] == "the process ended with 1: last words"
    for label, together in (("plain, 4 workers", 1), ("fp32 x1", 1), ("fp32 x2", 2)):
        seconds = arms[label]["seconds_per_trial"]
        assert seconds["n"] == 3
        assert seconds["median"] == pytest.approx(398 * 40 / SPEED / together)
    assert arms["fp32 x2"]["times_as_fast_as"]["plain, 0 workers"]["median"] == 2.0
    assert "failed: fp32 x1 compiled: RuntimeError: no compiler here" in capsys.readouterr().out


@pytest.mark.usefixtures("fake_workers")
def test_the_table_fits_into_120_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(tmp_path, "--rounds", "2", "--precisions", "fp32", "--workers", "0")
    lines = capsys.readouterr().out.split("\n\n")[2].splitlines()
    assert lines[0].startswith("resnet8-digitslt: 40 epochs")
    assert max(map(len, lines)) <= 120
    assert re.search(r"^fp32 x2 +2 +39.8 +39.8-39.8 +39.8-39.8 +400 +2.00 ", "\n".join(lines), re.M)


@pytest.mark.usefixtures("fake_workers")
def test_a_spent_budget_ends_after_the_round_in_progress(tmp_path: Path) -> None:
    options = ("--rounds", "1000000", "--budget-seconds", "3", "--precisions", "fp32")
    begin = time.monotonic()
    code, content = measure(tmp_path, *options)
    assert time.monotonic() - begin < 10
    assert code == 0
    assert 1 <= arms_of(content)["fp32 x1"]["seconds_per_trial"]["n"] < 1_000_000


@pytest.mark.usefixtures("fake_workers")
@pytest.mark.parametrize(("end", "code"), ((KeyboardInterrupt(), 130), (OSError(5, "gone"), 1)))
def test_an_early_end_keeps_what_was_measured_and_ends_the_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException, code: int
) -> None:
    children = []
    run_round = rounds.run_round

    def interrupted(number: int, arms: list[Any], *rest: Any) -> None:
        children.extend(process.child for arm in arms for process in arm.processes)
        run_round(number, arms, *rest)
        if number == 1:
            raise end

    monkeypatch.setattr(rounds, "run_round", interrupted)
    found, content = measure(tmp_path, "--precisions", "fp32")
    assert found == code
    assert content["interrupted"] is True
    assert arms_of(content)["fp32 x1"]["seconds_per_trial"]["n"] == 2
    assert children
    assert all(child.poll() is not None for child in children)


@pytest.mark.usefixtures("fake_workers")
def test_every_figure_has_its_story(tmp_path: Path) -> None:
    _, content = measure(tmp_path, "--rounds", "1", "--seed", "11")
    assert "--seed 11" in content["command"]
    assert content["versions"]["torch"] == torch.__version__.split("+")[0]
    assert content["seed"] == 11
    assert content["device"]
    assert content["revision"]
    assert content["method"].startswith("Seconds per trial are extrapolated")
    assert "Accuracies are not measured here." in content["method"]
    segments = arms_of(content)["fp32 x2"]["segments"]
    assert [len(segment["processes"]) for segment in segments.values()] == [2]


@pytest.mark.usefixtures("fake_workers")
def test_a_plot_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    measure(tmp_path, "--rounds", "2")
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_a_process_that_does_not_answer_in_time_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    monkeypatch.setattr(processes, "COMMAND", command)
    process = Process(JOB)
    try:
        with pytest.raises(ArmError, match="not ready in the time"):
            process.answer(time.monotonic() + 0.1)
    finally:
        process.end()
    assert process.child.poll() is not None


@pytest.mark.parametrize(
    ("options", "sentence"),
    (
        (["--rounds", "0"], "--rounds is 0; it must be at least 1."),
        (["--slots", "1,x"], "--slots is '1,x'; write whole numbers from 1, such as 1,2,4."),
        (["--slots", "64000"], "--slots is '64000', but trials on a CPU run in processes"),
        (["--workers", "-1"], "--workers is '-1'; write whole numbers from 0"),
        (["--precisions", "fp16"], "--precisions has 'fp16'; choose from tf32, fp32, bf16."),
        (["--precisions", "tf32"], "--precisions has 'tf32', which on a CPU is fp32; write fp32."),
        (["--arms", "fp32*,no*"], "--arms has 'no*', which fits none of: fp32 x1"),
        (["--batches", "0"], "--batches is '0'; it must be a whole number from 1, or all."),
        (["--budget-seconds", "nan"], "--budget-seconds is nan; it must be above 0 and finite."),
        (["--seed", "-1"], "--seed is -1; it must be in 0..2**32-1."),
        (["--out", "/no/such/folder/x"], "--out is /no/such/folder/x; it must be a file name in"),
        (["--device", "tpu"], "device is 'tpu'; it must be auto, cpu, cuda or cuda:N."),
        (["--benchmarks", "resnet8"], "there is no benchmark 'resnet8'"),
    ),
)
def test_bad_options_end_with_one_sentence_and_exit_code_2(
    options: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throughput, "measured_ceilings", lambda device: None)
    monkeypatch.setattr(throughput, "catch_interrupts", lambda: None)
    assert throughput.main(["--device", "cpu", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {sentence}")
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_small_comparison_from_end_to_end(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "speed"
    command = [sys.executable, "-W", "error", "-m", "benchmarks.throughput", "--device", "cpu"]
    options = "--benchmarks resnet8-digitslt --batches 2 --rounds 2 --slots 1 --workers 0,1"
    place = ["--data-root", str(tmp_path), "--out", str(out)]
    done = subprocess.run(
        [*command, *options.split(), *place],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    arms = arms_of(json.loads(out.with_name("speed.json").read_text()))
    labels = ["plain, 0 workers", "plain, 1 worker", "fp32 x1", "bf16 x1"]
    assert list(arms) == labels
    for arm in arms.values():
        assert arm["seconds_per_trial"]["n"] == 2
        assert arm["share_of_floor_percent"] > 0
        for segment in arm["segments"].values():
            (process,) = segment["processes"]
            assert process["train_images"] == arm["epochs"] * 2 * 32
    assert out.with_name("speed.png").stat().st_size > 10_000
