"""Server of the live page on this machine."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import signal
import socket
from pathlib import Path

from rich.console import Console

from search.report.watch.token import own_token
from spaces.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
EVERY_ADDRESS = "0.0.0.0"
HTTP_PORT = 80
"""Which browsers leave out."""


def serve(path: Path, host: str, port: int, console: Console) -> None:
    """Serve a run, or a folder of runs, until Ctrl-C.

    Raises:
        UserError: the libraries are not installed, or the port is taken.
    """
    try:
        import uvicorn

        from search.report.watch.app import make_app
    except ModuleNotFoundError as error:
        raise UserError(
            f"the live page needs {error.name}, which is not installed: "
            "in the project's folder, pip install -e '.[page]'."
        ) from error
    from search.report.watch.follow import FollowedRuns

    runs, token = FollowedRuns(path), own_token()
    if runs.single:
        runs.run(runs.path.name)  # a run that cannot be read is told here
    listening, name = listening_on(host, port)
    bound = listening.getsockname()[1]
    app = make_app(runs, token, hosts_of(name, bound))
    console.print(f"http://{name}:{bound}/{token}/", soft_wrap=True)
    console.print("Whoever has this address can look at the runs. Ctrl-C ends the page.")
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends the page, as was said
        uvicorn.Server(config).run(sockets=[listening])
    if console.is_terminal:
        console.print()  # below ^C


def hosts_of(host: str, port: int) -> set[str]:
    """Return the Host headers of browsers that were sent to an address, in small letters.

    ``host`` is written as in a page's address: one of IPv6 stands in brackets.
    """
    names = {host.lower(), *(LOOPBACK if host.lower() in LOOPBACK else ())}
    return {f"{name}:{port}" for name in names} | (names if port == HTTP_PORT else set())


def listening_on(host: str, port: int) -> tuple[socket.socket, str]:
    """Return a socket that listens on an address, and how that is written in a page's address.

    Raises:
        UserError: there is no such port or address here, or it is every address of this machine.
    """
    if not 0 <= port < 2**16:
        raise UserError(f"--port is {port}; it must be in 0..{2**16 - 1}, 0 for any that is free.")
    try:
        if "%" in host:
            raise OSError(errno.EINVAL, "browsers take no address with a zone")
        found = socket.getaddrinfo(host or EVERY_ADDRESS, port, type=socket.SOCK_STREAM)
        family, *_, place = min(found, key=lambda one: one[0] != socket.AF_INET)
        address = ipaddress.ip_address(place[0])
        if not address.is_unspecified:
            name = f"[{address}]" if ":" in host else host
            return socket.create_server(place, family=family), name
    except (OSError, TypeError, ValueError) as error:  # but the first: no name of a host
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"the page cannot be served on {host} port {port} ({why}); give another --host, or "
            "another --port, 0 for any."
        ) from error
    raise UserError(
        f"--host {host!r} is every address of this machine, and the page answers under the one "
        "that it prints; give the name or address by which others reach this machine."
    )
