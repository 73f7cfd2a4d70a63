"""Stage that runs the tests that need a GPU, last those that compile, which take long."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.gpu_check.context import Context, LeftOutError
from benchmarks.gpu_check.results import Results
from benchmarks.throughput.processes import REPOSITORY

if TYPE_CHECKING:
    import pytest

MARK = "mark.gpu"
SEARCH_NEEDS = ("optuna", "ray", "pydantic")
COMPILED = "True"
"""In the name of a test's case, where it says that networks are compiled."""


class Reporter:
    """A plugin of pytest that puts a row for each test as it ends."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def pytest_collection_modifyitems(self, items: "list[pytest.Item]") -> None:
        items.sort(key=lambda item: COMPILED in item.name)

    def pytest_runtest_logreport(self, report: "pytest.TestReport") -> None:
        if report.when == "call" or not report.passed:
            reason = str(report.longrepr)[-300:] if report.failed else None
            self.results.put(
                test=report.nodeid,
                outcome=report.outcome,
                seconds=round(report.duration, 2),
                **{"reason": reason} if reason else {},
            )


def run(context: Context) -> None:
    """Run the tests in their files alone, for others may need packages that are not here."""
    try:
        import pytest
    except ImportError:
        raise LeftOutError("pytest is not installed.") from None
    files = [path for path in (REPOSITORY / "tests").rglob("test_*.py") if is_marked(path)]
    missing = [name for name in SEARCH_NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        of_search = [path for path in files if "search" in path.relative_to(REPOSITORY).parts]
        context.results.put(missing=missing, left_out_tests=[path.name for path in of_search])
        files = [path for path in files if path not in of_search]
    options = ["-m", "gpu", "-v", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    code = pytest.main([*options, *sorted(map(str, files))], plugins=[Reporter(context.results)])
    if code:
        raise RuntimeError(f"pytest ended with {int(code)}.")


def is_marked(path: Path) -> bool:
    return MARK in path.read_text()
