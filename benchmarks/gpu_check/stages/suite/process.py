"""Process of the suite: pytest, a row for each test as it ends, and a limit for each.

    python -m benchmarks.gpu_check.stages.suite.process RESULTS STAGE BEGUN SECONDS FILE [FILE ...]

BEGUN is a file: a line for each test that began, and an empty one when it ended. Tests that began
in an earlier process are left out. A test that takes longer than SECONDS ends the process. As its
STAGE says, either the tests that compile run, or all others.
"""

import faulthandler
import os
import sys
from pathlib import Path

import pytest

from benchmarks.gpu_check.plan import STAGES
from benchmarks.gpu_check.results import Results

COMPILED = "True"
"""In the name of a test's case, where it says that networks are compiled."""
BROKEN = "CUDA error"
"""In what a test says after which no other can use the GPU in the same process."""


class Reporter:
    """A plugin of pytest that tells of each test as it begins and ends."""

    def __init__(self, results: Results, begun: Path, seconds: float) -> None:
        self.results, self.begun, self.seconds = results, begun, seconds
        self.compiled = STAGES[results.stage].compiled
        self.stderr = os.dup(2)  # pytest puts another in its place

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        begun = {*self.begun.read_text().splitlines()}
        mine = [item for item in items if (COMPILED in item.name) == self.compiled]
        items[:] = [item for item in mine if item.nodeid not in begun]

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.note(nodeid)
        faulthandler.dump_traceback_later(self.seconds, exit=True, file=self.stderr)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            reason = str(report.longrepr)[-300:] if report.failed else None
            self.results.put(
                test=report.nodeid,
                outcome=report.outcome,
                seconds=round(report.duration, 2),
                **{"reason": reason} if reason else {},
            )
        if report.failed and BROKEN in str(report.longrepr):
            self.session.shouldstop = BROKEN

    def pytest_runtest_logfinish(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        self.note("")

    def note(self, line: str) -> None:
        with self.begun.open("a") as file:
            file.write(line + "\n")


def main() -> int:
    results, stage, begun, seconds, *files = sys.argv[1:]
    reporter = Reporter(Results(Path(results), stage), Path(begun), float(seconds))
    options = ["-m", "gpu", "-v", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    return int(pytest.main([*options, *files], plugins=[reporter]))


if __name__ == "__main__":
    sys.exit(main())
