"""Run of a plan, from its first second to its last: the images, the search on Ray, the end."""

import os
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial

from rich.console import Console

from search.driver.ending import FAILED, INTERRUPTED, Ending, acknowledge, conclude
from search.driver.preparation import (
    changed_code,
    manifest_of,
    opened_events,
    prepared_images,
    worker_setup,
)
from search.loggers.background import EventLogging, logging_events
from search.report.announcement import announcement, forecast_text
from search.report.event_lines import log_event
from search.report.last_words import last_words
from search.report.terminal import (
    connection_note,
    keys_unseen,
    outlive_output,
    output_error,
)
from search.results.forecast import FirstEpochs, Forecast, forecast
from search.session.events import Event
from search.session.interrupt import Interrupt, leave_soon
from search.session.logs import logging_to, warnings_published
from search.session.opening import check_name, open_run
from search.session.plan import Plan
from search.session.search import Search
from search.store.attempts import Cost, last_share
from search.tune.experiment import SESSION_ERRORS, search_on_ray
from search.tune.recruit import Workers, at_a_time, recruit
from trainer.prepared import ImageData


def run(plan: Plan, console: Console) -> Ending:
    """Run or continue the search, and return how that ended.

    Raises:
        UserError: the plan cannot be carried out.
    """
    outlive_output(console)
    events = opened_events(plan, console)
    events.subscribe(log_event)
    images = prepared_images(plan, events)
    manifest = manifest_of(plan, images)
    plan.folder.create()
    with warnings_published(events), plan.folder.locked(events.note), logging_to(plan.folder.log):
        check_name(plan)  # again: another process may have come first
        record, attempt = open_run(plan, manifest)
        known = plan.folder.read_manifest()
        objective = known.objective
        with logging_events(plan.loggers, plan.folder, events, record.row, objective) as loggers:
            share = last_share(plan.folder.read_attempts())
            search = Search(
                plan.settings, plan.budget, objective, plan.folder, record, attempt, events, share
            )
            events.subscribe(partial(halt_unread, search, console))
            events.note("\n".join(announcement(plan, search)))
            if note := changed_code(plan, known):
                events.note(note)
            if note := connection_note(console.file):
                events.note(note)
            ending = search_and_export(plan, images, search, attempt, console, loggers)
            loggers.conclude(plan.folder)
        return replace(ending, left=loggers.left)


def halt_unread(search: Search, console: Console, event: Event) -> None:
    """Halt a search of which people can be told no more; its log tells the rest."""
    if error := output_error(console.file):
        unread = isinstance(error, BrokenPipeError)
        why = "nobody reads it any more" if unread else f"it cannot be written: {error.strerror}"
        search.halt(f"its output is lost ({why})")


def search_and_export(
    plan: Plan,
    images: tuple[ImageData, ...],
    search: Search,
    attempt: int,
    console: Console,
    loggers: EventLogging,
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
                if not plan.owns_process:
                    search.events.note("This process ends now, as Ray would end it before long.")
                loggers.conclude(plan.folder)
                loggers.close()
            finally:
                os._exit(ending.code)

        with interrupt.caught():
            try:
                if not (search.finished() or search.halted):
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
    if interrupt.reason():
        return
    setup = worker_setup(plan, attempt)

    def recruiting() -> Workers:
        workers = recruit(setup, images, plan.resources, search.events.note, interrupt)

        def told(seconds: tuple[float, ...]) -> None:  # when nodes that were waited for have come
            tell(Forecast(seconds, at_a_time(workers.held, plan.resources), workers.slots))

        if not measured and not interrupt.reason():
            if workers.speeds:
                concurrency = at_a_time(workers.held, plan.resources)
                tell(Forecast.of_gpus(workers.speeds, workers.slots, images, concurrency))
            else:
                epochs = [benchmark.epochs for benchmark in plan.benchmarks]
                search.events.subscribe(FirstEpochs(epochs, told))
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
