"""The Python API: a run is begun and loaded as from the command line, arguments being options."""

import inspect
import subprocess
import sys
import threading
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from concluded import CASES, conclusion_of
from confirming import new_run
from repository import REPOSITORY
from twin import OBJECTIVE

import search
from search.api.words import again_in_python, request_of, values_in, words_of
from search.config.budget import Budget
from search.config.request import Request, in_arguments
from search.driver.ending import FAILED, FINISHED, INTERRUPTED, Ending
from search.store.run_folder import RunFolder

DIGITS = "resnet8-digitslt"


def test_importing_the_package_loads_nothing_large() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, search; print(*sys.modules)"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "search" in loaded
    assert not loaded & {"torch", "ray", "optuna", "pandas", "sklearn", "numpy", "spaces"}


def test_the_public_names_are_there_and_no_others() -> None:
    assert all(getattr(search, name) for name in search.__all__)
    assert set(search.__all__) <= set(dir(search))
    assert search._HOMES.keys() == set(search.__all__)
    with pytest.raises(AttributeError, match="no attribute 'typo'"):
        _ = search.typo


def test_every_field_of_a_request_is_an_argument_with_the_same_default() -> None:
    arguments = inspect.signature(search.run).parameters
    assert set(arguments) - {"quiet"} == {field.name for field in fields(Request)}
    for field in fields(Request):
        if field.default is not MISSING:
            assert arguments[field.name].default == field.default, field.name


@pytest.mark.parametrize(
    ("given", "sentence"),
    (
        ({"benchmark": "resnet8-digitslr"}, "did you mean 'resnet8-digitslt'"),
        ({"benchmark": []}, "benchmark is missing (resnet32-cifar10lt, "),
        ({"benchmark": 7}, "benchmark is 7; it must be a list"),
        ({"benchmark": (), "trainable": "a:b"}, "class_counts is missing; a training of your"),
        ({"trainable": "a:b"}, "benchmark is given with trainable; leave one of them out."),
        ({"class_counts": [5, 2]}, "class_counts is given without trainable; add it"),
        ({"benchmark": (), "trainable": "a:b", "compile": True}, "precision, compile"),
        ({"trials": "12"}, "trials is '12'; it must be a whole number"),
        ({"trials": 0}, "trials is 0; it must be at least 1"),
        ({"space": "cor"}, "space is 'cor' (did you mean 'core'?)"),
        ({"confirm_runs": 3}, "confirm_runs is 3; it must be at least 9"),
        ({"confirm_runs": 9, "confirm": False}, "confirm_runs is given with confirm=False;"),
        ({"cpus_per_trial": 0}, "cpus_per_trial is 0; it must be at least 1"),
        ({"compile": "yes"}, "compile is 'yes'; it must be true or false"),
        ({"device": "gpu"}, "device is 'gpu'; it must be 'auto', 'cpu' or 'cuda'"),
        ({"baselines": ["uniform", "typo"]}, "baselines is 'typo'"),
        ({"log": "mflow"}, "log is 'mflow' (did you mean 'mlflow'?)"),
        ({"log": ""}, "log is ''; it must be one of"),
        (
            {"prior": "", "sampler": "knowledge-gradient"},
            "prior[0] is ''; it must be a path that is not empty",
        ),
        ({"holdout": ""}, "there is no benchmark ''"),
        ({"sampler": "atuo"}, "sampler is 'atuo' (did you mean 'auto'?); it must be one of auto, "),
        ({"name": "\udcff"}, "name is '\\udcff'; it must be text that UTF-8 can hold"),
        ({"save_every": 0}, "save_every is 0; it must be at least 1"),
        ({"runs": 5}, "runs is 5; it must be a path that is not empty"),
        ({"runs": ""}, "runs is ''; it must be a path that is not empty"),
        ({"data_root": ""}, "data_root is ''; it must be a path that is not empty"),
        ({"gpu_hours": 1, "device": "cpu"}, "gpu_hours is 1, but trials train on the CPU; give"),
        ({"resume": True}, "leave resume=True out to start it."),
    ),
)
def test_bad_input_is_one_sentence_that_names_the_argument(
    given: dict[str, Any], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(search.UserError) as caught:
        search.run(**{"benchmark": DIGITS, "quiet": True} | given)
    assert sentence in str(caught.value)
    assert "--" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_options_in_sentences_become_arguments() -> None:
    said = in_arguments("add --resume, or choose another --name; RUN --output FOLDER -- end")
    assert said == "add resume=True, or choose another name; RUN --output FOLDER -- end"
    assert in_arguments("--trials 9 --epochs 4 takes long") == "trials=9 epochs=4 takes long"


def test_a_search_in_a_thread_that_no_ctrl_c_reaches_is_refused() -> None:
    caught: list[search.UserError] = []

    def call() -> None:
        with pytest.raises(search.UserError, match="call it from the main one") as error:
            search.run(DIGITS)
        caught.append(error.value)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert caught


def test_a_ray_that_is_in_use_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    with pytest.raises(search.UserError, match="Ray is in use in this process"):
        search.run(DIGITS, runs=tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []


def test_what_continues_a_run_asks_for_the_same() -> None:
    given = {"benchmark": DIGITS, "trials": 30, "holdout": "resnet8-digitslt40", "runs": Path("x")}
    more = {"benchmark": [DIGITS, "b.toml"], "baselines": ("uniform",), "address": "ray://u:p@h:1"}
    defaults = {field.name: field.default for field in fields(Request)}
    for values in (given, given | more):
        request = request_of(defaults | values)
        call = again_in_python(request)
        assert max(map(len, call.splitlines())) <= 100
        assert call.rstrip("\n )").rstrip(",").endswith("resume=True")
        said = eval(call.replace("search.run", "dict").replace("dict(", "dict(benchmark=", 1))
        expected = {k: str(v) if k == "runs" else v for k, v in values.items()}
        shown = {"address": "ray://***@h:1"} if "address" in values else {}
        assert request_of(defaults | said) == request_of(
            defaults | expected | {"resume": True} | shown
        )


def test_a_training_of_ones_own_is_asked_for_in_python_and_in_words(tmp_path: Path) -> None:
    defaults = {field.name: field.default for field in fields(Request)}
    given = {"trainable": "a:b", "class_counts": {"cat": 5, "dog": 2}, "epochs": 3}
    request = request_of(defaults | given)
    text = '{"class": ["cat", "dog"], "train": [5, 2]}'
    assert (request.benchmark, request.class_counts) == ((), text)
    assert again_in_python(request) == (
        f"search.run(\n    trainable='a:b',\n    class_counts={text!r},\n    epochs=3,\n"
        "    resume=True,\n)"
    )
    held = {"class_counts": Path("counts.csv"), "holdout": "hidden.csv"}
    words = words_of(request_of(defaults | given | held))
    assert words[2:] == (
        "--trainable",
        "a:b",
        "--counts",
        str(Path.cwd() / "counts.csv"),
        "--holdout",
        str(Path.cwd() / "hidden.csv"),
        "--epochs",
        "3",
    )
    assert request_of(values_in(words)).trainable == "a:b"
    held = request_of(defaults | given | {"holdout": {"owl": 9, "elk": 4}})
    assert held.holdout == '{"class": ["owl", "elk"], "train": [9, 4]}'
    with pytest.raises(search.UserError, match=r"^holdout: class 1: train is 0; it"):
        request_of(defaults | given | {"holdout": [9, 0]})


def test_the_words_of_a_search_can_be_recorded(tmp_path: Path) -> None:
    defaults = {field.name: field.default for field in fields(Request)}
    many = {"trainable": "a:b", "class_counts": range(1, 8143), "epochs": 3}
    words = words_of(request_of(defaults | many))
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.begin_attempt({"arguments": list(words)})
    assert folder.read_attempts()[0].arguments == words
    with pytest.raises(search.UserError, match=r"^'runs.x1b' has control characters, which no"):
        words_of(request_of(defaults | many | {"runs": "runs\x1b"}))


def test_the_end_of_a_search_is_a_run_or_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    conclusion_of(folder.path, *CASES["searched"])

    def ending(code: int) -> None:
        end = Ending(folder, code, "the disk is full.")
        monkeypatch.setattr("search.api.begin.begin", lambda *_, **__: end)

    ending(FINISHED)
    assert search.run(DIGITS).path == folder.path
    ending(INTERRUPTED)
    with pytest.raises(KeyboardInterrupt):
        search.run(DIGITS)
    ending(FAILED)
    with pytest.raises(search.StoppedError) as caught:
        search.run(DIGITS, trials=9)
    assert str(caught.value) == (
        "the disk is full. What was computed stays; search.run('resnet8-digitslt', trials=9, "
        "resume=True) goes on."
    )


Asked = list[tuple[Request, Budget, dict[str, Any]]]
"""What confirmations were begun with."""


@pytest.fixture
def searched(tmp_path: Path) -> search.Run:
    conclusion_of(tmp_path / "run", *CASES["searched"])
    return search.load(tmp_path / "run")


@pytest.fixture
def asked(searched: search.Run, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Of which the first one comes to its end, and the others are interrupted."""
    asked: Asked = []

    def begun(request: Request, budget: Budget, console: object, **rest: Any) -> Ending:
        asked.append((request, budget, rest))
        return Ending(RunFolder(searched.path), FINISHED if len(asked) == 1 else INTERRUPTED)

    monkeypatch.setattr("search.api.begin.begin", begun)
    return asked


def recorded(words: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Have the words on record as the command of every run, and return them."""
    parts = tuple(words.split())
    monkeypatch.setattr("search.api.confirmation.recorded_arguments", lambda _: parts)
    return parts


def test_a_confirmation_is_the_search_s_command_with_what_is_given(
    searched: search.Run, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(search.UserError, match="does not say with which command"):
        searched.confirm()
    command = f"--benchmark {DIGITS} --trials 8 --hours 2 --address h:1 --compile"
    words = recorded(command, monkeypatch)
    assert searched.confirm(12, slots=3, quiet=True).path == searched.path
    [(request, budget, rest)] = asked
    assert (request.benchmark, request.compile, request.trials) == ((DIGITS,), True, 8)
    assert (request.slots, request.hours, request.address) == (3, None, None)
    there = ("run", str(searched.path.parent), True)
    assert (request.name, request.runs, request.resume) == there
    assert (budget.confirm_runs, budget.trials) == (12, len(searched.trials()) + 12)
    assert rest["arguments"] == words
    again = f"search.load({str(searched.path)!r}).confirm(confirm_runs=12, slots=3)"
    assert rest["again"] == again
    monkeypatch.setattr(sys, "stdout", None)  # closed, as a daemon's
    with pytest.raises(KeyboardInterrupt):
        searched.confirm(data_root=Path("data"), log="mlflow")
    assert asked[-1][2]["again"].endswith(".confirm(data_root='data', log=['mlflow'])")
    for few in (8, 0):
        with pytest.raises(search.UserError, match=rf"^confirm_runs is {few}; it must be at least"):
            searched.confirm(few)
    recorded(f"{command} --slots 4", monkeypatch)
    for given, slots in (({}, 4), ({"device": "cpu"}, None), ({"device": "cpu", "slots": 2}, 2)):
        with pytest.raises(KeyboardInterrupt):
            searched.confirm(**given)
        assert asked[-1][0].slots == slots


def test_a_confirmation_of_ones_own_training_names_it_again(
    searched: search.Run, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded("--trainable a.py:b --counts [5,2] --epochs 3 --save-every 2", monkeypatch)
    with pytest.raises(search.UserError, match=r"chooses no code .* again: trainable a.py:b$"):
        searched.confirm()
    searched.confirm(trainable="mine.py:b")
    assert (asked[-1][0].trainable, asked[-1][0].save_every) == ("mine.py:b", None)
    assert asked[-1][2]["again"].endswith(".confirm(trainable='mine.py:b')")
    empty = new_run(tmp_path / "empty", OBJECTIVE)
    empty.begin_attempt({"resources": {}, "device": "cpu"})
    with pytest.raises(search.UserError, match="run 'empty' has nothing to confirm: no trial of"):
        search.load(empty.path).confirm(trainable="mine.py:b")
    recorded("--typo 1", monkeypatch)
    with pytest.raises(
        search.UserError, match=r"command of the run cannot be read \(.*another name"
    ):
        searched.confirm()


@pytest.mark.parametrize("case", ("searched", "joint", "holdout"))
def test_a_run_is_loaded_whatever_it_is(case: str, tmp_path: Path) -> None:
    conclusion = conclusion_of(tmp_path / "run", *CASES[case])
    run = search.load(tmp_path / "run")
    verdict, rows = run.verdict, run.trials()
    assert (verdict is None) is (conclusion.judgement is None)
    assert verdict is None or str(verdict).splitlines() == verdict.sentences()
    assert [row["key"] for row in rows] == [row.key for row in conclusion.rows]
    assert len({tuple(row) for row in rows}) == 1
    assert {type(value) for row in rows for value in row.values()} <= {
        *(str, int, float, bool, type(None))
    }
    assert repr(run) == f"<Run {str(run.path)!r}, {len(rows)} trials>"
    assert conclusion.winner is not None
    assert run.strategy == conclusion.winner[1]
    assert run.weights is not None
    assert sum(run.weights) == pytest.approx(len(run.weights))
    assert conclusion.winner[0] in str(run)
    assert f"<td>{conclusion.winner[0]}</td>" in run._repr_html_()


def test_a_run_is_written_where_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.export.export.verify_export", lambda *_: None)  # it loads torch
    conclusion_of(tmp_path / "run", *CASES["searched"])
    run = search.load(tmp_path / "run")
    assert run.export().record == tmp_path / "run" / "best.json"
    assert run.export(tmp_path / "out").module == tmp_path / "out" / "best_weighting.py"
    assert run.report() == tmp_path / "run" / "report.html"
    assert run.report(tmp_path / "page.html").read_text().startswith("<!doctype html>")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run.export("~/home").record == tmp_path / "home" / "best.json"
    assert run.report("~/home/page.html") == tmp_path / "home" / "page.html"


def test_texts_of_a_run_are_escaped_in_a_notebook(tmp_path: Path) -> None:
    place = tmp_path / "<img src=x onerror=alert(1)>"
    place.mkdir()
    conclusion_of(place / "run", *CASES["searched"])
    html = search.load(place / "run")._repr_html_()
    assert "<img" not in html
    assert "&lt;img" in html
    assert len(html) < 4000


def test_what_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(search.UserError, match="there is no run at"):
        search.load(tmp_path / "nowhere")
