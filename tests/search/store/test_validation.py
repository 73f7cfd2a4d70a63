"""What this program would not write is refused in one sentence."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confirming import manifest_of, steady, whole_run
from forging import Lines, forge
from twin import BENCHMARK, OBJECTIVE, make_settings, results_of

from search.cli.commands import main
from search.store.attempts import Attempt
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.validation import from_json, printable
from spaces.errors import UserError

KEY = "baselines-00000"
Change = Callable[[dict[str, Any]], object]


def put(*path: str | int, value: object) -> Change:
    """Return the change that puts a value at a place."""

    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


def dropped(key: str) -> Change:
    return lambda document: document.pop(key)


def renamed(setting: str, name: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["settings"][name] = document["settings"].pop(setting)

    return change


FACTS_0 = ("benchmarks", 0, "facts")


@pytest.mark.parametrize(
    ("change", "words"),
    (
        (
            put("schema_version", value=4),
            "has schema version 4, and this program reads 2 and 3; use the",
        ),
        (put("schema_version", value=True), "schema_version is True; it must be 3"),
        (put("extra", value=1), "extra is not known; known are schema_version, "),
        (put("\x1b[2J", value=1), r"\x1b[2J is not known; known are schema_version, "),
        (dropped("settings"), "settings is missing; restore"),
        (dropped("holdout"), "holdout is missing; restore"),
        (put("benchmarks", value=[]), "benchmarks is []; it must be a list of at least 1"),
        (put("benchmarks", value={}), "benchmarks is {}; it must be a list"),
        (put("fingerprint", value="x" * 16), "fingerprint is 'xxxxxxxxxxxxxxxx'; it must be 16 he"),
        (put("settings", "seed", value=-1), "settings.seed is -1; it must be at least 0"),
        (put("settings", "seed", value=2**63), "settings.seed is 9223372036854775808; it must be"),
        (put("settings", "space", value="a b"), "settings.space is 'a b'; it must be one of core"),
        (put("settings", "baselines", value=["uniform"] * 2), "baselines is uniform,uniform; name"),
        (put("settings", "baselines", value=["\x1b"]), r"baselines[0] is '\x1b'; it must be"),
        (put("settings", "compiled", value=0), "settings.compiled is 0; it must be true or false"),
        (put("schema_version", value="3"), "schema_version is '3'; it must be 3"),
        (renamed("seed", "sead"), "settings.sead is not known (did you mean 'seed'?); known are "),
        (put("settings", "sampelr", value=0), "sampelr is not known (did you mean 'sampler'?)"),
        (put(*FACTS_0, "epochs", value=0), "benchmarks[0].facts.epochs is 0; it must be at least"),
        (put(*FACTS_0, "epochs", value=6.0), "benchmarks[0].facts.epochs is 6.0; it must be a who"),
        (put(*FACTS_0, "epochs", value=True), "benchmarks[0].facts.epochs is True; it must be a"),
        (put(*FACTS_0, "counts", 1, value=0), "benchmarks[0].facts.counts[1] is 0; it must be at"),
        (put(*FACTS_0, "counts", value="4" * 999), "benchmarks[0].facts.counts is '4444444444444"),
        (put(*FACTS_0, "counts", value=[1, 2]), "states 4, 2, 4, 4 class names, training counts"),
        (put(*FACTS_0, "half_counts", value=[[1]]), "facts.half_counts[1] is missing; restore"),
        (put(*FACTS_0, "noise_sd", value=0), "noise_sd is 0; it must be at least 0.001"),
        (put(*FACTS_0, "noise_sd", value=1e999), "settings.json is not JSON: Infinity is no"),
        (put(*FACTS_0, "name", value="../up"), "benchmarks[0].facts.name is '../up'; it must be"),
        (put("benchmarks", 0, "protocol", value="\x1b[2J"), r"protocol is '\x1b[2J'; it must be"),
        (put("benchmarks", 0, "protocol", value="[/red]"), "protocol is '[/red]'; it must be at"),
        (put("benchmarks", 0, "benchmark", "name", value="a\n"), r"benchmark.name is 'a\n'; it mu"),
        (put("benchmarks", 0, "benchmark", "folder", value={"state": 0}), "folder.train is missi"),
        (put("benchmarks", 0, "class_names", value=[1] * 4), "class_names[0] is 1; it must be tex"),
        (put("holdout", value=[]), "holdout is []; it must be a table of keys and values"),
        (put("holdout", value={}), "holdout.benchmark is missing; restore"),
    ),
)
def test_settings_that_break_a_rule_are_refused(
    tmp_path: Path, change: Change, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    content = json.loads(json.dumps(manifest_of(OBJECTIVE, make_settings()).to_dict()))
    change(content)
    folder.settings.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        folder.read_manifest()
    assert words in str(caught.value)
    assert str(folder.settings) in str(caught.value)
    assert main(["show", str(folder.path)]) == 2
    error = capsys.readouterr().err
    assert error == f"error: {caught.value}\n"
    assert error.count("\n") == 1
    assert printable(error.rstrip("\n")) == error.rstrip("\n")


def test_settings_that_are_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.settings.write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"settings.json is not JSON: it is nested too deeply"):
        folder.read_manifest()


@pytest.mark.parametrize(
    ("line", "words"),
    (
        ({}, "line 1 of .*attempts.jsonl cannot be used: attempt is missing; restore"),
        ({"attempt": 0}, "attempt is 0; it must be at least 1"),
        ({"attempt": 1, "device": "tpu"}, "device is 'tpu'; it must be 'cpu' or 'cuda'"),
        ({"attempt": 1, "arguments": ["\x1b"]}, r"arguments\[0\] is '\\x1b'; it must be text with"),
        ({"attempt": 1, "arguments": "--seed 3"}, "arguments is '--seed 3'; it must be a list"),
        (
            {"attempt": 1, "versions": {"ray": 2}},
            "versions.ray is 2; it must be at most 200",
        ),
        ({"attempt": 1, "revision": "a b"}, "revision is 'a b'; it must be at most 200 letters"),
        (
            {"attempt": 1, "cost": {"epoch_seconds": [-1], "concurrency": 1}},
            r"cost.epoch_seconds\[0\] is -1; it must be at least 0",
        ),
    ),
)
def test_a_start_that_breaks_a_rule_is_refused(
    tmp_path: Path, line: dict[str, object], words: str
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.attempts.write_text(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=words):
        folder.read_attempts()


def test_a_start_that_later_versions_add_to_is_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.begin_attempt({"device": "cuda", "weather": {"deep": [1]}})
    assert folder.read_attempts() == [Attempt(1, "cuda")]


def test_a_start_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    budget = '{"a":' * 900 + "1" + "}" * 900
    folder.attempts.write_text(f'{{"attempt": 1, "budget": {budget}}}\n')
    with pytest.raises(UserError, match=r"line 1 of .* cannot be used: "):
        folder.read_attempts()


def test_a_run_without_a_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say how the run was started"):
        RunFolder(tmp_path / "run").read_attempts()


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_run(tmp_path_factory.mktemp("runs") / "run", steady, 20, 12, OBJECTIVE).path


def with_fact(folder: Path, kind: str, name: str, value: object) -> Path:
    """Give the first fact of a kind on a run's record another attribute, or leave it out."""

    def change(lines: Lines) -> Lines:
        content = next(content for found, content in lines if found == kind)
        content[name] = value
        if value is ...:
            del content[name]
        return lines

    forge(folder / "record.jsonl", change)
    return folder


@pytest.mark.parametrize(
    ("kind", "name", "value", "words"),
    (
        ("asked", "weighting", ..., "asked.weighting is missing; restore"),
        ("asked", "weighting", 7, "asked.weighting is 7; it must be a table"),
        ("asked", "weighting", {"exponent": [1]}, "exponent: got [1]; must be a finite number"),
        ("asked", "weighting", {"rogue": 1}, "rogue: got 1; is not a field of a strategy"),
        ("asked", "seed", -1, "asked.seed is -1; it must be at least 0"),
        ("asked", "seed", "7", "asked.seed is '7'; it must be a whole number"),
        (
            "asked",
            "name",
            "\x1b]0;title\x07",
            r"name is '\x1b]0;title\x07'; it must be #NUMBER, or",
        ),
        ("asked", "name", "[bold]x", "name is '[bold]x'; it must be #NUMBER, or"),
        ("asked", "name", "../x", "name is '../x'; it must be #NUMBER, or"),
        ("asked", "trial", "../x", "trial is '../x'; it must be STUDY-NUMBER, such as"),
        (
            "asked",
            "trial",
            "baselines-00007",
            "line 2 of",
        ),
        ("asked", "rogue", 1, "asked.rogue is not known"),
        ("ended", "trial", "baselines-00011", "tells of baselines-00011, which does not run"),
        ("ended", "state", "waiting", "ended.state is 'waiting'; it must be"),
        ("ended", "score", ..., "baselines-00000 ends as complete with the score None; restore"),
        ("ended", "device_hours", -1, "device_hours is -1; it must be at least 0"),
        ("ended", "epoch", "x", "ended.epoch is 'x'; it must be a whole number"),
        ("ended", "diverged", "x", "diverged is 'x'; it must be true or false"),
        ("ended", "hardware", {}, "hardware is {}; it must be text"),
        ("ended", "summaries", {}, "summaries is {}; it must be a list"),
        ("ended", "summaries", [{"epochs": 1}], "summaries[0].best_score is missing; restore"),
        ("plan", "runs", "x", "plan.runs is 'x'; it must be a whole number"),
        ("plan", "controls", {}, "plan.controls is {}; it must be a"),
        ("plan", "candidates", {"\x1b[2J": {}}, r"candidates.\x1b[2J"),
        ("plan", "candidates", {"#1": {"exponent": -1}}, "exponent: got -1; must be a finite"),
    ),
)
def test_a_fact_that_breaks_a_rule_is_refused(
    confirmed: Path,
    tmp_path: Path,
    kind: str,
    name: str,
    value: object,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = with_fact(Path(shutil.copytree(confirmed, tmp_path / "run")), kind, name, value)
    assert main(["show", str(folder)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "words"),
    (
        ({"correct": [[1, 1, 1, 1], [1, 2]]}, "inhomogeneous shape"),
        ({"correct": [[1, 1], [1, 1]]}, "got shape (1, 2, 2) for halves (2, 4)"),
        ({"correct": [[14, 1, 1, 1], [1, 1, 1, 1]]}, "more correct images of a class than there"),
        ({"correct": None}, "got numbers of images where only scores are known, or neither"),
        ({"predicted": [[1, 2], [1, 2]]}, "got shape (1, 2, 2) for halves (2, 4)"),
        ({"predicted": [[51, 1, 1, 1], [1, 1, 1, 1]]}, "more predicted images of a class than"),
        ({"profile": [[50.0, 51.0]]}, "got a profile of other lengths"),
        (
            {"diagnosis": {"best": {"epoch": 1, "scenarios": [[1, 1]]}, "last": None}},
            "got 1 of 0 scenarios",
        ),
    ),
)
def test_epochs_of_another_benchmark_are_refused(
    tmp_path: Path, line: dict[str, object], words: str
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    epoch = json.loads(json.dumps(results_of(0)[0].to_dict()))
    folder.epochs_file(KEY).write_text(json.dumps(epoch) + "\n")
    assert len(folder.read_part(KEY, BENCHMARK)) == 1
    folder.epochs_file(KEY).write_text(json.dumps(epoch | line) + "\n")
    sentence = rf"{KEY}.jsonl does not hold epochs of small .*{re.escape(words)}"
    with pytest.raises(UserError, match=sentence):
        folder.read_part(KEY, BENCHMARK)


def test_more_epochs_than_the_benchmark_has_are_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    for result in results_of(0):
        folder.append_epoch(KEY, result)
    with pytest.raises(UserError, match=r"does not hold epochs of small .got 6 epochs of 5"):
        folder.read_part(KEY, replace(BENCHMARK, epochs=5))


def test_what_a_failure_says_cannot_steer_a_terminal(confirmed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(confirmed, tmp_path / "run"))
    with_fact(folder, "ended", "reason", "\x1b]52;c;aGk=\x07\u202e\nthe loss is nan")
    rows = Record(folder / "record.jsonl").rows()
    assert rows[0].reason == "\ufffd]52;c;aGk=\ufffd\ufffd\ufffdthe loss is nan"


@pytest.mark.parametrize("text", ("NaN", "[1, Infinity]", '{"a": -Infinity}', "[" * 99_999, "x"))
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(text)


def test_what_is_shown_is_harmless() -> None:
    assert printable("\x1b[31m") == "\ufffd[31m"
    assert printable("naïve café 100 %") == "naïve café 100 %"
