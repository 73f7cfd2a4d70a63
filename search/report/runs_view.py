"""Views of several runs: all of a folder in a list, and some of one benchmark beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Column
from rich.text import Text

from search.report.tables import FittingTable, folded
from search.results.conclusion import ENDS, Conclusion
from search.stats.estimate import Estimate, Unit
from search.store.run_folder import RunFolder
from search.store.trials import TrialState
from search.store.validation import printable
from spaces.errors import UserError

Line = list[str | Text]
WRAPPED = ("stands", "score (95 %)", "parameters")
"""Columns whose words may stand on several lines."""
OVER_UNIFORM = "noise SDs over uniform"


def listed_runs(folder: Path) -> RenderableType:
    """Return the runs in a folder, by name; one that cannot be read says why.

    Raises:
        UserError: there is none.
    """
    found = sorted(path.parent for path in folder.glob("*/settings.json") if path.is_file())
    if not found:
        raise UserError(f"there is no run in {folder}; give a folder of runs, such as runs.")
    lines: list[Line] = []
    broken = []
    for path in found:
        try:
            lines.append(_listed(Conclusion.of(RunFolder(path))))
        except UserError as error:
            broken.append(Text(printable(f"{path.name}: {error}")))
    headers = ("run", "benchmark", "trials", "stands", "named", "score (95 %)")
    table = fitting(headers, lines, right=("trials",))
    return Group(table, *broken) if lines else Group(*broken)


def _listed(conclusion: Conclusion) -> Line:
    rows = conclusion.rows
    benchmarks = ", ".join(benchmark.name for benchmark in conclusion.objective.benchmarks)
    short = any(b.definition.shortened_from for b in conclusion.manifest.benchmarks)
    name, score = named(conclusion)
    return [
        conclusion.folder.path.name,
        benchmarks,
        str(sum(row.state != TrialState.RUNNING for row in rows)),
        f"{stands(conclusion)}, shortened" if short else stands(conclusion),
        name,
        score,
    ]


def stands(conclusion: Conclusion) -> str:
    """Say how far a run is."""
    running = sum(row.state == TrialState.RUNNING for row in conclusion.rows)
    judgement = conclusion.judgement
    done = "confirmed" if judgement and judgement.decided else "searched"
    if running:
        return f"{running} {ENDS[TrialState.RUNNING]}"
    return done if conclusion.rows else "no trial yet"


def named(conclusion: Conclusion) -> tuple[str, str]:
    """Return the weighting that a run names, and what it scores.

    It says of one that is not confirmed that it is not, or is the best so far.
    """
    if judgement := conclusion.judgement:
        verdict, gain = judgement.stated, judgement.stated.to_uniform
        score = f"{interval(gain.points)} {OVER_UNIFORM}" if gain else ""
        if verdict.unit == Unit.PERCENT:
            score = interval(verdict.best.accuracy)
        so_far = "" if judgement.decided else "so far"
        return verdict.winner, ", ".join(filter(None, (score, so_far)))
    found = conclusion.incumbent
    if found is None:
        return "", ""
    score = f"{found.known.mean:.2f}"
    if conclusion.objective.joint:
        score = "" if found.gain is None else f"{found.gain:.2f} {OVER_UNIFORM}"
    return found.row.label, ", ".join(filter(None, (score, "not confirmed")))


def interval(estimate: Estimate) -> str:
    return f"{estimate.mean:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def fitting(
    headers: Sequence[str], lines: list[Line], right: Sequence[str] = (), title: str | None = None
) -> FittingTable:
    """Return a table that is split by its columns where a terminal is too narrow."""
    columns = [
        Column(
            name,
            justify="right" if name in right else "left",
            overflow="fold",
            no_wrap=name not in WRAPPED,
        )
        for name in headers
    ]
    return FittingTable(columns, [(line, None) for line in lines], title, gap=2)


def compared_runs(conclusions: Sequence[Conclusion]) -> RenderableType:
    """Return the arms of runs on one scale, the best estimate first, and how the runs differ.

    Raises:
        UserError: fewer than two runs, one twice, or runs on different benchmarks or protocols.
    """
    if len(conclusions) < 2:
        raise UserError("compare takes two runs or more.")
    names = told_apart([conclusion.folder.path.resolve() for conclusion in conclusions])
    first = conclusions[0]
    for name, other in zip(names[1:], conclusions[1:], strict=True):
        mine, theirs = (
            [b.definition.fingerprint() for b in c.manifest.benchmarks] for c in (first, other)
        )
        if mine != theirs:
            raise UserError(
                f"{names[0]} and {name} cannot be compared: they are of "
                f"{_protocols(first)} and of {_protocols(other)}; give runs of one protocol."
            )
    named = dict(zip(names, conclusions, strict=True))
    scored = {run: _scored(conclusion) for run, conclusion in named.items()}
    words = "score" if len(set(scored.values())) > 1 else scored[names[0]]
    unit = "noise SDs" if first.objective.joint else "percent"
    lines = [line for _, line in sorted(_arms(named), key=lambda pair: -pair[0])]
    headers = ("weighting", "run", "runs", f"{words}, {unit} (95 %)", "parameters")
    parts: list[RenderableType] = [
        Text(_protocols(first)),
        fitting(headers, lines, right=("runs",)),
        Text(
            "Intervals are each run's own; runs that share fresh seeds share their luck. What is "
            "marked * is not confirmed: its number is the search's own and partly luck."
        ),
    ]
    so_far = [
        f"The confirmation of {run} has not ended; its numbers are those so far."
        for run, conclusion in named.items()
        if conclusion.judgement and not conclusion.judgement.decided
    ]
    said = (*so_far, *_that_differ("score", scored), *settings_that_differ(named))
    return Group(*parts, *map(Text, said))


def told_apart(runs: Sequence[Path]) -> list[str]:
    """Return the names of runs, with as many of their folders as tell them apart.

    Raises:
        UserError: one is given twice.
    """
    names = []
    for run in runs:
        others = [other for other in runs if other is not run]
        if run in others:
            raise UserError(f"the run {run} is given twice; give different ones to compare.")
        depth = 1
        while any(other.parts[-depth:] == run.parts[-depth:] for other in others):
            depth += 1
        names.append("/".join(run.parts[-depth:]))
    return names


def _protocols(conclusion: Conclusion) -> str:
    return "; ".join(f"{b.facts.name}: {b.protocol}" for b in conclusion.manifest.benchmarks)


def _scored(conclusion: Conclusion) -> str:
    """What the numbers of a run are, such as "test accuracy on half B"."""
    if conclusion.judgement:
        return conclusion.judgement.stated.scored
    return conclusion.objective.benchmarks[0].score_words


def _arms(named: Mapping[str, Conclusion]) -> list[tuple[float, Line]]:
    arms: list[tuple[float, Line]] = []
    for run, conclusion in named.items():
        if conclusion.judgement:
            verdict, plan = conclusion.judgement.stated, conclusion.judgement.plan
            for arm in verdict.arms:
                cells = [folded(arm.name), run, str(arm.seeds), interval(arm.accuracy)]
                described = plan.arms[arm.name].describe()
                arms.append((arm.accuracy.mean, [*cells, described]))
        elif found := conclusion.incumbent:
            cells = [f"{found.row.label} *", run, str(found.known.n), f"{found.known.mean:.2f}"]
            arms.append((found.known.mean, [*cells, found.row.strategy.describe()]))
    return arms


def settings_that_differ(named: Mapping[str, Conclusion]) -> list[str]:
    """Return a line for every setting that is not the same in all runs, which have names."""
    asked = [asdict(c.settings) | {"trials": len(c.rows)} for c in named.values()]
    lines = []
    for name in asked[0]:
        values = (settings[name] for settings in asked)
        lines += _that_differ(name, dict(zip(named, values, strict=True)))
    return lines or ["The runs have the same settings and as many trials."]


def _that_differ(name: str, values: Mapping[str, object]) -> list[str]:
    """The value of each run in a line, none where all are the same."""
    first, *others = values.values()
    if all(value == first for value in others):
        return []
    return [f"{name}: {', '.join(f'{run} {_said(value)}' for run, value in values.items())}"]


def _said(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
