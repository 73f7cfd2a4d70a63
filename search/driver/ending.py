"""End of an attempt at a run: the export, the report, and what is said where trials are left."""

import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console

from search.export.export import export_winner
from search.export.winner import ExportError
from search.report.page import write_report
from search.report.terminal import is_lost, print_command
from search.report.verdict_view import conclusion_view
from search.results.conclusion import Conclusion
from search.session.events import Events
from search.session.interrupt import EXIT_CODE, Interrupt
from search.session.phases import nothing_to_confirm
from search.session.plan import Plan
from search.session.search import Search
from search.store.run_folder import RunFolder
from search.tune.saving import SAVE_SECONDS
from search.workers.code_version import CodeVersion, loaded_version
from spaces.errors import UserError
from spaces.parts.words import number_of
from trainer.entry_point import sentence_of

FINISHED, FAILED, INTERRUPTED = 0, 1, EXIT_CODE
log = logging.getLogger("search")


@dataclass(frozen=True)
class Ending:
    """The end of an attempt at a run.

    Attributes:
        folder: of the run.
        code: FINISHED when every trial has ended or the hours are used up, FAILED or INTERRUPTED.
        reason: why it ended before all trials did, or what else failed; empty if nothing.
        left: a logger was left, whose library may wait without end when this process ends.
    """

    folder: RunFolder
    code: int
    reason: str = ""
    left: bool = False


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


def conclude(plan: Plan, search: Search, interrupt: Interrupt, console: Console) -> Ending:
    """Export the best weighting so far, print where things stand, and return how it ended."""
    note = search.events.note
    if repeated := search.spending.repeated_epochs:
        were = "was" if repeated == 1 else "were"
        note(f"{number_of(repeated, 'epoch')} {were} trained again from checkpoints")
    if CodeVersion.here() != loaded_version():
        note("note: the code was changed meanwhile; the search kept to the code it began with")
    try:
        plan.folder.may_write()
    except OSError as error:  # gone, or another process's by now
        return say_stopped(plan, search, interrupt, console, sentence_of(error))
    conclusion = Conclusion.of(plan.folder)
    console.print(conclusion_view(conclusion))
    exported, fault = None, "no trial was trained to its full length"
    try:
        with search.events.noted_if_slow("Writing the export, and checking it ..."):
            exported = export_winner(conclusion)
    except (ExportError, OSError) as error:  # as where the disk is full
        fault = sentence_of(error)
        note(f"not exported: {fault}")
    if exported:
        note(f"exported {exported.module}")
    if is_finished(search):
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


def is_finished(search: Search) -> bool:
    """Return whether all trials have ended; not where what is confirmed cannot be recorded."""
    try:
        return search.finished()
    except OSError:  # a full disk, which has halted the search
        return False


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
