"""A run as its folder holds it: each file is checked, and all of them against each other.

Every command that looks at a run or continues it reads it here first. Epochs are checked where they
are read, one trial at a time (``RunFolder.read_epochs``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from search.config.objective import BenchmarkObjective, Objective
from search.config.settings import UNIFORM
from search.samplers.registry import KNOWLEDGE_GRADIENT
from search.store.attempts import Attempt
from search.store.facts import Ended, PriorRun, Summary
from search.store.manifest import Manifest
from search.store.plan import ConfirmationPlan
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import (
    BASELINES,
    HOLDOUT,
    NAMED_FIRST,
    PROPOSALS,
    RecordedTrial,
    Row,
    TrialState,
)
from search.store.validation import unusable
from spaces import Strategy, Weighting, WeightingError, check_recipe, present_name
from spaces.errors import UserError
from spaces.parts.words import number_of
from trainer.benchmarks.metrics import METRICS

ROUNDING = 1e-6


@dataclass(frozen=True)
class StoredRun:
    """What the files of a run say."""

    manifest: Manifest
    attempts: tuple[Attempt, ...]
    record: Record


def read_run(folder: RunFolder, record: Record | None = None) -> StoredRun:
    """Read a run; a ``record`` of it that is given is not read again.

    Raises:
        UserError: it is no run, or its files are damaged or disagree.
    """
    manifest = folder.read_manifest()
    run = StoredRun(manifest, tuple(folder.read_attempts()), record or Record(folder.record))
    fault = next(faults(manifest, run.record), None)
    if fault:
        raise unusable(run.record.source, UserError(fault))
    return run


def reopen_run(folder: RunFolder) -> StoredRun:
    """Read a run that this process holds, and open its record for writing."""
    run = read_run(folder)
    return replace(run, record=Record.reopen(folder.record, folder.may_write))


def faults(manifest: Manifest, record: Record) -> Iterator[str]:
    """Yield what a record says that cannot be so, in a run with these settings."""
    assert record.begun is not None
    settings, objective = manifest.settings, manifest.objective
    if record.begun.seed != settings.seed:
        yield f"its seed is {record.begun.seed}, and that of settings.json {settings.seed}"
    yield from prior_faults(record.begun.prior, settings.prior)
    strangers = set(record.controls()) - set(settings.baselines)
    if strangers:
        yield f"its control {min(strangers)} is none of settings.json"
    for trials in record.trials.values():
        for trial in trials:
            if not trial.refused:
                yield from (f"{trial.key} {fault}" for fault in trial_faults(trial, objective))
    rows = record.rows()
    yield from weighting_faults(rows, objective)
    if settings.sampler == KNOWLEDGE_GRADIENT:
        yield from guard_faults(rows, record, objective)
    yield from control_faults(rows, record)
    yield from repeated_runs(rows)
    plan = record.plan()
    if plan:
        yield from (f"the plan {fault}" for fault in plan_faults(plan, rows))


def prior_faults(prior: Sequence[PriorRun], entries: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with what was taken from earlier runs; ``entries``: of settings.json."""
    for run in prior:
        for number, weighting in enumerate(run.weightings):
            try:
                Weighting.from_dict(weighting)
            except WeightingError as error:
                yield f"weighting {number} of prior {run.run} is none ({error})"
    found = [run.entry for run in prior]
    if found != list(entries):
        known = [",".join(each) or "none" for each in (found, entries)]
        yield f"its prior is {known[0]}, and that of settings.json {known[1]}"


def trial_faults(trial: RecordedTrial, objective: Objective) -> Iterator[str]:
    """Yield what is wrong with a trial by itself."""
    asked = trial.asked
    assert asked is not None
    if (asked.name is None) is not (trial.study == PROPOSALS):
        yield f"has the name {asked.name}"
    if (trial.drawn is None) is (trial.study == PROPOSALS):
        yield "was drawn, or not, against its study"
    if (asked.seed_index is None) is not trial.in_search:
        yield f"has the seed index {asked.seed_index}"
    if (asked.seed_index or 0) > trial.number:
        yield f"has the seed index {asked.seed_index}, and there are {trial.number} runs before it"
    parts = parts_of(objective, trial.study)
    if not parts:
        yield "was held out, and the run holds nothing out"
        return
    highest = highest_score(parts, objective, trial.study)
    for epoch, score in trial.rungs.items():
        if epoch > parts[0].epochs or not -ROUNDING <= score <= highest:
            yield f"has the score {score} at epoch {epoch} of {parts[0].epochs}"
    if trial.ended:
        yield from end_faults(trial.ended, parts, highest)


def parts_of(objective: Objective, study: str) -> tuple[BenchmarkObjective, ...]:
    """Return what the trials of a study train on, one after the other; nothing if there is none."""
    if study == HOLDOUT:
        return (objective.holdout,) if objective.holdout else ()
    return objective.benchmarks


def highest_score(parts: tuple[BenchmarkObjective, ...], objective: Objective, study: str) -> float:
    """Return the highest score that a trial of a study can have."""
    whole = [100.0 for _ in parts]
    return (whole[0] if study == HOLDOUT else objective.score(whole)) + ROUNDING


def end_faults(
    ended: Ended, parts: tuple[BenchmarkObjective, ...], highest: float
) -> Iterator[str]:
    """Yield what is wrong with the end of a trial of these parts."""
    if ended.score is not None and not -ROUNDING <= ended.score <= highest:
        yield f"ended with the score {ended.score}"
    wanted = 0 if ended.state == "failed" else len(parts)
    if len(ended.summaries) != wanted:
        yield f"ended with {len(ended.summaries)} summaries; there must be {wanted}"
    for summary, benchmark in zip(ended.summaries, parts, strict=False):
        whole = ended.state == "complete"
        yield from summary_faults(summary, benchmark, whole)


def summary_faults(summary: Summary, benchmark: BenchmarkObjective, whole: bool) -> Iterator[str]:
    """Yield what is wrong with a summary on a benchmark; ``whole``: of the full length."""
    epochs, classes = summary.epochs, len(summary.class_accuracy)
    if epochs > benchmark.epochs or (whole and epochs < benchmark.epochs):
        yield f"ended after {epochs} of {number_of(benchmark.epochs, 'epoch')} of {benchmark.name}"
    if (summary.best_epoch or 0) > epochs:
        yield f"was best at epoch {summary.best_epoch} of {epochs}"
    if classes not in (0, len(benchmark.counts)):
        yield f"has {classes} classes of {len(benchmark.counts)} of {benchmark.name}"
    if summary.metrics is not None and set(summary.metrics) != set(METRICS):
        yield f"has the metrics {', '.join(summary.metrics)}; they must be {', '.join(METRICS)}"


def weighting_faults(rows: list[Row], objective: Objective) -> Iterator[str]:
    """Yield which trials have weights that cannot be computed on the benchmarks' counts."""
    seen = set()
    for row in rows:
        if row.strategy in seen:
            continue
        seen.add(row.strategy)
        for benchmark in objective.benchmarks:
            try:
                row.strategy.recipe(benchmark.counts)
            except WeightingError as error:
                yield f"{row.key} has no weights on {benchmark.name} ({error})"


def guard_faults(rows: list[Row], record: Record, objective: Objective) -> Iterator[str]:
    """Yield which strategies the guards refuse, of a run whose model knows none of them."""
    assert record.begun is not None
    controls = record.begun.controls
    first = {Strategy.from_dict(c.weighting): f"control {c.name}" for c in reversed(controls)}
    for strategy, who in ({row.strategy: row.key for row in reversed(rows)} | first).items():
        for benchmark in objective.benchmarks:
            try:
                check_recipe(strategy.recipe(benchmark.counts))
            except WeightingError as error:
                why = str(error).rsplit("; ", 1)[0]  # without the advice, which is for parameters
                yield f"{who} cannot train on {benchmark.name} ({why})"


def control_faults(rows: list[Row], record: Record) -> Iterator[str]:
    """Yield which controls and strategies that run first are not those, in their order."""
    assert record.begun is not None
    waiting = {BASELINES: record.begun.controls, NAMED_FIRST: record.begun.named}
    for row in rows:
        line = waiting.get(row.study)
        if line is not None and (
            row.number >= len(line) or row.label != present_name(line[row.number].name)
        ):
            yield f"{row.key} is {row.label}, which is not the one of that number"


def repeated_runs(rows: list[Row]) -> Iterator[str]:
    """Yield which runs of later phases repeat an arm and seed that was not lost."""
    seen = set()
    for row in rows:
        if row.in_search or (row.state == TrialState.FAIL and not row.diverged):
            continue
        run = row.study, row.label, row.seed_index
        if run in seen:
            yield f"{row.key} is {row.label} with seed index {row.seed_index} again"
        seen.add(run)


def plan_faults(plan: ConfirmationPlan, rows: list[Row]) -> Iterator[str]:
    """Yield what is wrong with a plan of a confirmation after these trials."""
    searched = sum(row.in_search for row in rows)
    if not plan.candidates or plan.runs < 1:
        yield f"has {len(plan.candidates)} candidates and {plan.runs} runs; there must be some"
    if both := plan.candidates.keys() & plan.controls.keys():
        yield f"has {min(both)} as a candidate and as a control"
    if next(iter(plan.controls)) != UNIFORM:
        yield f"has the controls {', '.join(plan.controls)}; the first must be {UNIFORM}"
    if plan.search_trials > searched:
        yield (
            f"rests on {number_of(plan.search_trials, 'trial')} of the search; there are {searched}"
        )
    for row in rows:
        if not row.in_search and plan.arms.get(row.label, row.strategy) != row.strategy:
            yield f"has another weighting as {row.label} than {row.key}"
