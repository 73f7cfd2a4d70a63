"""What a run is to do, and whether it can: the benchmarks, the settings, and what is on record."""

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.config.budget import Budget
from search.config.controls import checked_controls
from search.config.settings import Resources, Settings, fingerprint_of
from search.store.record import Record
from search.store.run_folder import RunFolder
from spaces.errors import UserError
from trainer.benchmarks import Benchmark
from trainer.benchmarks.metrics import METRICS
from trainer.data.raw import FolderSpec
from trainer.prepared import changed_images


@dataclass(frozen=True)
class Plan:
    """A run as the command line asked for it.

    Attributes:
        benchmarks: what is searched on.
        holdout: what the verdict's arms are tried on at the end.
        arguments: of the search command, for ``confirm``.
    """

    benchmarks: tuple[Benchmark, ...]
    holdout: Benchmark | None
    data_root: Path
    folder: RunFolder
    settings: Settings
    budget: Budget
    resources: Resources
    device: str
    save_every: int
    resume: bool
    resume_command: str
    arguments: tuple[str, ...]

    @property
    def all_benchmarks(self) -> tuple[Benchmark, ...]:
        """The benchmarks of the search, then the hold-out."""
        return (*self.benchmarks, self.holdout) if self.holdout else self.benchmarks


def check_name(plan: Plan) -> None:
    """Raise UserError unless the run exists exactly when it is to be resumed."""
    if plan.folder.exists() and not plan.resume:
        raise UserError(
            f"run {plan.folder.path.name!r} exists; add --resume to continue it, "
            "or choose another --name."
        )
    if plan.resume and not plan.folder.exists():
        raise UserError(
            f"there is no run {plan.folder.path.name!r} to resume in {plan.folder.path.parent}; "
            "leave --resume out to start it."
        )


def check_benchmarks(plan: Plan) -> None:
    """Raise UserError unless the benchmarks can be searched together."""
    names = [benchmark.name for benchmark in plan.all_benchmarks]
    prints = [benchmark.fingerprint() for benchmark in plan.all_benchmarks]
    twice = [name for name, n in Counter(names).items() if n > 1]
    same = [names[i] for i, p in enumerate(prints) if prints.count(p) > 1]
    if twice or same:
        raise UserError(
            f"--benchmark and --holdout name {(twice or same)[0]!r} more than once; "
            "name every benchmark once, and hold out one that is not searched on."
        )
    unknown = [b.name for b in plan.benchmarks if b.noise_sd is None]
    if len(plan.benchmarks) > 1 and unknown:
        raise UserError(
            f"benchmark {unknown[0]!r} states no noise_sd, by which a search over several "
            "benchmarks weighs them; add it to its TOML file (points, between runs that differ "
            "in the seed alone)."
        )


def open_record(plan: Plan, content: dict[str, Any]) -> Record:
    """Make the run's settings and record, or open them after checking that they are the same.

    Raises:
        UserError: the run was started with other settings, or its files cannot be used.
    """
    folder = plan.folder
    if not plan.resume:
        if any(folder.trials.iterdir()):
            raise UserError(
                f"{folder.path} holds trials but no settings.json; restore that file and add "
                "--resume, or choose another --name."
            )
        counts = [entry["facts"]["counts"] for entry in content["benchmarks"]]
        controls = checked_controls(plan.settings.baselines, counts)
        folder.journal.unlink(missing_ok=True)  # left by a start that died before its settings
        record = Record.create(folder.journal, controls.names, plan.settings.seed, folder.may_write)
        folder.write_settings(content)
        return record
    known = folder.read_settings()
    check_same(plan, known, content)
    record = Record.reopen(folder.journal, folder.may_write)
    check_budget(plan, sum(row.in_search for row in record.rows()))
    if content["holdout"] and not known["holdout"]:
        folder.write_settings(known | {"holdout": content["holdout"]})
    return record


def check_budget(plan: Plan, begun: int) -> None:
    """Raise UserError if a run has begun more trials of the search than the budget has for it."""
    budget = plan.budget
    if budget.trials is None or budget.search_trials is None or begun <= budget.search_trials:
        return
    larger = (replace(budget, trials=trials) for trials in itertools.count(budget.trials + 1))
    enough = next(b.trials for b in larger if (b.search_trials or 0) >= begun)
    raise UserError(
        f"--trials is {budget.trials}, which leaves {budget.search_trials} to the search, but run "
        f"{plan.folder.path.name!r} has begun {begun} there; give at least {enough} to go on, or "
        "use show, confirm and export on what there is."
    )


def check_same(plan: Plan, known: dict[str, Any], content: dict[str, Any]) -> None:
    """Raise UserError if the run was started with other settings than the plan's.

    A hold-out may be added to a run, but not changed: it is judged on once.
    """
    if known["holdout"] and not content["holdout"]:
        raise UserError(
            f"run {plan.folder.path.name!r} holds out {known['holdout']['benchmark']['name']!r}; "
            "give it as --holdout again."
        )
    searched = Settings.from_dict(known["settings"])
    there, here = (what_is_searched(c["benchmarks"]) for c in (known, content))
    differences = []
    if there != here:  # in words; and by fingerprints they differ then, too
        differences.append(f"{there} -> {here}")
        searched = replace(searched, benchmarks=plan.settings.benchmarks)
    differences += searched.differences(plan.settings)
    held, wanted = known["holdout"], content["holdout"]
    if held and with_later_fields(held["benchmark"]) != wanted["benchmark"]:
        differences.append(f"holdout: {what_is_searched([held])} -> {what_is_searched([wanted])}")
    if differences or known["fingerprint"] != fingerprint_of(known["settings"]):
        what = "; ".join(differences) or f"the declaration of space {plan.settings.space!r}"
        check_images(plan, known)
        raise UserError(
            f"run {plan.folder.path.name!r} was started with other settings ({what}); "
            "resume with the same, or choose another --name."
        )


def check_images(plan: Plan, known: dict[str, Any]) -> None:
    """Raise UserError if a benchmark's images are others than when the run was started."""
    before = {c["benchmark"]["name"]: c for c in [*known["benchmarks"], known["holdout"]] if c}
    for benchmark in plan.all_benchmarks:
        there = before.get(benchmark.name, {"benchmark": {"folder": None}})
        if not same_splits_other_images(there["benchmark"]["folder"], benchmark.folder):
            continue
        assert benchmark.folder is not None
        changes = changed_images(benchmark, there["data_fingerprint"], plan.data_root)
        raise UserError(
            f"run {plan.folder.path.name!r} was started with other images than there are in "
            f"{benchmark.folder.root} now: {changes or 'which ones is not on record any more'}; "
            "restore them, or choose another --name."
        )


def same_splits_other_images(before: dict[str, Any] | None, now: FolderSpec | None) -> bool:
    """Tell whether nothing but the images differs; runs of before ``val`` recorded file times."""
    if now is None or before is None or "val" not in before:
        return False
    return bool(before["val"] == now.val and before["state"] != now.state)


def what_is_searched(contents: list[dict[str, Any]]) -> str:
    said = []
    for content in contents:
        benchmark = with_later_fields(content["benchmark"])
        metric = METRICS[benchmark["metric"]].words
        said.append(f"{benchmark['name']}, {content['protocol']}, by {metric}")
    return " and ".join(said)


def with_later_fields(benchmark: dict[str, Any]) -> dict[str, Any]:
    """Return a benchmark on record with the defaults of fields that it was written without."""
    return {"metric": "accuracy", "test_held_out": False} | benchmark
