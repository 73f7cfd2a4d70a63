"""Facts of a run: its faults, hours, hardware, versions, and the command that repeats it."""

from __future__ import annotations

import shlex

from search.config.program import PROGRAM
from search.config.redaction import redacted
from search.report.durations import rough_duration
from search.report.page.figure import DataTable
from search.results.conclusion import ENDS, ORDER, Conclusion
from search.store.attempts import Cost
from spaces import CLASS_WEIGHTS
from spaces.parts.words import number_of

Fact = tuple[str, str]


def facts_of(conclusion: Conclusion) -> list[Fact]:
    """Return names and values of what a reader needs to judge and repeat a run."""
    settings, attempt = conclusion.settings, conclusion.attempt
    searched = [row for row in conclusion.rows if row.in_search]
    ends = {ENDS[state]: sum(row.state == state for row in searched) for state in ORDER}
    hardware = sorted({row.hardware for row in conclusion.rows if row.hardware})
    versions = attempt.versions or {}
    here = None if conclusion.told else attempt.cpu
    command = f"{PROGRAM} {shlex.join(attempt.arguments)}" if attempt.arguments else ""
    facts = [
        ("trials of the search", ", ".join(f"{n} {word}" for word, n in ends.items() if n)),
        ("runs with fresh seeds", str(len(conclusion.rows) - len(searched))),
        ("sampler and space", f"{settings.sampler}, {settings.space}"),
        ("prior", " ".join(prior.sentence().removeprefix("Prior: ") for prior in conclusion.prior)),
        ("seed of the run", str(settings.seed)),
        ("arithmetic", _arithmetic(conclusion)),
        ("training", f"{conclusion.device_hours:.2f} {conclusion.hours_unit}"),
        ("expected", expected(attempt.cost) if attempt.cost else ""),
        ("starts", f"{attempt.attempt}, the last one {attempt.time or 'at an unknown time'}"),
        ("hardware", "; ".join(hardware) or here or "not on record"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("code", attempt.revision or "not on record"),
        ("command", redacted(command)),
    ]
    return [(name, value) for name, value in facts if value]


def expected(cost: Cost) -> str:
    """Return what the last start was expected to cost, in words; empty without a limit."""
    if cost.seconds is None:
        return ""
    hours = "" if cost.gpu_hours is None else f", {cost.gpu_hours:.2g} GPU-hours"
    return (
        f"{rough_duration(cost.seconds)}{hours} from the last start on, "
        f"{number_of(cost.concurrency, 'trial')} at a time, if none was stopped early"
    )


def _arithmetic(conclusion: Conclusion) -> str:
    """Return how this program computed; nothing where a function of the user's did."""
    settings = conclusion.settings
    if any(recorded.own for recorded in conclusion.manifest.benchmarks):
        return ""
    return f"{settings.precision}{', compiled' if settings.compiled else ''}"


def stopping_table(conclusion: Conclusion) -> tuple[list[str], DataTable | None]:
    """Return what early stopping saved and risked, and its rungs; no table without any."""
    report = conclusion.stopping
    said = report.sentences() or ["Early stopping ended no trial."]
    if not report.rungs:
        return said, None
    several = any(rung.kind != CLASS_WEIGHTS for rung in report.rungs)
    rows = [
        (
            *((rung.kind,) if several else ()),
            rung.epoch,
            rung.passed,
            rung.stopped,
            rung.correlation,
            *(rung.interval or (None, None)),
            "yes" if rung.may_stop else "no",
        )
        for rung in report.rungs
    ]
    headers = (
        *(("kind",) if several else ()),
        "epoch",
        "full-length trials",
        "stopped",
        "rank correlation",
        "95 % low",
        "95 % high",
        "may stop now",
    )
    return said, DataTable.of(headers, rows)
