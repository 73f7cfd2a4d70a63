"""``python -m trainer`` as a user runs it: its last lines, its files, its refusals."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from repository import REPOSITORY
from training import threads

from spaces import Strategy, Weighting
from trainer.benchmarks import BENCHMARKS
from trainer.cli import arguments, chosen_strategy, main
from trainer.execution.slot import Slot

DIGITS = ["--benchmark", "resnet8-digitslt", "--threads", "1"]
COMMAND = [sys.executable, "-W", "error", "-m", "trainer", *DIGITS]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}


def run(place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        cwd=place,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def call(*options: str) -> int:
    """Run the command line in this process, in the current folder."""
    with threads(1):
        return main([*DIGITS, *options])


def epochs_of(output: Path) -> list[dict[str, Any]]:
    """Return the epochs in an output file, without the times that differ between runs."""
    rows: list[dict[str, Any]] = json.loads(output.read_text())["epochs"]
    return [row | {"seconds": None} for row in rows]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def done(place: Path) -> subprocess.CompletedProcess[str]:
    options = ("--epochs", "2", "--seed", "7", "--weighting", "inverse", "--output", "first.json")
    return run(place, *options)


def test_it_exits_with_0_and_says_nothing_on_stderr(
    done: subprocess.CompletedProcess[str],
) -> None:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_it_says_first_what_is_trained(done: subprocess.CompletedProcess[str]) -> None:
    first = done.stdout.splitlines()[0]
    assert first.startswith("resnet8-digitslt, p=1, seed 7, tf32 on ")
    assert first.endswith(", 1 thread")


def test_its_last_lines_are_the_scores_and_the_protocol(
    done: subprocess.CompletedProcess[str],
) -> None:
    best, others, speed = done.stdout.splitlines()[-3:]
    number = r"\d+\.\d\d"
    assert re.fullmatch(
        rf"test accuracy: best {number} % \(epoch [12]\), last {number} %, last ten {number} %",
        best,
    )
    assert re.fullmatch(
        rf"at that epoch balanced accuracy {number} %, macro F1 {number} %, "
        rf"worst-class accuracy {number} %; accuracy of classes in percent: "
        rf"many {number}, medium {number}, few {number}",
        others,
    )
    assert re.fullmatch(
        r"2 epochs in \d+\.\d s, \d+ training images/s, evaluation included; "
        r"2 of 40 epochs \(shortened\)",
        speed,
    )


def test_output_tells_the_whole_story(done: subprocess.CompletedProcess[str], place: Path) -> None:
    content = json.loads((place / "first.json").read_text())
    shortened = BENCHMARKS["resnet8-digitslt"].with_epochs(2)
    assert content["benchmark"] == shortened.to_dict()
    assert content["protocol"] == "2 of 40 epochs (shortened)"
    assert content["weighting"]["exponent"] == 1.0
    assert len(content["weights"]) == 10
    assert sum(content["weights"]) == pytest.approx(10)
    assert (content["seed"], content["precision"], content["threads"]) == (7, "tf32", 1)
    assert re.fullmatch("[0-9a-f]{16}", content["configuration"])
    assert content["device"]
    assert set(content["provenance"]) == {"time", "versions", "cpu", "revision"}
    assert {"python", "torch", "numpy"} <= set(content["provenance"]["versions"])
    assert [row["epoch"] for row in content["epochs"]] == [1, 2]
    assert content["summary"]["best_score"] == content["epochs"][-1]["best_score"]


def test_the_same_command_twice_gives_the_same_numbers(
    done: subprocess.CompletedProcess[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    options = ("--epochs", "2", "--seed", "7", "--weighting", "inverse")
    assert call(*options, "--output", "second.json") == 0
    assert epochs_of(place / "second.json") == epochs_of(place / "first.json")


def test_output_can_be_given_back_as_the_weighting(
    done: subprocess.CompletedProcess[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    options = ("--epochs", "2", "--seed", "7", "--weighting", "first.json")
    assert call(*options, "--output", "third.json") == 0
    assert epochs_of(place / "third.json") == epochs_of(place / "first.json")


def test_a_strategy_is_named_said_and_given_back_by_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--epochs", "2", "--seed", "7", "--save-every", "1")
    first = ("--strategy", "cb_focal", "--output", "first.json", "--checkpoints", "new/folder")
    assert call(*options, *first) == 0
    assert Path("new/folder/epoch-00001.ckpt").is_file()
    assert "focusing=1" in capsys.readouterr().out.splitlines()[0]
    content = json.loads(Path("first.json").read_text())
    assert content["strategy"]["focusing"] == 1.0
    assert content["kind"] == "class weights + focal loss"
    assert call(*options, "--strategy", "first.json", "--output", "second.json") == 0
    assert epochs_of(Path("second.json")) == epochs_of(Path("first.json"))


def test_a_weighting_and_a_strategy_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        call("--strategy", "drw", "--weighting", "inverse")
    assert stop.value.code == 2
    assert "--weighting cannot be given with --strategy" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    (
        {"schema_version": 2, "strategy": {"exponent": 0.5}},
        {"schema_version": 1, "weighting": {"exponent": 0.5}},
        {"exponent": 0.5},
    ),
)
def test_a_weighting_is_read_from_each_form_of_file(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "best.json").write_text(json.dumps(content))
    for option in ("--weighting", "--strategy"):
        options = arguments([*DIGITS, option, "~/best.json"])
        assert chosen_strategy(options) == Strategy.of(Weighting(exponent=0.5))


@pytest.mark.parametrize(
    ("options", "words"),
    (
        (["--benchmark", "resnet8-digitslr"], "did you mean 'resnet8-digitslt'"),
        (["--benchmark", "missing.toml"], "missing.toml cannot be read"),
        (["--weighting", "invers"], "weighting is 'invers'"),
        (["--weighting", "broken.json"], "broken.json does not hold a weighting"),
        (["--weighting", "deep.json"], "deep.json does not hold a weighting"),
        (["--weighting", "list.json"], "list.json does not hold a weighting: it must be an object"),
        (["--weighting", "late.json"], "late.json holds focal loss; give it as --strategy."),
        (
            ["--strategy", "logit_adjust"],
            "(did you mean 'logit_adjusted'?)",
        ),
        (["--strategy", "broken.json"], "broken.json does not hold a strategy"),
        (["--device", "gpu"], "device is 'gpu'"),
        (["--device", "cuda:77"], "device is 'cuda:77'"),
        (["--seed", "-1"], "--seed is -1"),
        (["--seed", str(2**63)], f"--seed is {2**63}"),
        (["--epochs", "0"], "--epochs is 0"),
        (["--epochs", "41"], "epochs = 41"),
        (["--threads", "0"], "--threads is 0"),
        (["--threads", "1000000"], "--threads is 1000000; it must be at most the "),
        (["--save-every", "0"], "--save-every is 0"),
        (["--output", "absent/out.json"], "--output is absent/out.json"),
        (["--output", "."], "--output is ."),
        (["--output", "/proc/self/fd/0"], "--output is /proc/self/fd/0; it must be a file"),
        (["--output", "/proc/out.json"], "--output is /proc/out.json, which cannot be written to"),
        (["--checkpoints", "broken.json"], "--checkpoints is broken.json"),
        (["--checkpoints", "broken.json/a"], "cannot be written to (Not a directory)"),
    ),
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    options: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text('{"exponent": ')
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "list.json").write_text('{"strategy": [1]}')
    (tmp_path / "late.json").write_text('{"strategy": {"focusing": 1.0}}')
    assert call(*options) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"broken.json", "deep.json", "late.json", "list.json"}


@pytest.mark.parametrize("options", (["--epoch", "2"], ["--sed", "1"], ["--precision", "fp16"]))
def test_a_mistyped_flag_or_choice_exits_with_2(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        call(*options)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert options[0] in error
    assert error.count("\n") == 1


def test_a_diverged_training_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trainer.execution.loop.learning_rates", lambda *_: [1e30, 1e30])
    monkeypatch.chdir(tmp_path)
    assert call("--epochs", "2", "--output", "out.json") == 1
    assert capsys.readouterr().err.startswith("training failed: epoch 1: ")
    assert not (tmp_path / "out.json").exists()


def test_a_gpu_whose_memory_ends_is_one_sentence_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Slot, *_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Slot, "__init__", full)
    assert call("--epochs", "1") == 1
    sentence = "training failed: CUDA out of memory. Tried to allocate 2.00 GiB."
    assert capsys.readouterr().err == f"{sentence}\n"


def test_a_compiler_that_is_missing_is_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(size: int) -> None:
        reason = RuntimeError("No working C++ compiler found\nin a long list")
        raise torch._dynamo.exc.BackendCompilerFailed(fails, reason, None)

    monkeypatch.setattr(torch, "compile", lambda function, **options: fails)
    assert call("--compile", "--epochs", "1") == 2
    sentence = "torch.compile fails here (No working C++ compiler found); install what it names, or"
    assert capsys.readouterr().err == f"error: {sentence} go without --compile.\n"


def interrupted(place: Path, number: signal.Signals, *options: str) -> tuple[int, str, str]:
    """Run until the third epoch is printed, end it, and return exit code, stdout, stderr."""
    with subprocess.Popen(
        [*COMMAND, *options],
        cwd=place,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("epoch 3:"):
                process.send_signal(number)
                break
        rest, errors = process.communicate(timeout=60)
    return process.returncode, "".join(lines) + rest, errors


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_an_interrupt_exits_with_130_and_saves_what_was_trained(
    tmp_path: Path,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--epochs", "20", "--checkpoints", "saved", "--save-every", "15")
    code, output, errors = interrupted(tmp_path, number, *options)
    assert code == 130, errors
    assert errors == "interrupted\n"
    assert "epoch 20:" not in output
    (saved,) = (tmp_path / "saved").glob("*.ckpt")
    said = re.search("^saved in epoch ([0-9]+); the same command goes on", output, re.MULTILINE)
    assert said
    assert saved.name == f"epoch-{int(said[1]) - 1:05d}.ckpt"
    monkeypatch.chdir(tmp_path)
    trained: list[int] = []
    monkeypatch.setattr(Slot, "epoch", counting(trained))
    assert call(*options, "--output", "resumed.json") == 0
    assert trained == list(range(int(said[1]), 21))
    # A set: rich prints a line again when it is interrupted between writing and forgetting it.
    printed = set(re.findall(r"^epoch [123]:.*$", output, re.MULTILINE))
    assert len(printed) == 3
    assert printed <= set(capsys.readouterr().out.splitlines())
    epochs = [row["epoch"] for row in epochs_of(tmp_path / "resumed.json")]
    assert epochs == list(range(1, 21))


def counting(trained: list[int]) -> Any:
    epoch = Slot.epoch

    def counted(slot: Slot, number: int, rate: float) -> Any:
        trained.append(number)
        return epoch(slot, number, rate)

    return counted


def test_checkpoints_of_another_trial_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--epochs", "2", "--checkpoints", "saved", "--save-every", "1")
    assert call(*options) == 0
    capsys.readouterr()
    assert call(*options, "--seed", "43") == 2
    error = capsys.readouterr().err
    assert "use another checkpoint folder" in error
    assert error.count("\n") == 1
