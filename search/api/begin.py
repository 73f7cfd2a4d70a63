"""Begin of a run: before it, this machine is checked and the cluster found that it runs on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from search.api.machine_check import check_address_space, check_loopback
from search.cluster.address import ensure_home, find_address, use_token
from search.cluster.session_folder import check_parent
from search.config.budget import Budget
from search.config.request import Request
from spaces import renamed
from spaces.errors import UserError
from trainer.user_files import working_folder

if TYPE_CHECKING:
    from search.api.dry_run import DryRun
    from search.driver.ending import Ending
    from search.session.plan import Plan


def begin(
    request: Request,
    budget: Budget,
    console: Console,
    *,
    arguments: tuple[str, ...],
    again: str,
    owns_process: bool = True,
) -> "Ending":
    """Search and confirm as asked for, and say how that ended.

    Args:
        request: of the user.
        budget: of the run.
        console: where people are told of it.
        arguments: of the search command, for ``confirm``.
        again: continues the run, in words that can be copied.
        owns_process: whether this process may be ended with the run.

    Raises:
        UserError: nothing can be searched so, or not on this machine.
    """
    with planned(request, budget, console, arguments, again, owns_process) as plan:
        from search.driver.run import run

        return run(plan, console)


def begin_dry(
    request: Request, budget: Budget, console: Console, *, owns_process: bool = True
) -> "DryRun":
    """Say what a search would do and what it costs, do nothing, and return that.

    Args:
        request: of the user.
        budget: of the run.
        console: where people are told of it.
        owns_process: whether this process may be ended with it.

    Raises:
        UserError: nothing can be searched so, or not on this machine.
        KeyboardInterrupt: Ctrl-C, SIGTERM or a closed terminal, of which people were told.
    """
    if request.resume:
        raise UserError(
            "--dry-run is for a search that has not begun; leave --resume out, or see with "
            "show RUN how far it is."
        )
    with planned(request, budget, console, (), "", owns_process) as plan:
        from search.api.dry_run import dry_run

        return dry_run(plan, console)


@contextmanager
def planned(
    request: Request,
    budget: Budget,
    console: Console,
    arguments: tuple[str, ...],
    again: str,
    owns_process: bool,
) -> Iterator["Plan"]:
    """Yield the plan of what is asked for, with this machine checked and the cluster connected."""
    working_folder()  # without which torch ends the process
    found = find_address(request.address)
    ensure_home()
    check_address_space()
    if found.address is None:
        check_parent()
        check_loopback()
    use_token(found.address)
    # Ray and torch, for which there is room now, and the token
    from search.api.planning import chosen_plan
    from search.cluster.connection import check_unused, connected

    check_unused()
    for sentence in renamed(request.baselines or ()):
        console.print(sentence)
    if found.sentence:
        console.print(found.sentence)
    request = replace(request, address=found.address)
    with connected(found.address):
        yield chosen_plan(
            request, budget, arguments=arguments, again=again, owns_process=owns_process
        )
