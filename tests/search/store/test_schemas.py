"""Is what this program writes what it reads, and is everything else refused in one sentence?"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from confirming import WITH_HOLDOUT, settings_of, steady, whole_run
from jsonschema import Draft202012Validator
from twin import JOINT, OBJECTIVE, make_settings

from search.cli.commands import main
from search.config.budget import Budget
from search.config.objective import BenchmarkObjective
from search.config.settings import Resources, Settings
from search.export.winner import winner_of
from search.results.conclusion import Conclusion
from search.stats.scoring import Scoring
from search.store import schemas
from search.store.manifest import benchmark_content
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.schemas import Schema
from search.store.validation import check, from_json, printable, shown
from spaces import NAMED
from spaces.errors import UserError
from trainer.benchmarks import BENCHMARKS, get_benchmark
from trainer.benchmarks.benchmark import Benchmark
from trainer.data.raw import FolderSpec
from trainer.prepared import load, prepare
from trainer.provenance import provenance

WHOLE = {
    name: getattr(schemas, name)
    for name in (
        *("SETTINGS_FILE", "ATTEMPT", "LEASE"),
        *("PLAN", "SUMMARIES", "TRIAL", "POINT"),
    )
}
Change = Callable[[dict[str, Any]], object]


def unbounded(schema: Schema, place: str = "it") -> list[str]:
    """Return the places of a schema where a value has no range, length, or known keys."""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    needed = {
        "integer": {"minimum", "maximum"},
        "number": {"minimum", "maximum"},
        "array": {"items", "maxItems"},
        "object": {"additionalProperties"},
    }
    found = [f"{place}: {kind}" for kind in kinds if not schema.keys() >= needed.get(kind, set())]
    if "string" in kinds and not schema.keys() & {"pattern", "maxLength"}:
        found.append(f"{place}: string")
    below = dict(schema.get("properties", {}))
    below |= {"items": schema["items"]} if "items" in schema else {}
    below |= {str(n): part for n, part in enumerate(schema.get("anyOf", []))}
    if isinstance(schema.get("additionalProperties"), dict):
        below["any"] = schema["additionalProperties"]
    return found + [f for name, part in below.items() for f in unbounded(part, f"{place}/{name}")]


@pytest.mark.parametrize("name", WHOLE)
def test_schemas_are_valid_and_leave_nothing_unbounded(name: str) -> None:
    Draft202012Validator.check_schema(WHOLE[name])
    assert unbounded(WHOLE[name]) == []


def test_what_is_unbounded_is_found() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"type": ["string", "null"]}},
    }
    assert unbounded(schema) == ["it: object", "it/a: integer", "it/b: string"]


@pytest.mark.parametrize(
    ("schema", "kind"),
    (
        (schemas.SETTINGS, Settings),
        (schemas.BENCHMARK, Benchmark),
        (schemas.ON_BENCHMARK["properties"]["facts"], BenchmarkObjective),
    ),
)
def test_a_schema_knows_all_fields_of_what_it_describes(schema: Schema, kind: type) -> None:
    names = [field.name for field in dataclasses.fields(kind)]
    assert list(schema["properties"]) == [name for name in names if name != "shortened"]


def test_the_schema_of_a_folder_knows_all_that_identifies_it() -> None:
    fields = {field.name for field in dataclasses.fields(FolderSpec)}
    assert schemas.FOLDER["properties"].keys() == fields - {"root", "evaluated_counts", "notes"}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_keeps_the_schema(name: str) -> None:
    check(BENCHMARKS[name].to_dict(), schemas.BENCHMARK, name)
    check(BENCHMARKS[name].with_epochs(1).to_dict(), schemas.BENCHMARK, name)


@pytest.mark.parametrize("name", NAMED)
def test_the_name_of_every_baseline_is_a_label(name: str) -> None:
    check(name, schemas.LABEL, name)
    check(NAMED[name].weighting.to_dict(), schemas.POINT, name)


def test_what_is_known_of_a_users_own_images_keeps_the_schema(
    tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    make_folder(tmp_path / "images", (9, 20, 9))
    (tmp_path / "mine.toml").write_text(
        'name = "_mine-2.x"\nnetwork = "resnet8"\nresolution = 8\n[data]\nroot = "images"\n'
    )
    benchmark = get_benchmark(str(tmp_path / "mine.toml"), tmp_path)
    content = benchmark_content(benchmark, load(prepare(benchmark, tmp_path), benchmark))
    check(json.loads(json.dumps(content)), schemas.ON_BENCHMARK, "mine")


@pytest.mark.parametrize("facts", (OBJECTIVE, JOINT, WITH_HOLDOUT))
def test_a_whole_run_is_read_as_it_was_written(tmp_path: Path, facts: Any) -> None:
    folder = whole_run(tmp_path / "run", steady, 20, 12, facts)
    conclusion = Conclusion.of(folder)
    assert conclusion.judgement is not None
    best = winner_of(conclusion)
    assert best is not None
    assert best.weighting == conclusion.winner[1]  # type: ignore[index]
    assert folder.read_attempts()[-1]["device"] == "cpu"


def test_what_the_driver_notes_of_a_start_keeps_the_schema(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.begin_attempt(
        {
            "budget": asdict(Budget(64, None)),
            "resources": asdict(Resources(1, True, 4, None, "head:6379")),
            "device": "cuda",
            "arguments": ["--benchmark", "mine.toml", "--data-root", "/données/ü [x]"],
            **provenance(),
        }
    )
    assert folder.read_attempts()[0]["arguments"][-1] == "/données/ü [x]"


def put(*path: str | int, value: object) -> Change:
    """Return the change that puts a value at a place."""

    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


def dropped(key: str) -> Change:
    return lambda document: document.pop(key)


FACTS_0 = ("benchmarks", 0, "facts")


@pytest.mark.parametrize(
    ("change", "words"),
    (
        (put("schema_version", value=4), "schema_version is 4, and must be 3"),
        (put("schema_version", value=True), "schema_version is True, and must be 3"),
        (put("extra", value=1), "it has the unknown key 'extra'"),
        (dropped("settings"), "it lacks 'settings'"),
        (dropped("holdout"), "it lacks 'holdout'"),
        (put("benchmarks", value=[]), "benchmarks is [], and must keep the rule minItems 1"),
        (put("benchmarks", value={}), "benchmarks is {}, and must be of type array"),
        (put("fingerprint", value="x" * 16), "fingerprint is 'xxxxxxxxxxxxxxxx', and must keep"),
        (put("settings", "seed", value=-1), "settings/seed is -1, and must keep the rule minimum"),
        (put("settings", "seed", value=2**63), "settings/seed is 9223372036854775808, and must"),
        (put("settings", "space", value="a b"), "settings/space is 'a b', and must keep the rule"),
        (put("settings", "baselines", value=["a", "a"]), "settings/baselines is ['a', 'a'], and"),
        (put("settings", "compiled", value=0), "settings/compiled is 0, and must be of type"),
        (put(*FACTS_0, "epochs", value=0), "benchmarks/0/facts/epochs is 0, and must keep"),
        (
            put(*FACTS_0, "epochs", value=6.0),
            "benchmarks/0/facts/epochs is 6.0, and must be of",
        ),
        (put(*FACTS_0, "epochs", value=True), "benchmarks/0/facts/epochs is True, and must be"),
        (
            put(*FACTS_0, "counts", 1, value=0),
            "benchmarks/0/facts/counts/1 is 0, and must keep",
        ),
        (
            put(*FACTS_0, "counts", value="4" * 999),
            "benchmarks/0/facts/counts is '4444444444444",
        ),
        (put(*FACTS_0, "counts", value=[1, 2]), "states 4, 2, 4, 4 class names, training counts"),
        (put(*FACTS_0, "half_counts", value=[[1]]), "facts/half_counts is [[1]], and must keep"),
        (put(*FACTS_0, "noise_sd", value=0), "noise_sd is 0, and must keep the rule exclusiveMin"),
        (put(*FACTS_0, "noise_sd", value=1e999), "settings.json is not JSON: Infinity is no"),
        (put(*FACTS_0, "name", value="../up"), "benchmarks/0/facts/name is '../up', and must"),
        (put("benchmarks", 0, "protocol", value="\x1b[2J"), r"protocol is '\x1b[2J', and must"),
        (put("benchmarks", 0, "protocol", value="[/red]"), "protocol is '[/red]', and must keep"),
        (put("benchmarks", 0, "benchmark", "name", value="a\n"), r"benchmark/name is 'a\n', and"),
        (put("benchmarks", 0, "class_names", value=[1] * 4), "class_names/0 is 1, and must be"),
        (put("holdout", value=[]), "holdout is [], and must be of type object"),
        (put("holdout", value={}), "holdout lacks 'benchmark'"),
    ),
)
def test_settings_that_break_a_rule_are_refused(
    tmp_path: Path, change: Change, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    content = json.loads(json.dumps(settings_of(OBJECTIVE, make_settings())))
    change(content)
    folder.write_settings(content)
    with pytest.raises(UserError) as caught:
        folder.read_settings()
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
        folder.read_settings()


@pytest.mark.parametrize(
    ("line", "words"),
    (
        ({}, "line 1 of .*attempts.jsonl cannot be used: it lacks 'attempt'"),
        ({"attempt": 0}, "attempt is 0, and must keep the rule minimum 1"),
        ({"attempt": 1, "device": "tpu"}, "device is 'tpu', and must be cpu or cuda"),
        ({"attempt": 1, "arguments": ["\x1b"]}, r"arguments/0 is '\\x1b', and must keep"),
        ({"attempt": 1, "arguments": "--seed 3"}, "arguments is '--seed 3', and must be of type"),
        ({"attempt": 1, "versions": {"ray": 2}}, "versions/ray is 2, and must be of type string"),
        ({"attempt": 1, "revision": "a b"}, "revision is 'a b', and must keep the rule pattern"),
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


def test_a_run_without_a_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say how the run was started"):
        RunFolder(tmp_path / "run").read_attempts()


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_run(tmp_path_factory.mktemp("runs") / "run", steady, 20, 12, OBJECTIVE).path


def with_attribute(folder: Path, name: str, value: object) -> Path:
    """Give the first trial of a run's record another attribute, or leave it out."""
    journal = folder / "study.journal"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    begun = next(line for line in lines if "seed" in line.get("user_attrs", {}))
    begun["user_attrs"][name] = value
    if value is ...:
        del begun["user_attrs"][name]
    for line in lines:  # what is noted at the trial's end comes later
        if line.get("trial_id") == 0 and name in line.get("user_attr", {}):
            line["user_attr"][name] = value
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.parametrize(
    ("name", "value", "words"),
    (
        ("weighting", ..., "it lacks 'weighting'"),
        ("weighting", 7, "weighting is 7, and must be of type string"),
        ("weighting", "{", "what study.journal has of baselines-00000 is not JSON"),
        ("weighting", "[" * 9999, "is not JSON: it is nested too deeply"),
        ("weighting", "[]", "it is [], and must be of type object"),
        ("weighting", '{"exponent": NaN}', "NaN is no number of JSON"),
        ("weighting", '{"exponent": 1e999}', "exponent: got inf; must be a finite number"),
        ("weighting", '{"exponent": [1]}', "exponent: got [1]; must be a finite number"),
        ("weighting", '{"rogue": 1}', "rogue: got 1; is not a field of a weighting"),
        ("seed", -1, "seed is -1, and must keep the rule minimum 0"),
        ("seed", "7", "seed is '7', and must be of type integer"),
        ("name", "\x1b]0;title\x07", r"name is '\x1b]0;title\x07', and must keep the rule"),
        ("name", "[bold]x", "name is '[bold]x', and must keep the rule pattern"),
        ("name", "../x", "name is '../x', and must keep the rule pattern"),
        ("device_hours", -1, "device_hours is -1, and must keep the rule minimum 0"),
        ("stop_epoch", "x", "stop_epoch is 'x', and must be of type integer"),
        ("diverged", "x", "diverged is 'x', and must be of type boolean"),
        ("hardware", {}, "hardware is {}, and must be of type string or null"),
        ("summaries", "{}", "it is {}, and must be of type array"),
        ("summaries", '[{"epochs": 1}]', "0 lacks 'best_score'"),
    ),
)
def test_a_trial_that_breaks_a_rule_is_refused(
    confirmed: Path,
    tmp_path: Path,
    name: str,
    value: object,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = with_attribute(Path(shutil.copytree(confirmed, tmp_path / "run")), name, value)
    assert main(["show", str(folder)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("plan", "words"),
    (
        ("{", "the plan in study.journal is not JSON"),
        ({"runs": "x"}, "runs is 'x', and must be of type integer"),
        ({"controls": {}}, "controls is {}, and must keep the rule minProperties 1"),
        ({"candidates": {"\x1b[2J": {}}}, r"candidates is '\x1b[2J', and must keep"),
        ({"candidates": {"#1": {"exponent": -1}}}, "exponent: got -1; must be a finite number"),
    ),
)
def test_a_plan_that_breaks_a_rule_is_refused(
    confirmed: Path,
    tmp_path: Path,
    plan: str | dict[str, object],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(shutil.copytree(confirmed, tmp_path / "run"))
    record = Record.reopen(folder / "study.journal")
    stored = record.plan()
    assert stored is not None
    text = plan if isinstance(plan, str) else json.dumps(stored | plan)
    record.studies["confirmation"].set_user_attr("plan", text)
    assert main(["show", str(folder)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "line",
    (
        "[" * 100_000,
        "{}",
        "7",
        '{"op_code": 0}',
        '{"op_code": 99, "worker_id": "x"}',
    ),
)
def test_a_line_that_optuna_did_not_write_is_refused(
    confirmed: Path, tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(confirmed, tmp_path / "run"))
    journal = folder / "study.journal"
    journal.write_text(f"{line}\n{journal.read_text()}")
    assert main(["show", str(folder)]) == 2
    assert "study.journal cannot be read as the record of a search" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    (
        {},
        {"correct": 1},
        {"correct": [[1], [1, 2]]},
        {"correct": [["x"], [1]]},
        {"correct": [[1], [1]], "predicted": [[1, 2], [1, 2]]},
    ),
)
def test_epochs_that_are_none_are_refused(tmp_path: Path, line: dict[str, object]) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    (folder.trials / "baselines-00000.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=r"00000.jsonl does not hold a trial's epochs"):
        folder.read_curve("baselines-00000", Scoring("accuracy", ((1,), (1,))))


def test_what_a_failure_says_cannot_steer_a_terminal(confirmed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(confirmed, tmp_path / "run"))
    with_attribute(folder, "reason", "\x1b]52;c;aGk=\x07\u202e\nthe loss is nan")
    rows = Record(folder / "study.journal").rows()
    assert rows[0].reason == "\ufffd]52;c;aGk=\ufffd\ufffd\ufffdthe loss is nan"


@pytest.mark.parametrize("text", ("NaN", "[1, Infinity]", '{"a": -Infinity}', "[" * 99_999, "x"))
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(text)


def test_values_are_shown_short_and_harmless() -> None:
    assert shown("\x1b[31m") == r"'\x1b[31m'"
    assert shown("ü") == r"'\xfc'"
    assert shown("a" * 100) == f"'{'a' * 55} ..."
    assert printable("naïve café 100 %") == "naïve café 100 %"
