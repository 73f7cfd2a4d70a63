"""What is read from a run folder has a declared range, and what this program writes it reads."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from annotated_types import Ge, Gt, Le, Lt, MaxLen
from confirming import WITH_HOLDOUT, steady, whole_run
from twin import JOINT, OBJECTIVE

from search.config.budget import Budget
from search.config.fields import Label
from search.config.settings import Resources
from search.export.winner import winner_of
from search.results.conclusion import Conclusion
from search.store.attempts import Attempt
from search.store.facts import Line
from search.store.lease import Holder
from search.store.manifest import Manifest, RecordedBenchmark
from search.store.run_folder import RunFolder
from search.store.validation import read, read_content
from spaces import NAMED
from spaces.validation import OneOf, Rule
from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.prepared import load, prepare
from trainer.provenance import provenance
from trainer.results import EpochResult


def unbounded(hint: Any, place: str = "it", rules: tuple[Any, ...] = ()) -> list[str]:
    """Return the places within a type where a value has no range or length."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return unbounded(args[0], place, rules + args[1:])
    if origin in (Union, UnionType):
        return [found for arg in args for found in unbounded(arg, place, rules)]
    if origin is Literal or hint in (bool, Any, type(None)) or hint is Benchmark:
        return []  # the trainer declares a benchmark
    if any(isinstance(rule, Rule | OneOf) for rule in rules):
        return []
    if is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        return [f for n in fields(hint) for f in unbounded(hints[n.name], f"{place}/{n.name}")]
    found = []
    if origin is tuple:
        inner = [arg for arg in args if arg is not ...]
        found = [] if len(inner) == len(args) else lacking(rules, [MaxLen], f"{place}: tuple")
        args = tuple(inner)
    elif origin is dict:
        args = args[1:]
    else:
        needed = {int: [(Ge, Gt), (Le, Lt)], float: [(Ge, Gt), (Le, Lt)], str: [MaxLen]}[hint]
        found = lacking(rules, needed, f"{place}: {hint.__name__}")
    return found + [f for arg in args for f in unbounded(arg, f"{place}/{origin.__name__}")]


def lacking(rules: tuple[Any, ...], needed: list[Any], what: str) -> list[str]:
    return [] if all(any(isinstance(r, kind) for r in rules) for kind in needed) else [what]


@pytest.mark.parametrize("kind", (Manifest, Attempt, Holder, Line, EpochResult))
def test_nothing_that_is_read_is_unbounded(kind: type) -> None:
    assert unbounded(kind) == []


def test_what_is_unbounded_is_found() -> None:
    assert unbounded(Annotated[int, Ge(1)]) == ["it: int"]
    assert unbounded(tuple[str | None, ...]) == ["it: tuple", "it/tuple: str"]
    assert unbounded(dict[str, Annotated[float, Gt(0)]]) == ["it/dict: float"]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_read_as_it_was_written(name: str) -> None:
    for benchmark in (BENCHMARKS[name], BENCHMARKS[name].with_epochs(1)):
        assert read_content(Benchmark, benchmark.to_dict(), name) == benchmark


@pytest.mark.parametrize("name", NAMED)
def test_the_name_of_every_baseline_is_a_label(name: str) -> None:
    (rule,) = Label.__metadata__  # type: ignore[attr-defined]
    assert rule.holds(name)


def test_what_is_known_of_a_users_own_images_is_read_as_it_was_written(
    tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    make_folder(tmp_path / "images", (9, 20, 9))
    (tmp_path / "mine.toml").write_text(
        'name = "_mine-2.x"\nnetwork = "resnet8"\nresolution = 8\n[data]\nroot = "images"\n'
    )
    benchmark = get_benchmark(str(tmp_path / "mine.toml"), tmp_path)
    recorded = RecordedBenchmark.of(benchmark, load(prepare(benchmark, tmp_path), benchmark))
    again = read(RecordedBenchmark, json.dumps(recorded.to_dict()), "mine")
    assert again.to_dict() == recorded.to_dict()


@pytest.mark.parametrize("facts", (OBJECTIVE, JOINT, WITH_HOLDOUT))
def test_a_whole_run_is_read_as_it_was_written(tmp_path: Path, facts: Any) -> None:
    folder = whole_run(tmp_path / "run", steady, 20, 12, facts)
    conclusion = Conclusion.of(folder)
    assert conclusion.judgement is not None
    best = winner_of(conclusion)
    assert best is not None
    assert best.strategy == conclusion.winner[1]  # type: ignore[index]
    assert folder.read_attempts()[-1].device == "cpu"


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
    assert folder.read_attempts()[0].arguments[-1] == "/données/ü [x]"
