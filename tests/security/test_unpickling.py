"""What somebody else wrote into a run folder never makes this program run their code."""

import ast
import hashlib
import io
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import searching
import torch
from forging import Lines, forge
from optuna.trial import FrozenTrial
from ray import tune
from repository import REPOSITORY
from twin import fast_folder, make_settings

from search.config.objective import BenchmarkObjective, Objective
from search.export.module_template import render_module
from search.session.proposer import Proposer
from search.session.standings import Standings
from search.store.record import Record
from search.store.trials import PROPOSALS
from spaces import Strategy
from spaces.errors import UserError
from trainer.execution import checkpoint

COUNTS = (500, 200, 80, 30, 10)
OBJECTIVE = Objective((BenchmarkObjective("five", 6, COUNTS, (COUNTS, COUNTS)),))
ENOUGH = 24
"""Trials after which CMA-ES has kept its state in the study."""


class Exploit:
    """Makes a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.fixture
def journal() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder / "journal"


@pytest.fixture
def mark(journal: Path) -> Path:
    return journal.with_name("mark")


def proposer_of(journal: Path, sampler: str, attempt: int = 1) -> Proposer:
    """Open the record in ``journal``, which is made if there is none."""
    settings = make_settings(sampler=sampler, baselines=())
    record = Record.reopen(journal) if journal.exists() else Record.create(journal, (), 7)
    return Proposer(record, settings, attempt, Standings(OBJECTIVE))


def run_trials(proposer: Proposer, trials: int) -> list[FrozenTrial]:
    for _ in range(trials):
        key = proposer.ask().key
        value = float(np.random.default_rng(int(key[-5:])).uniform(20, 80))
        proposer.record.report(key, 20, value)
        proposer.record.tell(key, "complete", score=value)
    proposer.catch_up()
    return proposer.study.get_trials()


def plant(journal: Path, planted: object) -> None:
    """Put a state of CMA-ES into the first trial of a record, as an attacker would."""

    def change(lines: Lines) -> Lines:
        drawn = next(content["drawn"] for kind, content in lines if kind == "asked")
        drawn.setdefault("attrs", {})["cma:optimizer:0"] = planted
        return lines

    forge(journal, change)


def test_the_exploit_works_where_pickles_are_trusted(mark: Path) -> None:
    pickle.loads(pickle.dumps(Exploit(mark)))
    assert mark.exists()


def test_the_planted_state_is_what_optunas_own_sampler_would_run(journal: Path, mark: Path) -> None:
    proposer = proposer_of(journal, "cmaes")
    last = run_trials(proposer, ENOUGH)[-1]
    last.system_attrs |= {"cma:optimizer:0": pickled(mark)}
    proposer.study.add_trial(last)
    proposer.history.show([ENOUGH])
    proposer.ask()
    assert mark.exists()


def pickled(mark: Path) -> str:
    return pickle.dumps(Exploit(mark)).hex()


def test_a_run_folder_of_somebody_else_cannot_run_code_through_cma_es(
    journal: Path, mark: Path
) -> None:
    run_trials(proposer_of(journal, "cmaes"), ENOUGH)
    plant(journal, pickled(mark))
    with pytest.raises(UserError, match="holds a state of CMA-ES, which no search writes"):
        proposer_of(journal, "cmaes", attempt=2)
    assert not mark.exists()


def test_no_state_of_cma_es_is_on_record(journal: Path) -> None:
    run_trials(proposer_of(journal, "cmaes"), ENOUGH)
    told = [trial.drawn.told for trial in Record(journal).trials[PROPOSALS] if trial.drawn]
    assert any(told)
    assert b"cma:optimizer" not in journal.read_bytes()


def test_optuna_unpickles_in_two_places_that_are_known() -> None:
    """One is CMA-ES's; the other reads snapshots, of which a journal in a file has none."""
    optuna_folder = Path(optuna.__file__).parent
    found = {
        str(path.relative_to(optuna_folder))
        for part in ("samplers", "storages/journal", "study", "trial", "search_space")
        for path in (optuna_folder / part).rglob("*.py")
        if "pickle.load" in path.read_text()
    }
    assert found == {"samplers/_cmaes.py", "storages/journal/_storage.py"}


def test_a_checkpoint_cannot_run_code(tmp_path: Path, mark: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"configuration": "c", "network": Exploit(mark)}, buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    path = tmp_path / "epoch-00001.ckpt"
    path.write_bytes(f"{checkpoint.MAGIC} {digest}\n".encode() + buffer.getvalue())
    with pytest.raises(checkpoint.DamagedCheckpointError, match="something else than a trial's"):
        checkpoint.load(path, "c")
    assert not mark.exists()


def plant_scratch(folder: Path, mark: Path) -> None:
    """Put pickles where Ray Tune keeps the state of an experiment."""
    folder.mkdir(parents=True)
    stamp, exploit = "2026-01-01_00-00-00", pickle.dumps(Exploit(mark))
    names = ("tuner", "trainable", "params", f"searcher-state-{stamp}", "searcher-state")
    for name in names:
        (folder / f"{name}.pkl").write_bytes(exploit)
    hidden = {"_type": "CLOUDPICKLE_FALLBACK", "value": exploit.hex()}
    state = {"trial_data": [[json.dumps(hidden), "{}"]], "runner_data": hidden, "stats": hidden}
    for name in (f"experiment_state-{stamp}", f"search_gen_state-{stamp}"):
        (folder / f"{name}.json").write_text(json.dumps(state))


@pytest.mark.slow
@pytest.mark.long
def test_ray_tune_looks_at_nothing_in_the_scratch_of_somebody_else(tmp_path: Path) -> None:
    options = ("--epochs", "1", "--no-confirm")
    done = searching.search(tmp_path, *options, "--trials", "4")
    assert done.returncode == 0, done.stderr
    mark, scratch = tmp_path / "mark", searching.folder(tmp_path).ray
    for place in (tmp_path / "trusted", *(scratch / f"attempt-{n}" for n in (1, 2, 3))):
        plant_scratch(place, mark)
    done = searching.search(tmp_path, *options, "--trials", "6", "--resume")
    assert done.returncode == 0, done.stderr
    assert not mark.exists()
    with pytest.raises(AttributeError):  # what Ray itself does with such a folder
        tune.Tuner.restore(str(tmp_path / "trusted"), trainable="x")
    assert mark.exists()


@pytest.mark.parametrize("found", (Strategy(), Strategy(focusing=1)), ids=Strategy.describe)
def test_the_story_of_a_run_cannot_become_code_in_its_export(found: Strategy, mark: Path) -> None:
    hostile = f'"""\nimport pathlib; pathlib.Path({str(mark)!r}).touch()\n"""\\'
    story = {hostile: hostile, "a": f"x\n{hostile}", "$exponent": "${exponent}"}
    module = render_module(found, [hostile, "'''\\"], story, story, "key")
    tree = ast.parse(module)
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert "pathlib" not in {name.name for node in imports for name in node.names}
    assert "pathlib" in (ast.get_docstring(tree) or "")


ALLOWED = {
    ("benchmarks/scale/simulated_ray.py", "pickle.loads"): "messages that the same process pickled",
}
NEVER = {
    *(f"{m}.{f}" for m in ("pickle", "marshal", "dill", "cloudpickle") for f in ("load", "loads")),
    "pickle.Unpickler",
    "joblib.load",
    "shelve.open",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "os.system",
    "os.popen",
    "eval",
    "exec",
    "compile",
    "__import__",
}
ONLY_WITH = {"torch.load": ("weights_only", True), "numpy.load": ("allow_pickle", False)}


def imported_names(tree: ast.AST) -> dict[str, str]:
    """Return what the imports of a module make each name mean."""
    meaning = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                meaning[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                meaning[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return meaning


def full_name(node: ast.expr, meaning: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{full_name(node.value, meaning)}.{node.attr}"
    return meaning.get(node.id, node.id) if isinstance(node, ast.Name) else "?"


def dangers(source: str) -> set[str]:
    """Return the names in a module that can run what a file holds."""
    tree = ast.parse(source)
    meaning = imported_names(tree)
    found = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name)
        and isinstance(node.ctx, ast.Load)
        and (name := full_name(node, meaning)) in NEVER
    }
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = full_name(call.func, meaning)
        given = {k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)}
        if name in ONLY_WITH and given.get(ONLY_WITH[name][0]) is not ONLY_WITH[name][1]:
            found.add(name)
        if given.get("shell") is True:
            found.add("shell=True")
    return found


@pytest.mark.parametrize(
    ("source", "found"),
    (
        ("import pickle\npickle.loads(b'')", {"pickle.loads"}),
        ("from pickle import load as read\nread(file)", {"pickle.load"}),
        ("import pickle\nclass U(pickle.Unpickler): pass", {"pickle.Unpickler"}),
        ("import torch\ntorch.load(path)", {"torch.load"}),
        ("import torch\ntorch.load(path, weights_only=False)", {"torch.load"}),
        ("import torch\ntorch.load(path, weights_only=True)", set()),
        ("import numpy as np\nnp.load(path)", {"numpy.load"}),
        ("import numpy as np\nnp.load(path, allow_pickle=True)", {"numpy.load"}),
        ("import numpy as np\nnp.load(path, allow_pickle=False)", set()),
        ("import yaml\nyaml.load(text, Loader=yaml.Loader)", {"yaml.load"}),
        ("import yaml\nyaml.safe_load(text)", set()),
        ("eval('1')", {"eval"}),
        ("network.eval()", set()),
        ("map(exec, lines)", {"exec"}),
        ("class Options:\n    compile: bool = False", set()),
        ("import subprocess as s\ns.run(line, shell=True)", {"shell=True"}),
    ),
)
def test_the_scan_finds_what_it_is_for(source: str, found: set[str]) -> None:
    assert dangers(source) == found


def test_no_module_runs_what_a_file_holds() -> None:
    folders = ("search", "trainer", "spaces", "benchmarks")
    paths = [p for folder in folders for p in sorted((REPOSITORY / folder).rglob("*.py"))]
    assert len(paths) > 80
    found = {
        (str(path.relative_to(REPOSITORY)), danger)
        for path in [*paths, REPOSITORY / "run_search.py"]
        for danger in dangers(path.read_text())
    }
    assert found == ALLOWED.keys()
