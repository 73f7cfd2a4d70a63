"""Runs of all kinds that have come to their end, and what is printed of them."""

import io
from pathlib import Path

from confirming import HELD, HELD_OUT, OWN_ACCURACY, OWN_BY_CLASS, Worth, steady, whole_run
from rich.console import Console
from twin import JOINT, OBJECTIVE

from search.config.objective import Objective
from search.report.leaderboard import show
from search.report.verdict_view import conclusion_view
from search.results.conclusion import Conclusion
from search.store.run_folder import RunFolder
from search.store.trials import Row

TRIALS, RUNS = 20, 12


def uniform_wins(row: Row, part: int) -> int:
    return steady(row, part) + 20 * (row.label == "uniform" and not row.in_search)


def conclusion_of(path: Path, worth: Worth, runs: int | None, objective: Objective) -> Conclusion:
    trials = TRIALS if runs else TRIALS - RUNS
    return Conclusion.of(whole_run(path, worth, trials, runs, objective))


def text_of(conclusion: Conclusion) -> str:
    """Return what is printed, 80 columns wide, as it is into a pipe."""
    console = Console(file=io.StringIO(), width=80, highlight=False, soft_wrap=True)
    console.print(conclusion_view(conclusion))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def strategies_win(row: Row, part: int) -> int:
    """Deferred weights are the best, and sampling the second, in the search and after it."""
    return steady(row, part) + 20 * (row.label == "drw") + 15 * (row.label == "cb_sampling")


STRATEGIES_TOO = ("uniform", "sqrt_inverse", "drw", "cb_sampling")


CASES: dict[str, tuple[Worth, int | None, Objective]] = {
    "searched": (steady, None, OBJECTIVE),
    "confirmed": (steady, RUNS, OBJECTIVE),
    "uniform": (uniform_wins, RUNS, OBJECTIVE),
    "joint": (steady, RUNS, JOINT),
    "joint, searched": (steady, None, JOINT),
    "held out": (steady, RUNS, HELD_OUT),
    "held out, searched": (steady, None, HELD_OUT),
    "own accuracy": (steady, RUNS, OWN_ACCURACY),
    "own accuracy, searched": (steady, None, OWN_ACCURACY),
    "own classes": (steady, RUNS, OWN_BY_CLASS),
    "holdout": (steady, RUNS, Objective(JOINT.benchmarks, holdout=HELD)),
}


def shown(folder: RunFolder) -> str:
    console = Console(file=io.StringIO(), width=160)
    show(Conclusion.of(folder), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
