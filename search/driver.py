"""How a run goes from its first second to its last: prepare, search on Ray, export, say what is."""

from dataclasses import asdict
from functools import partial

from rich.console import Console

from search.announcement import say_what
from search.conclusion import Conclusion, facts_from
from search.conclusion_view import conclusion_view
from search.export import ExportError
from search.interrupt import Interrupt
from search.on_ray import SESSION_ERRORS, search_on_ray
from search.origin import Origin
from search.plan import (
    Plan,
    benchmark_content,
    check_benchmarks,
    check_name,
    open_record,
    settings_content,
)
from search.quiet import logging_to, telling
from search.record import Record
from search.search import Search
from search.worker_setup import WorkerSetup
from search.workers import recruit
from trainer.prepared import ImageData, load, prepare
from trainer.provenance import provenance

FINISHED, FAILED, INTERRUPTED = 0, 1, 130


def run(plan: Plan, console: Console) -> int:
    """Run or continue the search and return the exit code: 0 when every trial has ended.

    Raises:
        UserError: the plan cannot be carried out.
    """
    check_name(plan)
    check_benchmarks(plan)
    images = []
    for benchmark in plan.all_benchmarks:
        console.print(f"Preparing the images of {benchmark.name} ...")
        images.append(load(prepare(benchmark, plan.data_root), benchmark))
    contents = list(map(benchmark_content, plan.all_benchmarks, images))
    plan.folder.create()
    say = console.print
    with telling(say), plan.folder.locked(say), logging_to(plan.folder.log):
        check_name(plan)  # again: another process may have come first
        record = open_record(plan, settings_content(plan, contents))
        return search_and_export(plan, tuple(images), record, console)


def search_and_export(
    plan: Plan, images: tuple[ImageData, ...], record: Record, console: Console
) -> int:
    attempt = plan.folder.begin_attempt(
        {
            "budget": asdict(plan.budget),
            "resources": asdict(plan.resources),
            "device": plan.device,
            "arguments": list(plan.arguments),
            **provenance(),
        }
    )
    facts = facts_from(plan.folder.read_settings())
    search = Search(plan.settings, plan.budget, facts, plan.folder, record, attempt)
    interrupt = Interrupt()
    say_what(plan, search, console)
    if not search.finished():
        with interrupt.caught():
            setup = worker_setup(plan, attempt)
            try:
                search_on_ray(
                    search,
                    partial(recruit, setup, images, plan.resources),
                    plan.resources,
                    attempt,
                    interrupt,
                    console,
                )
            except SESSION_ERRORS as error:  # what is recorded stands
                search.halt(f"{type(error).__name__}: {error}")
    return conclude(plan, search, interrupt, console)


def worker_setup(plan: Plan, attempt: int) -> WorkerSetup:
    return WorkerSetup(
        benchmarks=plan.all_benchmarks,
        images=(),
        run=plan.folder.path,
        proof=plan.folder.make_proof(attempt),
        origin=Origin.here(),
        precision=plan.settings.precision,
        compiled=plan.settings.compiled,
        device=plan.device,
        threads=plan.resources.cpus,
        save_every=plan.save_every,
    )


def conclude(plan: Plan, search: Search, interrupt: Interrupt, console: Console) -> int:
    """Export the best weighting so far, print where things stand, and return the exit code."""
    if search.repeated_epochs:
        console.print(f"{search.repeated_epochs} epochs were trained again from checkpoints")
    conclusion = Conclusion.of(plan.folder)
    console.print(conclusion_view(conclusion))
    exported = None
    try:
        exported = conclusion.export()
    except ExportError as error:
        console.print(f"not exported: {error}")
    if exported:
        console.print(f"exported {exported.module}")
    if search.finished():
        return FINISHED if exported else FAILED
    why = interrupt.reason() or search.must_stop() or "Ray ended before all trials did"
    left = f"{len(search.running)} trials are unfinished"
    console.print(f"Stopped: {why.rstrip('.')}. {left}; continue with\n  {plan.resume_command}")
    if interrupt.signal is not None:
        return INTERRUPTED
    return FINISHED if search.out_of_time() else FAILED
