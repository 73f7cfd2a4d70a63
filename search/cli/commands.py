"""Commands of the command line: which there are, and what each of them does."""

import shlex
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from search.cli.command_options import (
    add_compare,
    add_confirm,
    add_export,
    add_help,
    add_list,
    add_prepare,
    add_report,
    add_show,
    add_study,
    add_watch,
)
from search.cli.listing import SECTIONS
from search.cli.options import add_search
from search.cli.overview import Command, no_command, overview, parser_of, version
from search.config.redaction import redacted
from search.config.request import in_options
from search.report.terminal import console_on, output_error
from search.store.run_folder import RunFolder
from search.store.validation import printable
from spaces.errors import FieldError, UserError, did_you_mean
from trainer.entry_point import BAD_INPUT, FAILED, INTERRUPTED, entry_point, sentence_of
from trainer.files import is_folder
from trainer.user_files import expanded

if TYPE_CHECKING:
    from search.driver.ending import Ending

# Imports inside functions are of modules that take time, which help and errors need not cost.


def search_command(given: Namespace, words: list[str], console: Console) -> int:
    from search.api.begin import begin, begin_dry
    from search.api.planning import chosen_budget
    from search.api.words import again_in_shell, words_of
    from search.cli.request import options_request

    request = options_request(given)
    budget = chosen_budget(request)
    if not given.dry_run:
        again, arguments = again_in_shell(words), words_of(request)
        return code_of(begin(request, budget, console, arguments=arguments, again=again), console)
    try:
        begin_dry(request, budget, console)
    except KeyboardInterrupt:  # it has said so
        return INTERRUPTED
    console.print("Nothing was begun; the same command without --dry-run searches.")
    return 0


def confirm_command(given: Namespace, words: list[str], console: Console) -> int:
    from search.api.begin import begin
    from search.api.confirmation import chosen_confirmation
    from search.api.words import again_in_shell

    options = {name: value for name, value in vars(given).items() if name not in ("command", "run")}
    request, budget, arguments = chosen_confirmation(RunFolder(given.run), options)
    again = again_in_shell(["confirm", *words])
    return code_of(begin(request, budget, console, arguments=arguments, again=again), console)


def code_of(ending: "Ending", console: Console) -> int:
    """Return the exit code of a run.

    Raises:
        OSError: its output was lost on the way, and somebody could have read it.
    """
    from search.session.interrupt import leave_soon

    error = output_error(console.file)
    lost = error is not None and not isinstance(error, BrokenPipeError)
    if ending.left:
        leave_soon(FAILED if lost else ending.code)
    if error and lost:
        raise error
    return ending.code


def show_command(given: Namespace, words: list[str], console: Console) -> int:
    from search.report.leaderboard import show
    from search.results.conclusion import Conclusion

    show(Conclusion.of(RunFolder(given.run)), console)
    return 0


def export_command(given: Namespace, words: list[str], console: Console) -> int:
    from search.cli.weights_export import asks_for_weights, export_weights
    from search.export.export import export
    from search.export.winner import winner_of
    from search.report.verdict_view import export_note
    from search.results.conclusion import Conclusion

    run = RunFolder(given.run)
    conclusion = Conclusion.of(run)
    if conclusion.winner is None:
        raise UserError(f"run {run.path.name!r} has no full-length trial to export yet.")
    if note := export_note(conclusion):
        print(f"note: {note}", file=sys.stderr)
    if asks_for_weights(given):
        export_weights(given, conclusion)
    elif winner := winner_of(conclusion):
        exported = export(given.output or run.path, winner)
        console.print(f"{exported.record}\n{exported.module}")
    return 0


def report_command(given: Namespace, words: list[str], console: Console) -> int:
    from search.report.page import write_report
    from search.results.conclusion import Conclusion

    run = RunFolder(given.run)
    path = given.output or run.report
    write_report(Conclusion.of(run), path)
    console.print(str(path), soft_wrap=True)
    return 0


def watch_command(given: Namespace, words: list[str], console: Console) -> int:
    from search.report.watch.serve import serve

    serve(given.runs, given.host, given.port, console)
    return 0


def study_command(given: Namespace, words: list[str], console: Console) -> int:
    from search.export.study_copy import write_study_copy

    run = RunFolder(given.run)
    path = given.output or Path(f"{run.path.name}.study.journal")
    write_study_copy(run, path)
    console.print(f"optuna-dashboard {shlex.quote(str(path))}", soft_wrap=True)
    return 0


def prepare_command(given: Namespace, words: list[str], console: Console) -> int:
    from search.cli.prepare import prepare_folder

    prepare_folder(given, console)
    return 0


def list_command(given: Namespace, words: list[str], console: Console) -> int:
    if given.what is not None and given.what not in SECTIONS:
        from search.report.runs_view import listed_runs

        folder = expanded(given.what)
        if not is_folder(folder):
            meant, known = did_you_mean(given.what, SECTIONS), ", ".join(SECTIONS)
            raise UserError(
                f"WHAT is {given.what!r}{meant}; it must be one of {known}, or a folder of runs."
            )
        console.print(listed_runs(folder), soft_wrap=False)
        return 0
    for name in [given.what] if given.what else SECTIONS:
        console.print(SECTIONS[name](), soft_wrap=False)
    return 0


def compare_command(given: Namespace, words: list[str], console: Console) -> int:
    from search.report.runs_view import compared_runs
    from search.results.conclusion import Conclusion

    runs = [Conclusion.of(RunFolder(run)) for run in given.runs]
    console.print(compared_runs(runs), soft_wrap=False)
    return 0


def help_command(given: Namespace, words: list[str], console: Console) -> int:
    if given.name in (None, "help"):
        console.print(overview(COMMANDS))
    elif given.name in COMMANDS:
        parser_of(COMMANDS).parse_args([given.name, "--help"])
    else:
        raise UserError(no_command(given.name, COMMANDS))
    return 0


COMMANDS = {
    "search": Command(
        search_command,
        add_search,
        "--benchmark NAME",
        "search, confirm and export; the word may be left out",
    ),
    "prepare": Command(
        prepare_command, add_prepare, "DIR", "what is in a folder of images, and a file for it"
    ),
    "confirm": Command(
        confirm_command, add_confirm, "RUN", "train a run's best weightings with fresh seeds"
    ),
    "show": Command(show_command, add_show, "RUN", "a run's leaderboard and verdict"),
    "export": Command(
        export_command, add_export, "RUN", "the found weighting as files, or for other counts"
    ),
    "report": Command(
        report_command, add_report, "RUN", "a run as a page: verdict, charts and their data"
    ),
    "watch": Command(watch_command, add_watch, "RUN", "runs as pages that move, in a browser"),
    "study": Command(
        study_command, add_study, "RUN", "a copy of a run's trials for optuna-dashboard"
    ),
    "compare": Command(
        compare_command, add_compare, "RUN RUN", "the weightings of several runs on one scale"
    ),
    "list": Command(
        list_command, add_list, "[RUNS]", "benchmarks, strategies, spaces, ...; or runs"
    ),
    "help": Command(help_command, add_help, "[COMMAND]", "this text, or a command's options"),
}


def run_command(words: list[str], console: Console) -> int:
    """Run the command that the first word names; an option begins a search."""
    if not words:
        console.print(overview(COMMANDS))
        return BAD_INPUT
    if words[0] == "--version":
        console.print(version())
        return 0
    if words[0].startswith("-"):
        words = ["search", *words]
    name, *rest = words
    if name not in COMMANDS:
        raise UserError(no_command(name, COMMANDS))
    return COMMANDS[name].run(parser_of(COMMANDS).parse_args(words), rest, console)


def wording(error: Exception) -> str:
    """Return what an error says, with options in place of fields, and without passwords."""
    told = sentence_of(error)
    return printable(redacted(in_options(told) if isinstance(error, FieldError) else told))


@entry_point(
    wording,
    interrupted="interrupted at once; --resume continues from the last checkpoints",
    raises=False,  # commands load as they go
)
def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(sys.argv[1:] if argv is None else argv, console_on(sys.stdout))
