"""Walls between packages and rooms: every import of the tree, read from its source, keeps them."""

import ast
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from repository import REPOSITORY

PACKAGES = ("spaces", "trainer", "search", "benchmarks")
"""From the lowest to the highest: a package imports itself and lower ones."""
FLOORS = (
    ("stats", "stopping", "workers"),
    ("samplers",),
    ("config",),
    ("store",),
    ("session", "cluster"),
    ("results",),
    ("report", "export", "loggers"),
    ("tune",),
    ("driver",),
    ("api",),
    ("cli",),
)
"""Rooms of ``search/`` from the lowest floor to the highest: a room imports lower floors."""
BELOW_SPACES = {"numpy", "pydantic", "pydantic_core"}
"""All that ``spaces/`` imports besides the standard library."""
ONLY_IN = {
    "optuna": ("search.samplers", "search.store", "search.session", "search.export", "benchmarks"),
    "ray": ("search.tune", "search.workers", "search.cluster", "benchmarks"),
    **dict.fromkeys(
        (
            *("ray._private", "ray._raylet", "ray.core.generated", "ray.autoscaler._private"),
            *("ray.air", "ray.train._internal", "ray.tune.execution"),
        ),
        ("search.cluster", "benchmarks.scale"),
    ),
}
"""Where a foreign module may be imported; the last ones are inside Ray, and may change."""
MOST_FILES = 12
"""Files of a folder, without ``__init__.py``."""
MOST_LINES = {"tests": 350, **dict.fromkeys(PACKAGES, 300)}
"""Lines of a file below each top folder."""
LONGER = {
    "search/export/best_strategy.py",  # a user gets it as one file
    "trainer/kernels/convolution.py",  # cannot be tried without a GPU
    "trainer/kernels/resnet.py",
}


Imports = dict[str, set[str]]
"""What each module imports: modules of ours, and dotted names of others."""


def modules(root: Path) -> dict[str, Path]:
    """Return the modules of the packages by their dotted names."""
    paths = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    return {dotted(path.relative_to(root)): path for path in paths}


def dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(importer: str, path: Path) -> Iterator[tuple[str, str]]:
    """Yield what a file imports anywhere in it: module and name, which is empty for a module."""
    package = importer if path.stem == "__init__" else importer.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*above, *filter(None, [node.module])]) if node.level else node.module
            yield from ((str(base), alias.name) for alias in node.names)


def imports_of(root: Path) -> Imports:
    paths = modules(root)

    def target(module: str, name: str) -> str:
        whole = f"{module}.{name}".rstrip(".")
        return whole if whole in paths or module not in paths else module

    return {
        importer: {target(*names) for names in imported(importer, path)}
        for importer, path in paths.items()
    }


def within(module: str, room: str) -> bool:
    return f"{module}.".startswith(f"{room}.")


def floor_of(module: str) -> int:
    """Return the floor of a module of ``search``; the package itself is above all its rooms."""
    room = module.split(".")[1] if "." in module else ""
    return next((i for i, rooms in enumerate(FLOORS) if room in rooms), len(FLOORS))


def is_allowed(importer: str, name: str) -> bool:
    ours, other = importer.split(".")[0], name.split(".")[0]
    if other not in PACKAGES:
        fits_spaces = other in BELOW_SPACES or other in sys.stdlib_module_names
        return (fits_spaces or ours != "spaces") and all(
            any(within(importer, room) for room in rooms)
            for module, rooms in ONLY_IN.items()
            if within(name, module)
        )
    if ours == other == "search":
        same_room = importer.split(".")[1:2] == name.split(".")[1:2]
        return same_room or floor_of(name) < floor_of(importer)
    return PACKAGES.index(other) <= PACKAGES.index(ours)


def broken(imports: Imports) -> set[tuple[str, str]]:
    """Return the imports that a wall forbids, as (importer, imported)."""
    pairs = ((importer, name) for importer, names in imports.items() for name in names)
    return {pair for pair in pairs if not is_allowed(*pair)}


def circle(graph: Imports) -> list[str]:
    """Return a circle of imports; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def between_folders(imports: Imports, package: str) -> Imports:
    """Return which folders of a package import which."""

    def folders(names: Iterable[str]) -> set[str]:
        return {".".join(name.split(".")[:2]) for name in names if within(name, package)}

    graph: Imports = {}
    for importer, names in imports.items():
        for folder in folders([importer]):
            graph.setdefault(folder, set()).update(folders(names) - {folder})
    return graph


def crowded(root: Path) -> set[str]:
    """Return the folders of the packages that have more than ``MOST_FILES`` files."""
    parents = [path.parent for path in modules(root).values() if path.stem != "__init__"]
    full = {folder for folder in parents if parents.count(folder) > MOST_FILES}
    return {folder.relative_to(root).as_posix() for folder in full}


def long_files(root: Path) -> set[str]:
    """Return the files that have more lines than ``MOST_LINES`` says."""
    return {
        path.relative_to(root).as_posix()
        for top, most in MOST_LINES.items()
        for path in (root / top).rglob("*.py")
        if path.read_bytes().count(b"\n") > most
    }


@pytest.fixture(scope="module")
def imports() -> Imports:
    return imports_of(REPOSITORY)


def test_no_import_crosses_a_wall(imports: Imports) -> None:
    assert not broken(imports), "a room imports what it may not: see docs/architecture.md"


def test_modules_import_each_other_in_no_circle(imports: Imports) -> None:
    assert circle(imports) == []


def test_benchmarks_import_each_other_in_no_circle(imports: Imports) -> None:
    assert circle(between_folders(imports, "benchmarks")) == []


def test_no_folder_has_too_many_files() -> None:
    assert crowded(REPOSITORY) == set(), f"at most {MOST_FILES} files a folder: make rooms"


def test_no_file_is_too_long() -> None:
    assert long_files(REPOSITORY) == LONGER, "split files by the questions that they answer"


def test_every_room_of_search_has_a_floor(imports: Imports) -> None:
    rooms = {name.split(".")[1] for name in imports if within(name, "search") and "." in name}
    assert rooms == {room for floor in FLOORS for room in floor}


def plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("path", "text", "name"),
    (
        ("spaces/a.py", "import torch", "torch"),
        ("spaces/a.py", "from trainer.errors import UserError", "trainer.errors.UserError"),
        ("trainer/data/a.py", "import ray.tune", "ray.tune"),
        ("trainer/a.py", "def f():\n    from search import driver", "search.driver"),
        ("trainer/a.py", "import benchmarks.scale.run", "benchmarks.scale.run"),
        ("search/stats/a.py", "import search.config.budget", "search.config.budget"),
        ("search/workers/a.py", "if TYPE_CHECKING:\n    import search.tune", "search.tune"),
        ("search/store/a.py", "from ..session import search", "search.session.search"),
        ("search/store/__init__.py", "from .. import cli", "search.cli"),
        ("search/export/a.py", "import search.report.tables", "search.report.tables"),
        ("search/store/a.py", "import search", "search"),
        ("search/report/a.py", "from optuna.trial import TrialState", "optuna.trial.TrialState"),
        ("search/driver/a.py", "import ray", "ray"),
        ("search/tune/a.py", "from ray import _raylet", "ray._raylet"),
        ("benchmarks/overhead/a.py", "import ray.tune.execution.x", "ray.tune.execution.x"),
    ),
)
def test_a_planted_violation_is_found(tmp_path: Path, path: str, text: str, name: str) -> None:
    plant(tmp_path, {path: text})
    assert broken(imports_of(tmp_path)) == {(dotted(Path(path)), name)}


def test_what_the_walls_allow_is_not_found(tmp_path: Path) -> None:
    allowed = {
        "spaces/a.py": "import json, numpy, pydantic.dataclasses\nfrom spaces import b",
        "trainer/a.py": "import torch\nfrom spaces.a import f",
        "search/stats/a.py": "import trainer.a\nfrom search.stats.b import x\nfrom . import b",
        "search/config/a.py": "from search.stats.a import x",
        "search/tune/a.py": "import ray.tune\nfrom search.cluster import nodes",
        "search/cluster/a.py": "from ray._raylet import GcsClient\nimport search.workers.a",
        "search/cli/a.py": "import search.driver.run",
        "search/__init__.py": "from search.driver.run import run",
        "benchmarks/scale/a.py": "import ray.tune.execution, optuna, search.cli.a",
    }
    plant(tmp_path, allowed)
    assert broken(imports_of(tmp_path)) == set()


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    later = "def f():\n    from benchmarks.x.a import f"
    plant(tmp_path, {"benchmarks/x/a.py": "import benchmarks.y.b", "benchmarks/y/b.py": later})
    imports = imports_of(tmp_path)
    assert set(circle(imports)) == {"benchmarks.x.a", "benchmarks.y.b"}
    assert set(circle(between_folders(imports, "benchmarks"))) == {"benchmarks.x", "benchmarks.y"}


def test_a_planted_crowd_is_found(tmp_path: Path) -> None:
    full = {f"trainer/data/m{i}.py": "" for i in range(MOST_FILES)}
    plant(tmp_path, {"trainer/data/__init__.py": "", **full})
    assert crowded(tmp_path) == set()
    plant(tmp_path, {"trainer/data/one_more.py": ""})
    assert crowded(tmp_path) == {"trainer/data"}


def test_a_planted_long_file_is_found(tmp_path: Path) -> None:
    plant(tmp_path, {"tests/a.py": "\n" * 350, "search/store/a.py": "\n" * 300})
    assert long_files(tmp_path) == set()
    plant(tmp_path, {"tests/a.py": "\n" * 351, "search/store/a.py": "\n" * 301})
    assert long_files(tmp_path) == {"tests/a.py", "search/store/a.py"}
