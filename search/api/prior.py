"""Prior of a search: the earlier runs that a user names are read once, when the search begins."""

from collections import Counter
from dataclasses import replace

from search.config.request import Request
from search.config.settings import Settings, run_of_prior
from search.store.facts import PriorRun
from search.store.run_folder import RunFolder
from spaces.errors import FieldError, UserError
from spaces.validation import checked, shown
from trainer.user_files import expanded


def with_prior(
    settings: Settings, request: Request, folder: RunFolder
) -> tuple[Settings, tuple[PriorRun, ...]]:
    """Return the settings with the prior that is asked for, and what its runs tell.

    A run that goes on has both on record, and does not read the earlier runs again.

    Raises:
        UserError: an earlier run cannot be used, or the run began with others.
    """
    if request.resume and folder.exists():
        return replace(settings, prior=recorded_prior(request, folder)), ()
    prior = tuple(told_by(path, settings) for path in request.prior)
    names = Counter(run.run for run in prior)
    if twice := [name for name, times in names.items() if times > 1]:
        raise FieldError(f"prior names run {twice[0]!r} twice; name each run once")
    for path, run in zip(request.prior, prior, strict=True):
        if again := (names.keys() - {run.run}) & learnt_from(path):
            raise FieldError(
                f"prior names run {min(again)!r}, which run {run.run!r} has learnt from, so that "
                f"its trainings would count twice; leave {min(again)!r} out"
            )
    content = settings.to_dict() | {"prior": tuple(run.entry for run in prior)}
    return checked(Settings, content, error=FieldError), prior


def told_by(path: str, settings: Settings) -> PriorRun:
    """Return what the earlier run in a folder tells.

    Raises:
        UserError: it cannot be used.
    """
    from search.session.design.prior_run import prior_run  # slow to import

    try:
        return prior_run(expanded(path), settings)
    except UserError as error:
        raise UserError(f"--prior is {shown(path)}: {error}") from error


def learnt_from(path: str) -> set[str]:
    """Return the names of the earlier runs that the run in a folder began with."""
    return set(map(run_of_prior, RunFolder(expanded(path)).read_manifest().settings.prior))


def recorded_prior(request: Request, folder: RunFolder) -> tuple[str, ...]:
    """Return the prior that a run began with.

    Raises:
        UserError: others are named now.
    """
    known = folder.read_manifest().settings.prior
    before = [run_of_prior(entry) for entry in known]
    now = [RunFolder(expanded(path)).path.name for path in request.prior]
    if now and now != before:
        raise UserError(
            f"--prior is {','.join(request.prior)}, and run {folder.path.name!r} began with "
            f"{','.join(before) or 'none'}; leave --prior out, since what was taken from earlier "
            "runs is on record, or choose another --name."
        )
    return known
