"""The command line: every bad input is one sentence and exit code 2, before anything is started."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from concluded import CASES, conclusion_of
from repository import REPOSITORY
from searching import search_parser

from search.api.words import request_of, values_in, words_of
from search.cli.commands import COMMANDS, main
from search.cli.overview import overview
from search.cli.request import options_request
from search.config.budget import Budget
from search.config.request import ARGUMENTS, in_options
from search.config.settings import Resources, Settings
from search.samplers.registry import SAMPLERS
from spaces import NAMED, PARAMETERS, SPACES
from trainer.benchmarks import BENCHMARKS

DIGITS = ["--benchmark", "resnet8-digitslt"]


NO_STOPS, BLOCKS = ("--early-stopping", "none"), ("--sampler", "knowledge-gradient")
WHOLE_PATHS = ("--data-root", "/data", "--runs", "/runs", "--dry-run")


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        (["--benchmark", "resnet8-digitslr"], "did you mean 'resnet8-digitslt'"),
        (["--benchmark", "missing.toml"], "missing.toml"),
        (["--benchmark", "resnet8-digitslt,"], "there is no benchmark ''"),
        ([*DIGITS, "--name", ""], "the run's name is ''"),
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
        ([*DIGITS, "--confirm-runs", "8"], "--confirm-runs is 8"),
        ([*DIGITS, "--trials", "9", "--confirm-runs", "9"], "--trials is 9, and the runs of the"),
        ([*DIGITS, "--hours", "nan"], "--hours is nan"),
        ([*DIGITS, "--epochs", "0"], "epochs = 0"),
        ([*DIGITS, "--epochs", "41"], "epochs = 41"),
        ([*DIGITS, "--seed", "-1"], "--seed is -1"),
        ([*DIGITS, "--slots", "2", "--device", "cpu"], "--slots is 2, but trials train on the CPU"),
        ([*DIGITS, "--cpus-per-trial", "0"], "--cpus-per-trial is 0"),
        ([*DIGITS, "--cpus-per-trial", "4096"], "--cpus-per-trial is 4096, but this machine has"),
        ([*DIGITS, "--concurrent", "0"], "--concurrent is 0"),
        ([*DIGITS, "--save-every", "0"], "--save-every is 0"),
        ([*DIGITS, "--name", ".."], "the run's name is '..'"),
        ([*DIGITS, "--name", "../elsewhere"], "the run's name is '../elsewhere'"),
        ([*DIGITS, *NO_STOPS, "--grace-epochs", "1"], "with --early-stopping none; leave them"),
        ([*DIGITS, *BLOCKS, "--reduction-factor", "3"], "and --sampler knowledge-gradient; leave"),
        ([*DIGITS, "--resume"], "to resume"),
        (["show", "nowhere"], "there is no run"),
        (["export", "nowhere"], "there is no run"),
        (["list", ""], "the path '' is empty"),
        (["--trials", "3"], "--benchmark is missing (resnet32-cifar10lt, "),
        ([*DIGITS, "--counts", "a.csv"], "--counts is given without --trainable"),
        (["--trainable", "a:b", *DIGITS], "--benchmark is given with --trainable"),
        (["--trainable", "a:b", "--compile"], "--compile and --save-every are for this program's"),
        (["--trainable", "a:b", "--save-every", "2"], "--precision, --compile and --save-every"),
        (["--trainable", "a:b", "--epochs", "3"], "--counts is missing; a training of your own"),
        (["--trainable", "a:b", "--counts", "a.csv"], "--epochs is missing; say how many"),
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


@pytest.mark.parametrize("arguments", (DIGITS, [*DIGITS, *WHOLE_PATHS], ["list", "runs"]))
def test_a_folder_that_was_deleted_is_one_sentence(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(arguments) == 2
    said = "error: the folder in which this was started has been deleted; change to one that is "
    assert capsys.readouterr().err == f"{said}there (cd), and start it again\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    (
        (["--bench", "x"], "there is no option --bench (did you mean '--benchmark'?)"),
        ([*DIGITS, "--trials", "three"], "--trials is 'three'; it must be a whole number"),
        ([*DIGITS, "--device", "gpu"], "--device is 'gpu'; it must be one of auto, cpu, cuda"),
        ([*DIGITS, "extra"], "'extra' is not expected here"),
        (["search", "--benchmark"], "--benchmark needs a value (resnet32-cifar10lt, "),
        (["confirm", "a", "--trials", "3"], "there is no option --trials"),
        (["show"], "RUN is missing (run folder, such as runs/resnet8-digitslt)"),
        (["compare"], "RUN is missing (run folders of one benchmark)"),
        ([*DIGITS, "--runs", ""], "--runs: the path '' is empty; give one, such as . for this"),
        ([*DIGITS, "--data-root", ""], "--data-root: the path '' is empty"),
        (["export", "a", "--output", ""], "--output: the path '' is empty"),
        (["show", ""], "RUN: the path '' is empty"),
    ),
)
def test_what_argparse_refuses_is_one_sentence_too(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {sentence}")
    assert "; see python run_search.py " in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "meant"),
    (
        (["serach", *DIGITS], "(did you mean 'search'?)"),
        (["resnet8-digitslt"], "(did you mean --benchmark resnet8-digitslt?)"),
    ),
)
def test_an_unknown_command_is_one_sentence(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    help_on = "'python run_search.py help' shows all of them."
    said = f"error: there is no command {arguments[0]!r} {meant}; {help_on}\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(("arguments", "code"), (([], 2), (["help"], 0), (["help", "help"], 0)))
def test_without_a_command_there_is_an_overview_with_two_examples(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    text = capsys.readouterr().out
    assert text.count("  python run_search.py ") == 2
    assert all(f"  {name} " in text for name in COMMANDS)
    assert max(map(len, overview(COMMANDS).splitlines())) <= 80


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "help"])
def test_help_of_a_command_is_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["help", name])
    assert f"usage: python run_search.py {name}".removesuffix(" search") in capsys.readouterr().out


def test_help_shows_each_default_once() -> None:
    text = " ".join(search_parser().format_help().split())
    assert "(default: a third of the trials)" in text
    assert "(default: 42)" in text
    assert not re.search(r"\(default: (None|False|True|\(\))\)", text)
    assert not re.search(r"\(default: [^)]*\) \(default", text)


def test_every_field_that_may_break_a_rule_has_an_option() -> None:
    fields = {
        field.name for kind in (Settings, Budget, Resources) for field in dataclasses.fields(kind)
    }
    arguments = {ARGUMENTS.get(name, name) for name in fields}
    assert {name for name in arguments if not in_options(name).startswith("--")} == {
        "benchmarks",
        "block",
        "gpu",
    }
    assert in_options("baselines[1] is 'x'.") == "--baselines is 'x'."


def test_the_word_search_may_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    typo = ["--benchmark", "typo"]
    assert [main(["search", *typo]), main(typo)] == [2, 2]
    first, second = capsys.readouterr().err.splitlines()
    assert first == second


def test_list_names_every_entry_of_the_registries_in_80_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    searched = {domain.name for space in SPACES.values() for domain in space.domains}
    for name in (*BENCHMARKS, *NAMED, *SAMPLERS, *(searched & PARAMETERS.keys())):
        assert name in text
    assert "*: a control in the spaces core, full, schedule, unless --baselines" in text
    assert max(map(len, text.splitlines())) <= 80


LIGHT = """
import sys
from search.cli.commands import main
from search.export import export
export.verify_export = lambda *_: None  # which loads torch in a process of its own
for line in sys.stdin:
    try:
        main(line.split())
    except SystemExit:
        pass
    large = sorted({"torch", "ray", "scipy.stats"} & sys.modules.keys())
    print(line.strip(), large, file=sys.stderr)
"""


def test_what_needs_nothing_large_loads_nothing_large(tmp_path: Path) -> None:
    conclusion_of(tmp_path / "run", *CASES["searched"])
    (tmp_path / "counts.csv").write_text("cat,5\nowl,300\n")
    commands = ("--help", "list", "show run", "export run --counts counts.csv", "export run")
    done = subprocess.run(
        [sys.executable, "-c", LIGHT],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        input="\n".join(commands),
        capture_output=True,
        text=True,
        check=True,
    )
    told = [line for line in done.stderr.splitlines() if line.endswith("]")]
    assert told == [f"{command} []" for command in commands]
    assert "owl" in done.stdout
    assert "best_weighting.py" in done.stdout


def test_the_version_names_the_program_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.match(r"class-weighting-search \d+\.\d+\.\d+, torch ", capsys.readouterr().out)


def test_a_recorded_command_means_the_same_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [
        *("--benchmark", "resnet8-digitslt,mine.toml", "--holdout", "held.toml", "--seed", "7"),
        *("--baselines", "none", "--log", "mlflow,wandb", "--compile", "--no-confirm", "--resume"),
    ]
    asked = options_request(search_parser().parse_args(given))
    read = request_of(values_in([*words_of(asked), "--resume"]))
    assert read == dataclasses.replace(
        asked,
        benchmark=("resnet8-digitslt", str(tmp_path / "mine.toml")),
        holdout=str(tmp_path / "held.toml"),
        data_root=str(tmp_path / "data"),
    )
    assert (read.baselines, read.log, read.compile, read.confirm) == (
        (),
        ("mlflow", "wandb"),
        True,
        False,
    )


def test_ctrl_c_while_the_program_loads_is_no_traceback(tmp_path: Path) -> None:
    search = [str(REPOSITORY / "run_search.py")]
    for program in (search, ["-m", "trainer"], ["-m", "benchmarks.label_noise"]):
        command = [sys.executable, "-X", "importtime", *program, "--benchmark", "resnet8-digitslt"]
        with subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if line.rstrip().endswith("torch.version"):  # torch has begun to load
                    break
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in rest
        assert rest.splitlines()[-1] == "interrupted"
