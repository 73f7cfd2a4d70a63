"""Request of a command line: what its options ask for."""

import argparse
from dataclasses import fields

from search.api.planning import asked
from search.api.words import request_of
from search.cli.options import search_parser
from search.config.budget import FEWEST_RUNS, Budget
from search.config.request import Request
from search.results.conclusion import Conclusion
from search.session.phases import nothing_to_confirm
from search.store.run_folder import RunFolder
from spaces.errors import UserError


def options_request(options: argparse.Namespace) -> Request:
    """Return what the options of a search ask for."""
    return request_of({field.name: getattr(options, field.name) for field in fields(Request)})


def chosen_confirmation(given: argparse.Namespace, searched: list[str]) -> tuple[Request, Budget]:
    """Return the request of a confirmation, and its budget.

    Options that are not given are those of the command that began the run; ``searched`` are its
    words.

    Raises:
        UserError: the run has nothing to confirm.
    """
    folder = RunFolder(given.run)
    options = search_parser().parse_args(searched)
    options.hours = options.address = None  # the address leads to where code is run
    vars(options).update(vars(given))
    vars(options).update(runs=folder.path.parent, name=folder.path.name, resume=True)
    conclusion = Conclusion.of(folder)
    if nothing := nothing_to_confirm(conclusion.standings, conclusion.rows):
        raise UserError(f"run {folder.path.name!r} has nothing to confirm: {nothing}.")
    begun = sum(row.in_search for row in conclusion.rows)
    request = options_request(options)
    runs = request.confirm_runs or max(FEWEST_RUNS, begun // 2)
    limits = {"trials": begun + runs, "gpu_hours": None, "runs": runs}
    return request, asked(Budget, request, **limits, confirm=True, block=None, interval=None)


def recorded_arguments(folder: RunFolder) -> list[str]:
    """Return the arguments of the command that began a run.

    Raises:
        UserError: it is no run, or its first attempt is not on record.
    """
    folder.read_manifest()
    arguments = folder.read_attempts()[0].arguments
    if not arguments:
        raise UserError(
            f"{folder.attempts} does not say with which command run {folder.path.name!r} was "
            "begun, so it cannot be confirmed; search again under another --name."
        )
    return list(arguments)
