"""The command line: every bad input is one sentence and exit code 2, before anything is started."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from training import heeding_ctrl_c

from search.cli import main, search_parser, wherever

REPOSITORY = Path(__file__).resolve().parent.parent
DIGITS = ["--benchmark", "resnet8-digitslt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        (["--benchmark", "resnet8-digitslr"], "did you mean 'resnet8-digitslt'"),
        (["--benchmark", "missing.toml"], "missing.toml"),
        ([*DIGITS, "--space", "cor"], "--space is 'cor'"),
        ([*DIGITS, "--sampler", "bayes"], "--sampler is 'bayes'"),
        ([*DIGITS, "--early-stopping", "pbt"], "--early-stopping is 'pbt'"),
        ([*DIGITS, "--precision", "fp16"], "--precision is 'fp16'"),
        ([*DIGITS, "--baselines", "uniform,typo"], "--baselines is 'typo'"),
        ([*DIGITS, "--trials", "0"], "--trials is 0"),
        ([*DIGITS, "--gpu-hours", "1", "--device", "cpu"], "--gpu-hours is 1, but trials train on"),
        ([*DIGITS, "--holdout", "resnet32-cifar10lt", "--no-confirm"], "but nothing is confirmed"),
        ([*DIGITS, "--confirm-runs", "9", "--no-confirm"], "leave one of them out"),
        (["--benchmark", "resnet8-digitslt,resnet8-digitslt"], "more than once"),
        ([*DIGITS, "--hours", "nan"], "--hours is nan"),
        ([*DIGITS, "--epochs", "0"], "epochs = 0"),
        ([*DIGITS, "--epochs", "41"], "epochs = 41"),
        ([*DIGITS, "--seed", "-1"], "--seed is -1"),
        ([*DIGITS, "--slots", "2", "--device", "cpu"], "--slots is 2, but trials train on the CPU"),
        ([*DIGITS, "--cpus-per-trial", "0"], "--cpus-per-trial is 0"),
        ([*DIGITS, "--cpus-per-trial", "4096"], "--cpus-per-trial is 4096, but there are"),
        ([*DIGITS, "--concurrent", "0"], "--concurrent is 0"),
        ([*DIGITS, "--save-every", "0"], "--save-every is 0"),
        ([*DIGITS, "--name", ".."], "the run's name is '..'"),
        ([*DIGITS, "--name", "../elsewhere"], "the run's name is '../elsewhere'"),
        ([*DIGITS, "--resume"], "to resume"),
        (["show", "nowhere"], "there is no run"),
        (["export", "nowhere"], "there is no run"),
    ),
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("arguments", ([], ["--bench", "x"], [*DIGITS, "--trial", "3"]))
def test_unknown_or_missing_flags_exit_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_run_search_py_starts_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, REPOSITORY / "run_search.py", "--benchmark", "typo"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no benchmark 'typo'")


def readme() -> str:
    return (REPOSITORY / "README.md").read_text()


def test_every_search_command_of_the_readme_parses() -> None:
    commands = re.findall(r"run_search\.py (--[^|`\n]*)$", readme(), flags=re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        search_parser().parse_args(command.split())


def test_a_recorded_command_means_the_same_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["--benchmark", "resnet8-digitslt,mine.toml", "--holdout", "held.toml", "--seed", "7"]
    recorded = list(wherever(given, search_parser().parse_args(given)))
    options = search_parser().parse_args(recorded)
    assert options.benchmark == f"resnet8-digitslt,{tmp_path / 'mine.toml'}"
    assert options.holdout == str(tmp_path / "held.toml")
    assert options.data_root == tmp_path / "data"
    assert options.seed == 7


def test_every_option_of_the_readme_exists() -> None:
    known = search_parser().format_help()
    table = [line for line in readme().splitlines() if line.startswith("| `--")]
    options = [flag for line in table for flag in re.findall(r"`(--[a-z-]+)`", line)]
    assert len(options) >= 10
    assert [flag for flag in options if flag not in known] == []


def test_ci_runs_the_test_command_of_the_readme() -> None:
    (command,) = re.findall(r"^(python3 -m venv .* -m pytest)$", readme(), flags=re.MULTILINE)
    ci = (
        (REPOSITORY / ".ci" / "run")
        .read_text()
        .replace('"$venv/', ".venv/")
        .replace('"$venv"', ".venv")
    )
    assert command in ci.replace('pip"', "pip").replace('python"', "python")


def test_ctrl_c_while_the_program_loads_is_no_traceback(tmp_path: Path) -> None:
    for program in ([str(REPOSITORY / "run_search.py")], ["-m", "trainer"]):
        command = [sys.executable, "-X", "importtime", *program, "--benchmark", "resnet8-digitslt"]
        with heeding_ctrl_c():
            process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        with process:
            assert process.stderr is not None
            for line in process.stderr:
                if line.rstrip().endswith("torch.version"):  # torch has begun to load
                    break
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in rest
        assert rest.splitlines()[-1] == "interrupted"
