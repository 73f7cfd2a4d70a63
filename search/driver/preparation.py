"""Preparation of a run: what is known of it, and what its workers are told, before it trains."""

from dataclasses import astuple
from functools import partial

from rich.console import Console

from search.report.event_lines import print_event
from search.results.forecast import trials_here
from search.session.events import Events
from search.session.opening import check_name
from search.session.plan import Plan, check_benchmarks
from search.store.manifest import Manifest, RecordedBenchmark
from search.workers.code_version import CodeVersion, loaded_version
from search.workers.setup import WorkerSetup
from spaces import SPACES, STRATEGIES
from spaces.errors import UserError
from trainer.prepared import ImageData, load, prepare


def opened_events(plan: Plan, console: Console) -> Events:
    """Return the events of a run, which people are told of, if the plan can be carried out.

    Raises:
        UserError: it cannot.
    """
    loaded_version()
    check_name(plan)
    check_benchmarks(plan)
    events = Events()
    events.subscribe(partial(print_event, console, plan.wording))
    return events


def prepared_images(plan: Plan, events: Events) -> tuple[ImageData, ...]:
    """Return the images of every benchmark, the hold-out's last."""
    images = []
    processes = 1 if plan.resources.gpu else trials_here(plan.resources)
    for benchmark in plan.networks:
        events.note(f"Preparing the images of {benchmark.name} ...")
        for note in benchmark.notes():
            events.note(f"  {note}")
        path = prepare(benchmark, plan.data_root, events.note, processes)
        images.append(load(path, benchmark))
    return tuple(images)


def manifest_of(plan: Plan, images: tuple[ImageData, ...]) -> Manifest:
    """Return what settings.json of the run holds."""
    recorded = (
        *map(RecordedBenchmark.of_own, plan.own),
        *map(RecordedBenchmark.of, plan.networks, images),
    )
    searched = len(plan.benchmarks)
    return Manifest.of(plan.settings, recorded[:searched], *recorded[searched:])


def changed_code(plan: Plan, known: Manifest) -> str | None:
    """Return that a function of the user's was changed since the run began, if it was."""
    before = known.benchmarks[0].own
    if not plan.own or not before or before.code == plan.own[0].code:
        return None
    module = plan.own[0].trainable.partition(":")[0]
    return (
        f"note: module {module} was changed since this run began; its results stand beside those "
        "of before"
    )


def worker_setup(plan: Plan, attempt: int) -> WorkerSetup:
    """Return what the workers of this attempt are told; the images follow.

    Raises:
        UserError: the code is not that which this process has loaded.
    """
    if CodeVersion.here() != loaded_version():
        raise UserError(
            "this project's code or its libraries were changed while the search started; start it "
            "again, with --resume."
        )
    named = [STRATEGIES[name].strategy.variants for name in plan.settings.baselines]
    variants = SPACES[plan.settings.space].variants.union(*named)
    return WorkerSetup(
        benchmarks=plan.networks,
        images=(),
        run=plan.folder.path,
        proof=plan.folder.make_proof(attempt),
        code_version=loaded_version(),
        precision=plan.settings.precision,
        compiled=plan.settings.compiled,
        device=plan.device,
        threads=plan.resources.cpus,
        save_every=plan.save_every,
        variants=tuple(sorted(variants, key=astuple)),
        own=plan.own,
    )
