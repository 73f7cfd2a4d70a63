"""The opening of a run: a new one gets its settings and record, an old one must have the same."""

import itertools
from dataclasses import asdict, replace

from search.config.controls import checked_controls
from search.session.plan import Plan
from search.store.manifest import Manifest, RecordedBenchmark
from search.store.record import Record
from search.store.stored_run import reopen_run
from spaces.errors import UserError
from trainer.benchmarks.metrics import METRICS
from trainer.data.raw import FolderSpec
from trainer.prepared import changed_images
from trainer.provenance import provenance


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


def open_run(plan: Plan, manifest: Manifest) -> tuple[Record, int]:
    """Make the run's files, or open them after checking that they are of the same settings.

    A run exists once it has its settings, which are written last: a start that died before can be
    repeated. Returned are the record and the number of this attempt.

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
        counts = [benchmark.counts for benchmark in manifest.objective.benchmarks]
        first = checked_controls(plan.settings, counts)
        for left in (folder.record, folder.attempts):  # by a start that died before its settings
            left.unlink(missing_ok=True)
        seed = plan.settings.seed
        record = Record.create(
            folder.record, first.names, seed, folder.may_write, first.named, plan.prior
        )
        attempt = begin_attempt(plan)
        folder.write_manifest(manifest)
        return record, attempt
    known = folder.read_manifest()
    check_same(plan, known, manifest)
    record = reopen_run(folder).record
    check_budget(plan, sum(row.in_search for row in record.rows()))
    if manifest.holdout and not known.holdout:
        folder.write_manifest(replace(known, holdout=manifest.holdout))
    return record, begin_attempt(plan)


def begin_attempt(plan: Plan) -> int:
    """Put on record with what this attempt begins, and return its number."""
    return plan.folder.begin_attempt(
        {
            "budget": asdict(plan.budget),
            "resources": asdict(plan.resources),
            "device": plan.device,
            "arguments": list(plan.arguments),
            **provenance(),
        }
    )


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


def check_same(plan: Plan, known: Manifest, wanted: Manifest) -> None:
    """Raise UserError if the run was started with other settings than the plan's.

    A hold-out may be added to a run, but not changed: it is judged on once.
    """
    if known.holdout and not wanted.holdout:
        raise UserError(
            f"run {plan.folder.path.name!r} holds out {known.holdout.definition.name!r}; "
            "give it as --holdout again."
        )
    searched = known.settings
    there, here = (what_is_searched(*manifest.benchmarks) for manifest in (known, wanted))
    differences = []
    before_now = [[identity(r) for r in m.benchmarks] for m in (known, wanted)]
    if there != here and before_now[0] != before_now[1]:  # other words alone are no difference
        differences.append(f"{there} -> {here}")
        searched = replace(searched, benchmarks=plan.settings.benchmarks)
    differences += searched.differences(plan.settings)
    before, now = known.holdout, wanted.holdout
    if before and now and identity(before) != identity(now):
        differences.append(f"holdout: {what_is_searched(before)} -> {what_is_searched(now)}")
    if differences or known.fingerprint != known.settings.fingerprint():
        what = "; ".join(differences) or f"the declaration of space {plan.settings.space!r}"
        check_images(plan, known)
        raise UserError(
            f"run {plan.folder.path.name!r} was started with other settings ({what}); "
            "resume with the same, or choose another --name."
        )


def identity(recorded: RecordedBenchmark) -> object:
    """Return what of a benchmark must not change, which of a user's function is not its code."""
    if recorded.own:
        return recorded.own.name, recorded.own.fingerprint()
    return recorded.definition.to_dict()


def check_images(plan: Plan, known: Manifest) -> None:
    """Raise UserError if a benchmark's images are others than when the run was started."""
    before = {recorded.definition.name: recorded for recorded in known.all_benchmarks}
    for benchmark in plan.networks:
        there = before.get(benchmark.name)
        if (
            not there
            or not there.benchmark
            or not same_splits_other_images(there.benchmark.folder, benchmark.folder)
        ):
            continue
        assert benchmark.folder is not None
        changes = changed_images(benchmark, there.data_fingerprint, plan.data_root)
        raise UserError(
            f"run {plan.folder.path.name!r} was started with other images than there are in "
            f"{benchmark.folder.root} now: {changes or 'which ones is not on record any more'}; "
            "restore them, or choose another --name."
        )


def same_splits_other_images(before: FolderSpec | None, now: FolderSpec | None) -> bool:
    """Tell whether nothing but the images differs."""
    if now is None or before is None:
        return False
    return before.val == now.val and before.state != now.state


def what_is_searched(*benchmarks: RecordedBenchmark) -> str:
    """Return benchmarks on record in words: names, protocols and metrics."""
    return " and ".join(
        f"{recorded.definition.name}, {recorded.protocol}, by "
        f"{METRICS[recorded.definition.metric].words}"
        for recorded in benchmarks
    )
