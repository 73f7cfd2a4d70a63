"""Stage that runs the tests that need a GPU: those that compile, which take long, or the others."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu_check.context import Context, LeftOutError
from benchmarks.gpu_check.results import Results
from benchmarks.throughput.processes import REPOSITORY, child_environment

MARK = "mark.gpu"
SEARCH_NEEDS = ("optuna", "ray", "pydantic")
TEST_SECONDS = 150.0
"""For each test: one that compiles takes up to two minutes where nothing was compiled before."""
ALL_RUN, NO_TESTS = (0, 1), 5
"""pytest's exit codes where all tests ran, and where none are left."""


def run(context: Context) -> None:
    """Run the tests in their files alone, for others may need packages that are not here."""
    if importlib.util.find_spec("pytest") is None:
        raise LeftOutError("pytest is not installed.")
    files = [path for path in (REPOSITORY / "tests").rglob("test_*.py") if is_marked(path)]
    missing = [name for name in SEARCH_NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        of_search = [path for path in files if "search" in path.relative_to(REPOSITORY).parts]
        context.results.put(missing=missing, left_out_tests=[path.name for path in of_search])
        files = [path for path in files if path not in of_search]
    if not run_tests(sorted(files), context.results, context.scratch / "begun", TEST_SECONDS):
        raise RuntimeError("not all tests passed.")


def is_marked(path: Path) -> bool:
    return MARK in path.read_text()


def run_tests(files: Sequence[Path], results: Results, begun: Path, seconds: float) -> bool:
    """Return whether all tests passed or were skipped; none may take longer than ``seconds``.

    A test that ends its process, or breaks its use of the GPU, costs no other: the rest run in a
    new process.
    """
    command = [sys.executable, "-m", "benchmarks.gpu_check.stages.suite.process"]
    command += [str(results.path), results.stage, str(begun), str(seconds), *map(str, files)]
    environment = child_environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    begun.write_text("")
    passed, text, ended = True, "", False
    while not ended:
        code = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode
        passed = passed and code in (0, NO_TESTS)
        before, text = text, begun.read_text()
        *_, last = ["", *text.removeprefix(before).splitlines()]
        if last:
            reason = f"it ended its process (exit code {code}), or took over {seconds:g} s"
            results.put(test=last, outcome="failed", reason=reason)
        ended = text == before or (not last and code in ALL_RUN)
    return passed and text != ""
