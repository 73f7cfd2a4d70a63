"""Begin of a run: before it, this machine is checked and the cluster found that it runs on."""

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from search.api.machine_check import check_address_space, check_loopback
from search.cluster.address import ensure_home, find_address, use_token
from search.cluster.session_folder import check_parent
from search.config.budget import Budget
from search.config.request import Request
from spaces import renamed

if TYPE_CHECKING:
    from search.driver.ending import Ending


def begin(
    request: Request,
    budget: Budget,
    console: Console,
    *,
    arguments: tuple[str, ...],
    again: str,
    owns_process: bool = True,
    dry: bool = False,
) -> "Ending":
    """Search and confirm as asked for, and say how that ended.

    Args:
        request: of the user.
        budget: of the run.
        console: where people are told of it.
        arguments: of the search command, for ``confirm``.
        again: continues the run, in words that can be copied.
        owns_process: whether this process may be ended with the run.
        dry: say what would be done and what it costs, and do nothing.

    Raises:
        UserError: nothing can be searched so, or not on this machine.
    """
    found = find_address(request.address)
    ensure_home()
    check_address_space()
    if found.address is None:
        check_parent()
        check_loopback()
    use_token(found.address)
    # Ray and torch, for which there is room now, and the token
    from search.api.dry_run import dry_run
    from search.api.planning import chosen_plan
    from search.cluster.connection import check_unused, connected
    from search.driver.run import run

    check_unused()
    for sentence in renamed(request.baselines or ()):
        console.print(sentence)
    if found.sentence:
        console.print(found.sentence)
    request = replace(request, address=found.address)
    with connected(found.address):
        plan = chosen_plan(
            request, budget, arguments=arguments, again=again, owns_process=owns_process
        )
        return dry_run(plan, console) if dry else run(plan, console)
