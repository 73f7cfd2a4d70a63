"""The documents: every link, path, option and command in them is there, and what can run runs."""

import argparse
import importlib.util
import json
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import torch
from concluded import CASES, conclusion_of
from exporting import EVERYTHING, load
from PIL import Image
from repository import REPOSITORY
from searching import search_parser
from training import threads

import search
from search.cli.commands import main
from search.export import best_weighting
from spaces import CLASS_WEIGHTS, NAMED, SPACES, STRATEGIES, Strategy
from trainer.arguments import Parser
from trainer.benchmarks import BENCHMARKS

DOCUMENTS = [*REPOSITORY.glob("*.md"), *sorted((REPOSITORY / "docs").glob("*.md"))]
TEXTS = {path.relative_to(REPOSITORY).as_posix(): path.read_text() for path in DOCUMENTS}
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
FOLDERS = ("spaces", "trainer", "search", "benchmarks", "tests", "docs", "examples", ".ci")
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./*-]*|[\w-]+\.(?:py|md|yaml)")
"""A file or folder of the repository; ``*`` is a pattern, and a bare name may be anywhere."""
PROGRAMS = ("run_search", "trainer", "search", "benchmarks")
NEEDS_NOTHING = ("help", "list", "--version")
"""Commands that read nothing and end at once."""

Call = tuple[str, ...]
"""A module of the repository and its arguments."""


class Parsed(BaseException):
    """A command line was read; nothing of what it asks for was done."""


def prose(text: str) -> str:
    return FENCED.sub("", text)


def blocks(language: str, text: str) -> list[str]:
    return [body for name, body in FENCED.findall(text) if name == language]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(text))


def anchors(text: str) -> set[str]:
    """Return the names by which a document's headings are linked to."""
    headings = re.findall(r"^#+ (.*)$", prose(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def calls_in(line: str) -> Iterator[Call]:
    """Yield the calls of the repository's programs in a line of shell, and in its quotes."""
    if not re.search(r"python|class-weighting-search ", line):
        return
    words = shlex.split(re.sub(r"\$[A-Z]+", "1", line.replace("; ", " && ")), comments=True)
    for i, word in enumerate(words):
        if word.startswith("python "):
            yield from calls_in(word)
        rest = words[i + 1 :]
        end = rest.index("&&") if "&&" in rest else len(rest)
        match word.rpartition("/")[2], rest[:end]:
            case "class-weighting-search", arguments:
                yield ("run_search", *arguments)
            case "python", ["-m", module, *arguments] if module.split(".")[0] in PROGRAMS:
                yield (module, *arguments)
            case "python", [script, *arguments] if script.endswith("run_search.py"):
                yield ("run_search", *arguments)


def all_calls() -> list[Call]:
    """Return the calls in code blocks, and those with arguments in sentences."""
    lines = [
        line for text in TEXTS.values() for body in blocks("sh", text) for line in body.splitlines()
    ]
    lines += [words for text in TEXTS.values() for words in quoted(text) if " -" in words]
    return list(dict.fromkeys(call for line in lines for call in calls_in(line)))


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(TEXTS[name])):
        file, _, anchor = target.partition("#")
        if file.startswith("https://"):
            continue
        path = (REPOSITORY / name).parent / file if file else REPOSITORY / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), target


@pytest.mark.parametrize("name", TEXTS)
def test_every_path_and_module_that_is_named_is_there(name: str) -> None:
    for words in (*quoted(TEXTS[name]), *" ".join(blocks("sh", TEXTS[name])).split()):
        if PATH.fullmatch(words):
            pattern = words.rstrip("/") if "/" in words else f"**/{words}"
            assert next(REPOSITORY.glob(pattern), None), words
        elif re.fullmatch(rf"(?:{'|'.join(PROGRAMS)})(?:\.[a-z_]+)+", words):
            public = words.removeprefix("search.") in search.__all__
            assert public or importlib.util.find_spec(words), words


def stopping_after(parse_args: Callable[..., object]) -> Callable[..., NoReturn]:
    """Return a method that reads a command line and does nothing else."""

    def parse_and_stop(*arguments: object) -> NoReturn:
        parse_args(*arguments)
        raise Parsed

    return parse_and_stop


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # other tests use it
@pytest.mark.parametrize("call", all_calls(), ids=" ".join)
def test_every_command_is_read_by_its_program(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    module, *arguments = call
    if not arguments:
        assert importlib.util.find_spec(module)
        return
    if module == "run_search" and arguments[0] in NEEDS_NOTHING and "runs" not in arguments:
        assert main(arguments) == 0
        return
    for parser in (argparse.ArgumentParser, Parser):
        monkeypatch.setattr(parser, "parse_args", stopping_after(parser.parse_args))
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(Parsed):
        main(arguments) if module == "run_search" else runpy.run_module(module, run_name="__main__")


def test_commands_on_a_finished_run_and_on_a_folder_of_images_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conclusion = conclusion_of(tmp_path / "runs" / "my-run", *CASES["confirmed"])
    monkeypatch.chdir(tmp_path)
    names = conclusion.manifest.benchmarks[0].class_names
    Path("counts.csv").write_text("".join(f"{name},{9 + i}\n" for i, name in enumerate(names)))
    for label, images in (("common", 9), ("rare", 3)):
        Path("DIR", label).mkdir(parents=True)
        for i in range(images):
            Image.new("RGB", (32, 32), (i, i, i)).save(Path("DIR", label, f"{i}.png"))
    commands = [
        call[1:] for call in all_calls() if call[1:2] and call[1] in ("show", "export", "prepare")
    ]
    here = [call for call in commands if "/mnt/shared" not in call[1]]
    assert {call[0] for call in here} == {"show", "export", "prepare"}
    assert [call for call in here if main([*call]) != 0] == []


def test_the_example_of_the_export_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks("python", TEXTS["README.md"])
    monkeypatch.setitem(sys.modules, "best_weighting", best_weighting)
    values: dict[str, object] = {}
    exec(example, values)
    assert len(values["weights"]) == 5


def test_the_snippets_of_the_python_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    conclusion_of(tmp_path / "runs" / "my-run", *CASES["confirmed"])
    monkeypatch.chdir(tmp_path)
    asked: list[tuple[object, ...]] = []

    def found(*names: str, **options: object) -> search.Run:
        asked.append((names, options))
        return search.load("runs/my-run")

    def train(weights: Sequence[float], seed: int) -> float:
        return 0.5 + 0.1 * (weights[-1] > 2) + seed % 7 / 1000

    monkeypatch.setitem(sys.modules, "my_training", SimpleNamespace(train=train))
    monkeypatch.setattr("search.api.run.run", found)
    monkeypatch.setattr("search.api.run.dry_run", lambda *_, **__: SimpleNamespace(hours=None))
    monkeypatch.setattr("search.api.run_class.Run.confirm", found)
    values: dict[str, object] = {}
    for snippet in blocks("python", TEXTS["docs/python.md"]):
        exec(snippet, values)
    searched, confirmed = asked
    assert searched == (("resnet8-digitslt40",), {"trials": 32, "name": "my-run"})
    assert confirmed[1] == {"confirm_runs": 24, "concurrent": 2}
    assert [line[:4] for line in capsys.readouterr().out.splitlines()].count("Use ") == 2
    assert Path("my-run.html").is_file()
    assert len(search.load("runs/my-study").trials()) > 24


def test_the_training_of_the_export_page_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example, _ = blocks("python", TEXTS["docs/export.md"])
    monkeypatch.setitem(sys.modules, "best_strategy", SimpleNamespace(**load(EVERYTHING)))
    torch.manual_seed(1)
    with threads(1):
        exec(example, {})
    told = re.fullmatch(r"(.*)% of 500 test images are right\n", capsys.readouterr().out)
    assert told
    assert float(told[1]) > 60


@pytest.mark.parametrize("name", ("drs", "curriculum_random"))
def test_the_sampler_of_the_export_page_shares_an_order_among_processes(name: str) -> None:
    module, found = load(STRATEGIES[name].strategy), {}
    exec(blocks("python", TEXTS["docs/export.md"])[1], found)
    labels = [0] * 50 + [1] * 20 + [2] * 7

    def sampler(rank: int, epoch: int = 0) -> Any:
        generator = torch.Generator()
        inner = module["EpochSampler"](labels, 5, generator)
        if "CurriculumSampler" in module:
            inner = module["CurriculumSampler"](inner, None, generator)
        return found["Share"](inner, rank, 2, epoch)

    parts = [sampler(0), sampler(1)]
    begun = [list(part) for part in parts]  # by workers, before the trainer says which epoch
    for epoch in range(5):
        for part in parts:
            part.set_epoch(epoch)
        shown = [list(part) for part in parts]
        assert [*map(len, shown)] == [*map(len, parts)] == [38, 38]
        assert epoch or shown == begun
        assert list(sampler(1, epoch)) == shown[1]
        if (name, epoch) in (("drs", 0), ("curriculum_random", 4)):  # each image once
            assert len({*shown[0], *shown[1]}) == 76


def test_the_diffs_fit_the_files_of_today() -> None:
    diffs = blocks("diff", TEXTS["docs/extending.md"])
    parts = [part for diff in diffs for part in diff.split("--- a/")[1:]]
    assert len(parts) >= 5
    for part in parts:
        heading, *hunks = re.split(r"^@@.*\n", part, flags=re.MULTILINE)
        name = heading.partition("\n")[0]
        there = "\n" + (REPOSITORY / name).read_text()
        for hunk in hunks:
            before, after = (
                "".join(f"\n{line[1:]}" for line in hunk.splitlines() if line[:1] in marks)
                for marks in (" -", " +")
            )
            assert f"{before}\n" in there or f"{after}\n" in there, hunk  # it may be applied


def test_the_options_of_a_search_are_documented_and_no_others() -> None:
    rows = re.findall(r"^\| (`--.*?) \|", TEXTS["docs/searching.md"], flags=re.MULTILINE)
    told = set(re.findall(r"--[a-z-]+", " ".join(rows)))
    assert told | {"--help"} == set(
        re.findall(r"(?<![\w-])--[a-z-]+", search_parser().format_help())
    )


def test_the_table_of_benchmarks_is_the_registry() -> None:
    rows = re.findall(
        r"^\| `(\w+-[\w-]+)` \|.*\| (.*) \| (.*) \| (.*) \|$", TEXTS["README.md"], re.MULTILINE
    )
    assert rows == [
        (b.name, f"{b.imbalance_ratio:g}", f"{b.train_images:,}", str(b.epochs))
        for b in BENCHMARKS.values()
    ]


def test_the_floors_of_the_architecture_are_those_of_the_walls() -> None:
    walls = runpy.run_path(str(Path(__file__).with_name("test_layers.py")))["FLOORS"]
    rows = re.findall(
        r"^\| (\d+) \| `search/(\w+)(?:/|\.py)` \|", TEXTS["docs/architecture.md"], re.M
    )
    assert {(int(floor), room) for floor, room in rows} == {
        (floor, room) for floor, rooms in enumerate(walls, 1) for room in rooms
    }


def test_the_tables_of_strategies_and_spaces_are_the_registries() -> None:
    text = TEXTS["docs/strategies.md"]
    columns = ("resnet32-cifar10lt", "resnet32-cifar100lt")
    figures = {
        name: "; ".join(
            " / ".join(f"{p.accuracies[c]:.2f}" if c in p.accuracies else "-" for c in columns)
            + f" ({p.source})"
            for p in named.published
        )
        for name, named in STRATEGIES.items()
        if name not in NAMED
    }
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", text, re.MULTILINE)
    runs_first = {
        name: ", ".join(f"`{first}`" for first in space.named) for name, space in SPACES.items()
    }
    assert [row for row in rows if row[0] in STRATEGIES] == list(figures.items())
    assert [row for row in rows if row[0] in SPACES] == list(runs_first.items())


def test_the_protocol_names_normalisation_and_padding_of_the_benchmarks() -> None:
    text = TEXTS["docs/protocol.md"]
    for benchmark in BENCHMARKS.values():
        for numbers in (benchmark.mean, benchmark.std):
            assert numbers is None or f"({', '.join(f'{x:.4f}' for x in numbers)})" in text
    assert {b.padding for b in BENCHMARKS.values() if b.mean} == {4}
    assert {b.padding for b in BENCHMARKS.values() if not b.mean} == {1}
    assert "after 4 pixels of padding (digits: 1)" in text


def test_the_strategy_in_a_file_is_one() -> None:
    (example,) = blocks("json", TEXTS["docs/strategies.md"])
    assert Strategy.from_dict(json.loads(example)).kind != CLASS_WEIGHTS


def test_ci_runs_the_test_command_of_the_readme() -> None:
    (command,) = re.findall(r"^(python3 -m venv .* -m pytest)$", TEXTS["README.md"], re.MULTILINE)
    ci = (
        (REPOSITORY / ".ci" / "run")
        .read_text()
        .replace('"$venv/', ".venv/")
        .replace('"$venv"', ".venv")
    )
    ci = ci.replace('pip"', "pip").replace('python"', "python")
    install, test = command.rsplit(" && ", 1)
    assert f"\n{install}\n" in ci
    assert f"\n{test} -n 2\n" in ci.partition(install)[2]
