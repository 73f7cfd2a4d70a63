"""What somebody else wrote into a run folder never makes this program run their code."""

import ast
import hashlib
import io
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cmaes
import numpy as np
import optuna
import pytest
import searching
import torch
from optuna.storages.journal._base import BaseJournalSnapshot
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial
from ray import tune
from repository import REPOSITORY
from twin import fast_folder, make_settings

from search.config.objective import BenchmarkObjective, Objective
from search.export.module_template import render_module
from search.samplers.cmaes import SCRATCH, DataCmaEsSampler, optimizer_from
from search.samplers.registry import SAMPLERS, STARTUP_TRIALS
from search.session.proposer import Proposer
from search.session.standings import Standings
from search.store.record import Record
from search.store.trials import PROPOSALS, Outcome
from spaces import Weighting
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
        proposer.record.tell(key, Outcome.complete(value, {}))
    return proposer.study.get_trials()


def states(journal: Path) -> list[str]:
    """Return the states of CMA-ES that a journal holds, in hexadecimal, the oldest first."""
    trials = Record(journal).studies[PROPOSALS].get_trials()
    found = [{k: v for k, v in t.system_attrs.items() if "optimizer" in k} for t in trials]
    return ["".join(f[f"cma:optimizer:{i}"] for i in range(len(f))) for f in found if f]


def plant(journal: Path, planted: object) -> None:
    """Put another state of CMA-ES into the trial that ended last, as an attacker would."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    end = max(
        n
        for n, line in enumerate(lines)
        if line["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES
    )
    trial = {"worker_id": "x", "trial_id": lines[end]["trial_id"]}
    attribute = {"op_code": JournalOperation.SET_TRIAL_SYSTEM_ATTR, **trial}
    kept = [
        line
        for line in lines[:end]
        if line.get("trial_id") != trial["trial_id"]
        or "optimizer" not in str(line.get("system_attr"))
    ]
    changed = [*kept, attribute | {"system_attr": {"cma:optimizer:0": planted}}, *lines[end:]]
    journal.write_text("".join(json.dumps(line) + "\n" for line in changed))


def test_the_exploit_works_where_pickles_are_trusted(mark: Path) -> None:
    pickle.loads(pickle.dumps(Exploit(mark)))
    assert mark.exists()


def test_the_planted_state_is_what_optunas_own_sampler_would_run(journal: Path, mark: Path) -> None:
    run_trials(proposer_of(journal, "cmaes"), ENOUGH)
    plant(journal, pickle.dumps(Exploit(mark)).hex())
    proposer = proposer_of(journal, "cmaes", attempt=2)
    proposer.study.sampler = optuna.samplers.CmaEsSampler(
        n_startup_trials=1, warn_independent_sampling=False
    )
    proposer.ask()
    assert mark.exists()


def test_a_run_folder_of_somebody_else_cannot_run_code_through_cma_es(
    journal: Path, mark: Path
) -> None:
    run_trials(proposer_of(journal, "cmaes"), ENOUGH)
    plant(journal, pickle.dumps(Exploit(mark)).hex())
    with pytest.raises(UserError, match="state of CMA-ES"):
        proposer_of(journal, "cmaes", attempt=2).ask()
    assert not mark.exists()


@pytest.fixture(scope="module")
def real_states() -> list[bytes]:
    with fast_folder() as folder:
        run_trials(proposer_of(folder / "journal", "cmaes"), 40)
        return [bytes.fromhex(state) for state in states(folder / "journal")]


def test_a_real_state_is_read_as_unpickling_would(real_states: list[bytes]) -> None:
    assert len(real_states) >= 3
    for state in real_states:
        ours, theirs = optimizer_from(state), pickle.loads(state)
        for name, value in theirs.__getstate__().items():
            mine = ours.__getstate__()[name]
            assert type(mine) is type(value)
            np.testing.assert_array_equal(mine, value)
            if isinstance(value, np.ndarray):  # sums over rows and columns round differently
                assert mine.flags.f_contiguous == value.flags.f_contiguous
        for optimizer in (ours, theirs):
            optimizer.reseed_rng(7)
        assert ours.ask().tolist() == theirs.ask().tolist()


def test_proposals_are_those_of_optunas_own_sampler(journal: Path) -> None:
    drawn = []
    for name, kind in (("ours", DataCmaEsSampler), ("optuna", optuna.samplers.CmaEsSampler)):
        proposer = proposer_of(journal.with_name(name), "cmaes")
        proposer.study.sampler = kind(seed=3, n_startup_trials=5, warn_independent_sampling=False)
        drawn.append([trial.params for trial in run_trials(proposer, 40)])
    assert drawn[0] == drawn[1]


def test_what_memory_held_is_not_kept_in_the_study(real_states: list[bytes]) -> None:
    for state in real_states:
        optimizer = optimizer_from(state)
        told = np.count_nonzero(getattr(optimizer, SCRATCH))
        assert told == 2 * optimizer.generation


def changed(**changes: object) -> bytes:
    """Return the pickle of an optimizer with other attributes."""
    optimizer = cmaes.CMA(
        np.full(3, 0.5), 1 / 6, np.tile([0.0, 1.0], (3, 1)), n_max_resampling=30, seed=1
    )
    setattr(optimizer, SCRATCH, np.zeros_like(getattr(optimizer, SCRATCH)))
    for name, value in changes.items():
        setattr(optimizer, name, value)
    return pickle.dumps(optimizer)


def test_an_optimizer_of_this_kind_is_read() -> None:
    assert optimizer_from(changed()).dim == 3


@pytest.mark.parametrize(
    ("state", "words"),
    (
        (b"", "it is damaged: EOFError"),
        (b"garbage", "it is damaged: UnpicklingError"),
        (changed()[:-20], "it is damaged"),
        (pickle.dumps({"_n_dim": 3}), "it is no optimizer"),
        (pickle.dumps(print), "it names builtins.print"),
        (pickle.dumps(cmaes.SepCMA(np.zeros(3), 1.0)), "it names cmaes._sepcma.SepCMA"),
        (changed(_n_dim=10**9), "it has 1000000000 dimensions"),
        (changed(_n_dim=True), "it has True dimensions"),
        (changed(_n_dim=4), "its _popsize is not"),
        (changed(_n_max_resampling=10**12), "its _n_max_resampling is not"),
        (changed(_popsize=10**9), "its _popsize is not"),
        (changed(_mean=np.full(3, np.nan)), "its _mean is not"),
        (changed(_mean=np.zeros(3, np.float32)), "other numbers than of 64 bits"),
        (changed(_mean=np.array([None] * 3)), "other numbers than of 64 bits"),
        (changed(_sigma=float("inf")), "its _sigma is not"),
        (changed(_sigma="1"), "its _sigma is not"),
        (changed(_B=np.zeros((2, 2))), "its _B is not"),
        (changed(_rogue=1), "its attributes are"),
    ),
)
def test_other_states_are_refused(state: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        optimizer_from(state)


@pytest.mark.parametrize("planted", ("zz", "", 7, None, [1], "80"))
def test_a_state_that_is_none_is_named_with_its_trial(journal: Path, planted: object) -> None:
    run_trials(proposer_of(journal, "cmaes"), ENOUGH)
    plant(journal, planted)
    with pytest.raises(UserError, match=r"trial \d+ of the run's study holds a state of CMA-ES"):
        proposer_of(journal, "cmaes", attempt=2).ask()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_sampler_unpickles_what_a_study_holds(
    journal: Path, mark: Path, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = ENOUGH if sampler == "cmaes" else STARTUP_TRIALS + 1
    run_trials(proposer_of(journal, sampler), trials)

    def unpickle(*_: object) -> None:
        raise AssertionError("something is unpickled")

    for name in ("load", "loads"):
        monkeypatch.setattr(pickle, name, unpickle)
    assert len(run_trials(proposer_of(journal, sampler, attempt=2), 2)) == trials + 2


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


def test_the_journal_has_no_snapshots(journal: Path) -> None:
    assert not isinstance(Record.create(journal, (), 7).storage._backend, BaseJournalSnapshot)


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


def test_the_story_of_a_run_cannot_become_code_in_its_export(mark: Path) -> None:
    hostile = f'"""\nimport pathlib; pathlib.Path({str(mark)!r}).touch()\n"""\\'
    story = {hostile: hostile, "a": f"x\n{hostile}", "$exponent": "${exponent}"}
    module = render_module(Weighting(), [hostile, "'''\\"], story, story, "key")
    tree = ast.parse(module)
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert "pathlib" not in {name.name for node in imports for name in node.names}
    assert "pathlib" in (ast.get_docstring(tree) or "")


ALLOWED = {
    ("search/samplers/cmaes.py", "pickle.Unpickler"): "looks names up in a table of stand-ins",
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
