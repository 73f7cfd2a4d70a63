"""Comparison of replays that were run before: regret over runs, a panel for each benchmark.

    python -m benchmarks.replay.comparison replay-late.json replay-mech.json --out regret.png

Arms of the same benchmark may come from several files: repetitions of equal seeds have the same
truth in all of them. An arm that is in several is taken from the last. Beside the figure, it prints
a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.option_checks import check_out
from benchmarks.replay.comparison.views import draw, table
from spaces.errors import UserError
from trainer.arguments import Parser
from trainer.entry_point import entry_point, say

Results = dict[str, dict[str, dict[str, Any]]]
"""Benchmark -> arm -> its figures, as a replay wrote them."""


ALIKE = {
    "budget_trials": "a budget of {} trials",
    "workers": "{} trials at a time",
    "seed": "the seed {}",
    "epochs_per_trial": "trials of {} epochs",
}
"""What files share, the last those of one benchmark; and the words for it."""


def merged(paths: Iterable[Path]) -> tuple[Results, int]:
    """Return what the files say, and the trials of their budgets; of an arm, what the last says.

    Raises:
        UserError: a file cannot be read or is no result of a replay, or they are not alike.
    """
    results: Results = {}
    first: dict[tuple[str, str], tuple[Any, Path]] = {}
    for path in paths:
        content = _content(path)
        name = content["name"]
        for key, words in ALIKE.items():
            where = key, name if key == "epochs_per_trial" else ""
            here = content.get(key)
            value, earlier = first.setdefault(where, (here, path))
            if here != value:
                raise UserError(
                    f"{earlier} has {words.format(value)} and {path} {words.format(here)}; give "
                    "files that are alike in that."
                )
        arms = results.setdefault(name, {})
        for label, summary in content["arms"].items():
            if label in arms:
                say(f"note: {label!r} on {name} is in several files; shown is that of {path}.")
            figures = {"milliseconds": _milliseconds(content, label)}
            arms[label] = {**summary, **figures, "repetitions": content.get("repetitions")}
    return results, first["budget_trials", ""][0]


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not {"name", "arms", "budget_trials"} <= set(content):
        raise UserError(
            f"{path} is no result of benchmarks.replay; give .json files that it wrote."
        )
    return content


def _milliseconds(content: Mapping[str, Any], label: str) -> float | None:
    found: Mapping[str, float] = content.get("milliseconds_per_proposal", {})
    return found.get(label)


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m benchmarks.replay.comparison",
        description="Compare replays that were run before, in a figure and a table.",
    )
    made.add_argument("results", type=Path, nargs="+", help=".json files of benchmarks.replay")
    made.add_argument(
        "--arm",
        action="append",
        metavar="LABEL=NAME",
        help="show this arm under this name, in this order; repeat it (all, as they are called)",
    )
    made.add_argument("--out", type=Path, required=True, help="PNG file to write")
    return made


def named(options: list[str] | None, results: Results) -> dict[str, str]:
    """Return the labels to show, with their names.

    Raises:
        UserError: an option is not of the form, or names an arm that no file has.
    """
    known = list(dict.fromkeys(label for arms in results.values() for label in arms))
    if options is None:
        return {label: label for label in known}
    names: dict[str, str] = {}
    for option in options:
        label, _, name = option.partition("=")
        if label not in known:
            raise UserError(
                f"--arm is {option!r}, but no file has the arm {label!r}; they have "
                f"{', '.join(map(repr, known))}."
            )
        names[label] = name or label
    return names


@entry_point()
def main(command: list[str] | None = None) -> int:
    """Draw and print what the command line asks for; return the exit code, 2 for bad input."""
    options = parser().parse_args(command)
    results, budget = merged(options.results)
    names = named(options.arm, results)
    check_out(options.out, drawn=True)
    draw(results, names, budget, options.out)
    print(table(results, names, budget))
    return 0


if __name__ == "__main__":
    sys.exit(main())
