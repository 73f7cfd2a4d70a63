"""Confirmation of a run that was searched before: a request like the search's."""

from collections.abc import Mapping
from typing import Any

from search.api.planning import asked
from search.api.words import request_of, values_in
from search.config.budget import FEWEST_RUNS, Budget
from search.config.request import Request
from search.results.conclusion import Conclusion
from search.session.phases import nothing_to_confirm
from search.store.run_folder import RunFolder
from spaces.errors import UserError


def chosen_confirmation(
    folder: RunFolder, given: Mapping[str, Any]
) -> tuple[Request, Budget, tuple[str, ...]]:
    """Return the request of a confirmation, its budget, and the arguments of the search command.

    Args:
        folder: of the run.
        given: fields of the request that are not as they were for the search.

    Raises:
        UserError: a value breaks a rule, or the run has nothing to confirm.
    """
    searched = recorded_arguments(folder)
    before = values_in(searched) | {"hours": None, "address": None}  # it leads to where code is run
    if before["trainable"] and not given.get("trainable"):
        raise UserError(
            f"run {folder.path.name!r} trains with a function, and a record, which may be "
            "anybody's, chooses no code that is run; name it again: --trainable "
            f"{before['trainable']}"
        )
    if given.get("device") == "cpu":
        before["slots"] = None  # of the GPUs that it was searched on
    if before["trainable"]:
        before["save_every"] = None  # which earlier versions took, and nothing read
    here = {"runs": folder.path.parent, "name": folder.path.name, "resume": True}
    request = request_of(before | dict(given) | here)
    conclusion = Conclusion.of(folder)
    if nothing := nothing_to_confirm(conclusion.standings, conclusion.rows):
        raise UserError(f"run {folder.path.name!r} has nothing to confirm: {nothing}.")
    begun = sum(row.in_search for row in conclusion.rows)
    runs = request.confirm_runs
    runs = max(FEWEST_RUNS, begun // 2) if runs is None else runs
    limits = {"trials": begun + runs, "gpu_hours": None, "runs": runs}
    budget = asked(Budget, request, **limits, confirm=True, block=None, interval=None)
    return request, budget, searched


def recorded_arguments(folder: RunFolder) -> tuple[str, ...]:
    """Return the arguments of the command that began a run.

    Raises:
        UserError: it is no run, one of a study, or its first attempt is not on record.
    """
    own = folder.read_manifest().benchmarks[0].own
    if own and own.told:
        raise UserError(
            f"run {folder.path.name!r} is of a study, which hands out its trainings; confirm it "
            "with confirmation() of search.Study(..., folder=...)."
        )
    arguments = folder.read_attempts()[0].arguments
    if not arguments:
        raise UserError(
            f"{folder.attempts} does not say with which command run {folder.path.name!r} was "
            "begun, so it cannot be confirmed; search again under another --name."
        )
    return tuple(arguments)
