"""A run folder that is damaged, or made to do harm, is answered in a sentence, and nothing more.

Runs of all kinds are mutated at random but the same every time, and looked at by every command that
opens one, in this process. ``--resume`` does all that comes before Ray starts.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import CANARY
from forging import Lines, forge
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from looking import COMMANDS, HERE, SEARCHES, Made, look, make
from mutations import mutate
from repository import EARLIER_RUN
from twin import fast_folder

from search.store.earlier.settings import migrated

SECRET = "nobody else's business"
EARLIER = (
    *("--benchmark", "resnet8-digitslt40", "--epochs", "3", "--trials", "14"),
    *("--confirm-runs", "9", "--baselines", "uniform,sqrt_inverse", "--seed", "3"),
)
"""Of the command that began the run of schema version 2."""
KINDS = (*SEARCHES, "schema 2", "journal")
QUICK = ("finished", "unfinished", "schema 2")
"""Kinds that are made in a second or two."""
ALIKE: Any = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "phases": (Phase.generate,),
    "suppress_health_check": tuple(HealthCheck),
}
"""How hypothesis finds the same cases every time, and spends no minutes on a smaller one."""


class Runs:
    """Runs to be damaged, each made when it is first asked for, and copied every time."""

    def __init__(self, place: Path) -> None:
        self.place, self.made = place, dict[str, Made]()

    def run(self, kind: str) -> Made:
        """Return a run of KINDS, which must not be changed."""
        if kind not in self.made:
            self.made[kind] = make(kind, self.place) if kind in SEARCHES else self.earlier(kind)
        return self.made[kind]

    def earlier(self, kind: str) -> Made:
        """Return the run of schema version 2, or with settings of today beside its journal."""
        folder = Path(shutil.copytree(EARLIER_RUN, self.place / "runs" / kind.replace(" ", "-")))
        if kind == "journal":
            file = folder / "settings.json"
            file.write_text(json.dumps(migrated(json.loads(file.read_text()))))
        return Made(folder, (*EARLIER, "--data-root", str(self.place / "data"), *HERE))

    def copied(self, kind: str) -> tuple[Path, Made]:
        """Return a copy of a run, in a folder of its own that is the working directory."""
        made, work = self.run(kind), self.place / "case"
        shutil.rmtree(work, ignore_errors=True)
        for name in ("out", "elsewhere"):
            (work / name).mkdir(parents=True)
        (work / "elsewhere" / "file").write_text(SECRET)
        os.chdir(work)
        return Path(shutil.copytree(made.folder, work / "runs" / made.folder.name)), made


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    before = Path.cwd()
    with fast_folder() as place:
        yield Runs(place)
        os.chdir(before)


def contents(folder: Path, without: tuple[Path, ...] = ()) -> dict[str, bytes | None]:
    """Return the files in a folder; None for what is no plain file."""
    found = {}
    for base, _, names in os.walk(folder):
        if Path(base) not in without and not any(top in Path(base).parents for top in without):
            for path in (Path(base, name) for name in names):
                plain = path.is_file() and not path.is_symlink()
                found[str(path)] = path.read_bytes() if plain else None
    return found


def check(runs: Runs, kind: str, command: str, change: Callable[[Path, Path], object]) -> str:
    """Look at a changed run, check that it does no harm, and return what was said as an error."""
    run, made = runs.copied(kind)
    work = run.parents[1]
    change(run, work / "elsewhere")
    before, elsewhere = contents(run), contents(work, (run, work / "out"))
    seen = look(command, run, work / "out", made.arguments)
    fault = seen.fault()
    assert fault is None, (fault, seen.raised)
    assert SECRET not in seen.out + seen.error
    assert not list(runs.place.rglob(CANARY)), "something was executed"
    assert contents(work, (run, work / "out")) == elsewhere
    if command not in ("--resume", "export"):
        assert contents(run) == before
    elif command == "export":
        exported = {str(run / name): b"" for name in ("best.json", "best_weighting.py")}
        assert contents(run) | exported == before | exported
    return seen.error


def mutation(data: st.DataObject) -> Callable[[Path, Path], object]:
    """Return a change that hypothesis chooses."""
    return lambda run, elsewhere: mutate(
        run, elsewhere, lambda below: data.draw(st.integers(0, below - 1))
    )


@settings(max_examples=60, **ALIKE)
@given(st.sampled_from(QUICK), st.sampled_from(COMMANDS), st.data())
def test_a_damaged_run_is_answered_in_a_sentence(
    runs: Runs, kind: str, command: str, data: st.DataObject
) -> None:
    check(runs, kind, command, mutation(data))


@pytest.mark.slow
@settings(max_examples=400, **ALIKE)
@given(st.sampled_from(KINDS), st.sampled_from(COMMANDS), st.data())
def test_four_hundred_damaged_runs_are_answered_in_a_sentence(
    runs: Runs, kind: str, command: str, data: st.DataObject
) -> None:
    check(runs, kind, command, mutation(data))


@pytest.mark.slow
@pytest.mark.long
@settings(max_examples=2000, **ALIKE)
@given(st.sampled_from(KINDS), st.sampled_from(COMMANDS), st.data())
def test_two_thousand_damaged_runs_are_answered_in_a_sentence(
    runs: Runs, kind: str, command: str, data: st.DataObject
) -> None:
    check(runs, kind, command, mutation(data))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_nobody_changed_is_taken(runs: Runs, kind: str, command: str) -> None:
    error = check(runs, kind, command, lambda run, elsewhere: None)
    assert "error" not in error


Facts = Callable[[dict[str, Any]], object]


def fact(kind: str, number: int, change: Facts) -> Callable[[Path, Path], object]:
    """Return what changes a fact of a kind on record, counted from 0 or from the end."""

    def changed(lines: Lines) -> Lines:
        change([content for found, content in lines if found == kind][number])
        return lines

    return lambda run, elsewhere: forge(run / "record.jsonl", changed)


def setting(change: Facts) -> Callable[[Path, Path], object]:
    """Return what changes settings.json."""

    def changed(run: Path, elsewhere: Path) -> None:
        content = json.loads((run / "settings.json").read_text())
        change(content)
        (run / "settings.json").write_text(json.dumps(content))

    return changed


def with_(**values: object) -> Facts:
    return lambda content: content.update(values)


def facts(**values: object) -> Callable[[Path, Path], object]:
    return setting(lambda content: content["benchmarks"][0]["facts"].update(values))


def noise(sd: float) -> Callable[[Path, Path], object]:
    """Return what states a noise wherever it is stated."""

    def change(content: dict[str, Any]) -> None:
        for part in ("facts", "benchmark"):
            content["benchmarks"][0][part]["noise_sd"] = sd

    return setting(change)


def repeated(kind: str, number: int) -> Callable[[Path, Path], object]:
    def changed(lines: Lines) -> Lines:
        found = [line for line in lines if line[0] == kind]
        return [*lines, found[number]]

    return lambda run, elsewhere: forge(run / "record.jsonl", changed)


def run_again(run: Path, elsewhere: Path) -> None:
    """Put the first run of the confirmation on record again."""

    def changed(lines: Lines) -> Lines:
        key = "confirmation-00000"
        own = [(kind, content) for kind, content in lines if content.get("trial") == key]
        return lines + [(kind, content | {"trial": "confirmation-00009"}) for kind, content in own]

    forge(run / "record.jsonl", changed)


def held_out(run: Path, elsewhere: Path) -> None:
    """Begin a trial on the benchmark that is held out, though there is none."""
    asked = {"trial": "holdout-00000", "weighting": {}, "seed": 42, "name": "uniform"}
    forge(run / "record.jsonl", lambda lines: [*lines, ("asked", asked | {"seed_index": 0})])


def shortened(run: Path, elsewhere: Path) -> None:
    """Drop the last epoch of a run of the confirmation."""
    path = run / "trials" / "confirmation-00000.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def bad_epoch(run: Path, elsewhere: Path) -> None:
    """Replace what was predicted in the last epoch of the trial that is unfinished."""
    path = max((run / "trials").glob("proposals-*.jsonl"))
    lines = path.read_text().splitlines()
    lines[-1] = json.dumps(json.loads(lines[-1]) | {"predicted": 60})
    path.write_text("\n".join(lines) + "\n")


def strange_lines(run: Path, elsewhere: Path) -> None:
    (run / "attempts.jsonl").write_bytes(b"{" * 2**20 + b"\n")


CASES: tuple[tuple[str, str, Callable[[Path, Path], object], str], ...] = (
    ("finished", "show", fact("plan", -1, with_(candidates={})), "0 candidates"),
    ("finished", "show", fact("plan", -1, with_(runs=0)), "and 0 runs; there must be some"),
    (
        "finished",
        "show",
        fact("plan", -1, lambda plan: plan["candidates"].update(uniform={})),
        "the plan has uniform as a candidate and as a control",
    ),
    (
        "finished",
        "export",
        fact("plan", -1, with_(controls={"inverse": {"exponent": 1.0}})),
        "the first must be uniform",
    ),
    ("finished", "show", fact("plan", -1, with_(search_trials=999)), "rests on 999 trials"),
    (
        "finished",
        "export",
        fact("plan", -1, lambda plan: plan["controls"].update(uniform={"exponent": 1.0})),
        "the plan has another weighting as uniform than confirmation-0000",
    ),
    ("finished", "--resume", run_again, "confirmation-00009 is "),
    # 14 s and 2 GiB for `show`, which made a table of a million seeds.
    ("finished", "show", fact("asked", -1, with_(seed_index=10**6)), "has the seed index 1000000"),
    (
        "finished",
        "export --counts",
        fact("asked", -1, lambda asked: asked.pop("seed_index")),
        "confirmation-00008 has the seed index None",
    ),
    ("finished", "show", fact("asked", 0, with_(name="inverse")), "not the one of that num"),
    ("finished", "show", fact("begun", 0, with_(seed=1)), "its seed is 1, and that of settings"),
    ("finished", "show", fact("ended", 0, with_(summaries=[])), "0 summaries; there must be 1"),
    (
        "finished",
        "export",
        fact("ended", 0, lambda ended: ended["summaries"][0]["metrics"].pop("macro_f1")),
        "has the metrics accuracy, balanced_accuracy, worst_class; they must be accuracy, ",
    ),
    (
        "finished",
        "show",
        fact("ended", 0, lambda ended: ended["summaries"][0]["class_accuracy"].pop()),
        "has 9 classes of 10 of resnet8-digitslt40",
    ),
    (
        "finished",
        "show",
        fact("ended", 0, lambda ended: ended["summaries"][0].update(epochs=3, best_epoch=1)),
        "ended after 3 of 4 epochs",
    ),
    ("finished", "show", fact("ended", 0, with_(score=1e99, epoch=None)), "with the score 1e+"),
    ("finished", "report", fact("ended", 0, with_(epoch=999)), "at epoch 999 of 4; restore"),
    ("finished", "--resume", fact("rung", 0, with_(score=-1e99)), "has the score -1e+99"),
    ("finished", "show", repeated("rung", 0), "which does not run; restore"),
    (
        "finished",
        "study",
        fact("asked", 0, with_(weighting={"exponent": 10.0**6})),
        "baselines-00000 has no weights on resnet8-digitslt40 (exponent: got 1000000.0;",
    ),
    ("finished", "export", shortened, "has 3 epochs, and the record says 4; restore"),
    ("finished", "show", noise(1e300), "noise_sd is 1e+300; it must be at most 100"),
    ("finished", "show", noise(1e-300), "noise_sd is 1e-300; it must be at least 0.001"),
    ("finished", "show", facts(noise_sd=3.0), "noise_sd of resnet8-digitslt40 is 1.8 and 3.0"),
    ("finished", "show", facts(half_counts=[[0] * 10] * 2), "has a class without test images"),
    ("finished", "show", facts(counts=[2**53] * 10), "train_images of resnet8-digitslt40 is 340"),
    ("finished", "show", facts(counts=[118] * 9), "states 10, 9, 10, 10 class names, training"),
    (
        "finished",
        "show",
        setting(lambda content: content["benchmarks"].append(content["benchmarks"][0])),
        "settings.benchmarks names 1, and benchmarks and holdout are resnet8-digitslt40, resnet8-",
    ),
    ("unfinished", "show", bad_epoch, "predicted is 60; it must be a list"),
    ("unfinished", "--resume", bad_epoch, "predicted is 60; it must be a list"),
    ("unfinished", "--resume", strange_lines, "attempts.jsonl is not a JSON object; restore"),
    (
        "unfinished",
        "study",
        fact("asked", -1, lambda asked: asked["drawn"]["params"].update(exponent="a\nb\x1b")),
        "was not drawn from space 'full'",
    ),
    (
        "unfinished",
        "show",
        fact("asked", -1, lambda asked: asked.pop("drawn")),
        "was drawn, or not, against its study",
    ),
    ("unfinished", "show", fact("asked", -1, with_(name="uniform")), "has the name uniform"),
    ("unfinished", "study", held_out, "holdout-00000 was held out, and the run holds nothing out"),
    (
        "schema 2",
        "show",
        lambda run, elsewhere: (run / "study.journal").write_text(
            (EARLIER_RUN / "study.journal").read_text().replace('"values":[', '"values":[1.0,')
        ),
        "study.journal cannot be read as the record of a search (RuntimeError(",
    ),
)


@pytest.mark.parametrize(("kind", "command", "change", "words"), CASES)
def test_what_was_found_once_is_refused(
    runs: Runs, kind: str, command: str, change: Callable[[Path, Path], object], words: str
) -> None:
    assert words in check(runs, kind, command, change)
