"""The driver of a run: it prepares the images, searches on Ray, and exports the winner."""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from functools import partial

from rich.console import Console

from search.export.export import export_winner
from search.export.winner import ExportError
from search.loggers.background import logging_events
from search.report.announcement import announcement, forecast_text
from search.report.event_lines import log_event, print_event
from search.report.last_words import last_words
from search.report.page import write_report
from search.report.terminal import connection_note, is_lost, keys_unseen, print_command
from search.report.verdict_view import conclusion_view
from search.results.conclusion import Conclusion
from search.results.forecast import FirstEpochs, Forecast, forecast
from search.session.events import Events
from search.session.interrupt import EXIT_CODE, Interrupt, leave_soon
from search.session.logs import logging_to, warnings_published
from search.session.opening import begin_attempt, check_name, open_record
from search.session.phases import nothing_to_confirm
from search.session.plan import Plan, check_benchmarks
from search.session.search import Search
from search.store.attempts import Cost
from search.store.manifest import Manifest, RecordedBenchmark
from search.store.run_folder import RunFolder, RunFolderGoneError
from search.tune.experiment import SESSION_ERRORS, search_on_ray
from search.tune.recruit import Workers, at_a_time, recruit
from search.tune.saving import SAVE_SECONDS
from search.workers.code_version import CodeVersion, loaded_version
from search.workers.setup import WorkerSetup
from spaces import SPACES, STRATEGIES
from spaces.errors import UserError
from trainer.prepared import ImageData, load, prepare

FINISHED, FAILED, INTERRUPTED = 0, 1, EXIT_CODE
log = logging.getLogger("search")


@dataclass(frozen=True)
class Ending:
    """The end of an attempt at a run.

    Attributes:
        folder: of the run.
        code: FINISHED when every trial has ended or the hours are used up, FAILED or INTERRUPTED.
        reason: why it ended before all trials did, or what else failed; empty if nothing.
    """

    folder: RunFolder
    code: int
    reason: str = ""


def run(plan: Plan, console: Console) -> Ending:
    """Run or continue the search, and return how that ended.

    Raises:
        UserError: the plan cannot be carried out.
    """
    events = opened_events(plan, console)
    events.subscribe(log_event)
    images = prepared_images(plan, events)
    manifest = manifest_of(plan, images)
    plan.folder.create()
    with warnings_published(events), plan.folder.locked(events.note), logging_to(plan.folder.log):
        check_name(plan)  # again: another process may have come first
        record = open_record(plan, manifest)
        attempt = begin_attempt(plan)
        known = plan.folder.read_manifest()
        objective = known.objective
        search = Search(plan.settings, plan.budget, objective, plan.folder, record, attempt, events)
        events.note("\n".join(announcement(plan, search)))
        if note := changed_code(plan, known):
            events.note(note)
        if note := connection_note(console.file):
            events.note(note)
        with logging_events(plan.loggers, plan.folder, events, record.row, objective) as loggers:
            ending = search_and_export(plan, images, search, attempt, console)
            loggers.conclude(plan.folder)
            return ending


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
    for benchmark in plan.networks:
        events.note(f"Preparing the images of {benchmark.name} ...")
        for note in benchmark.notes():
            events.note(f"  {note}")
        images.append(load(prepare(benchmark, plan.data_root), benchmark))
    return tuple(images)


def manifest_of(plan: Plan, images: tuple[ImageData, ...]) -> Manifest:
    """Return what settings.json of the run holds."""
    if plan.own:
        return Manifest.of(plan.settings, (RecordedBenchmark.of_own(plan.own),))
    recorded = tuple(map(RecordedBenchmark.of, plan.networks, images))
    searched = len(plan.benchmarks)
    return Manifest.of(plan.settings, recorded[:searched], *recorded[searched:])


def changed_code(plan: Plan, known: Manifest) -> str | None:
    """Return that a function of the user's was changed since the run began, if it was."""
    before = known.benchmarks[0].own
    if not plan.own or not before or before.code == plan.own.code:
        return None
    module = plan.own.trainable.partition(":")[0]
    return (
        f"note: module {module} was changed since this run began; its results stand beside those "
        "of before"
    )


def search_and_export(
    plan: Plan, images: tuple[ImageData, ...], search: Search, attempt: int, console: Console
) -> Ending:
    """Run the trials that are left, export the winner, and return how that ended."""
    with (
        keys_unseen(console.file) as restore,
        last_words(plan.folder.log, plan.resume_command) as spare,
    ):

        def leave() -> None:
            restore()
            console.show_cursor()
            spare()

        told = partial(acknowledge, plan, search.events, console, leave)
        interrupt = Interrupt(told, plan.owns_process)

        def give_up() -> None:
            ending = Ending(plan.folder, FAILED)
            try:
                leave()
                ending = conclude(plan, search, interrupt, console)
            finally:
                os._exit(ending.code)

        with interrupt.caught():
            try:
                if not search.finished():
                    train(plan, images, search, attempt, interrupt, console, give_up)
                return conclude(plan, search, interrupt, console)
            except KeyboardInterrupt:
                if plan.owns_process:
                    leave_soon()
                return Ending(plan.folder, INTERRUPTED)


def train(
    plan: Plan,
    images: tuple[ImageData, ...],
    search: Search,
    attempt: int,
    interrupt: Interrupt,
    console: Console,
    give_up: Callable[[], None],
) -> None:
    """Run the search's trials on Ray until they have ended or something ends them."""
    tell = partial(tell_cost, plan=plan, search=search, attempt=attempt)
    measured = forecast(plan, images, interrupt.reason)
    if measured:
        tell(measured)
    setup = worker_setup(plan, attempt)

    def recruiting() -> Workers:
        workers = recruit(setup, images, plan.resources, search.events.note, interrupt)
        if not measured and not interrupt.reason():
            concurrency = at_a_time(workers.held, plan.resources)
            if workers.speeds:
                tell(Forecast.of_gpus(workers.speeds, workers.slots, images, concurrency))
            else:
                epochs = [benchmark.epochs for benchmark in plan.benchmarks]
                of = partial(Forecast, concurrency=concurrency, slots=workers.slots)
                search.events.subscribe(FirstEpochs(epochs, lambda seconds: tell(of(seconds))))
        return workers

    try:
        search_on_ray(search, recruiting, plan.resources, attempt, interrupt, console, give_up)
    except SESSION_ERRORS as error:  # what is recorded stands
        notes = getattr(error, "__notes__", ())  # where Ray's logs are
        search.halt(" ".join([f"{type(error).__name__}: {error}", *notes]))
    except KeyboardInterrupt:
        interrupt.take(signal.SIGTERM)  # while Ray started, which had taken it


def tell_cost(found: Forecast, plan: Plan, search: Search, attempt: int) -> None:
    """Say what the search costs, and keep it for the record and for the time that is left."""
    seconds = found.seconds(plan, search)
    search.spending.expected_seconds = seconds
    cost = Cost(
        found.epoch_seconds,
        found.concurrency,
        seconds,
        None if seconds is None else found.gpu_hours(seconds),
    )
    plan.folder.add_to_attempt(attempt, {"cost": asdict(cost)})
    search.events.note("\n".join(forecast_text(found, plan, search)))


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


def conclude(plan: Plan, search: Search, interrupt: Interrupt, console: Console) -> Ending:
    """Export the best weighting so far, print where things stand, and return how it ended."""
    note = search.events.note
    if repeated := search.spending.repeated_epochs:
        note(f"{repeated} epochs were trained again from checkpoints")
    if CodeVersion.here() != loaded_version():
        note("note: the code was changed meanwhile; the search kept to the code it began with")
    try:
        plan.folder.check_there()
    except RunFolderGoneError as error:
        return say_stopped(plan, search, interrupt, console, str(error))
    conclusion = Conclusion.of(plan.folder)
    console.print(conclusion_view(conclusion))
    exported, fault = None, "no trial was trained to its full length"
    try:
        with search.events.noted_if_slow("Writing the export, and checking it ..."):
            exported = export_winner(conclusion)
    except ExportError as error:
        fault = str(error)
        note(f"not exported: {error}")
    if exported:
        note(f"exported {exported.module}")
    if search.finished():
        with search.events.noted_if_slow("Writing the report ..."):
            report(conclusion, note)
        nothing = nothing_to_confirm(conclusion.standings, conclusion.rows)
        if plan.budget.confirm_runs and nothing:
            note(f"nothing was confirmed: {nothing}")
        return (
            Ending(plan.folder, FINISHED)
            if exported
            else Ending(plan.folder, FAILED, f"nothing was exported: {fault}")
        )
    return say_stopped(plan, search, interrupt, console)


def report(conclusion: Conclusion, note: Callable[[str], None]) -> None:
    """Write the page of a finished run, and say where it is, or why there is none."""
    try:
        write_report(conclusion, conclusion.folder.report)
    except UserError as error:
        note(str(error))
    except Exception as error:  # the page is beside the search, which has ended well
        log.info("the report failed", exc_info=True)
        note(f"the report failed ({type(error).__name__}: {error}); log.txt tells more.")
    else:
        note(f"report {conclusion.folder.report}")


def say_stopped(
    plan: Plan, search: Search, interrupt: Interrupt, console: Console, fault: str | None = None
) -> Ending:
    """Say why the attempt ended before all trials did, and return that.

    ``fault`` is the reason if it is none that the search knows of.
    """
    why = fault or interrupt.reason() or search.must_stop() or "Ray ended before all trials did"
    running = len(search.running)
    left = "1 trial is unfinished" if running == 1 else f"{running} trials are unfinished"
    search.events.note(f"Stopped: {why.rstrip('.')}. {left}; continue with")
    tell_command(plan.resume_command, console)
    if interrupt.signal is not None:
        return Ending(plan.folder, INTERRUPTED, why)
    return Ending(plan.folder, FINISHED if search.spending.out_of_time() else FAILED, why)


def tell_command(command: str, console: Console) -> None:
    """Print a shell command and log it, for those who find the terminal closed."""
    if not is_lost(console.file):
        print_command(command, console)
    log.info(command)


def acknowledge(
    plan: Plan,
    events: Events,
    console: Console,
    leave: Callable[[], None],
    number: signal.Signals,
    times: int,
) -> None:
    """Say at once that a signal came; ``leave`` gives the terminal back after the second."""
    if times == 1:
        again = "" if number == signal.SIGHUP else "; Ctrl-C again ends at once"
        saved = (
            "will go on from the last checkpoint of its function"
            if plan.own
            else f"is saved where it is, which takes at most {SAVE_SECONDS:g} s"
        )
        events.note(f"Stopping. Every running trial {saved}{again}.")
    elif times == 2:
        leave()
        events.note("Ended at once. What was saved stands; continue with")
        tell_command(plan.resume_command, console)
