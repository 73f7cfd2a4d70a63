"""The address of the Ray that a search runs on, and the token that it asks for.

Free of Ray, which reads the mode of its authentication once, when it is imported.
"""

import os
import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from search.cluster.noted_cluster import (
    ForeignNoteError,
    check_listener,
    note_path,
    noted_address,
)
from search.config.redaction import redacted
from spaces.errors import UserError

LOCAL = "local"
"""As ``--address``: start Ray here, whatever cluster this machine belongs to."""
CLIENT = "ray://"
AUTO = "auto"
"""As ``--address``: the cluster that this machine is part of, and no Ray of our own."""
HEAD_PORT = 6379
TOKEN_MODE = "token"
DRAWN: set[str] = set()
"""Tokens that this process drew for Rays of its own; no cluster knows them."""
CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Found:
    """A cluster found for a search.

    Attributes:
        address: of the cluster; None to start Ray here.
        sentence: tells which cluster was found and why, or why one was passed over.
    """

    address: str | None
    sentence: str | None = None


def find_address(given: str | None) -> Found:
    """Return the cluster to search on.

    In this order: what was given, ``$RAY_ADDRESS``, and the cluster that this account's ``ray
    start`` or ``ray up`` made this machine a part of. What another account offers is passed over.

    Raises:
        UserError: the address is no cluster's, or this machine was made part of a cluster that
            does not answer.
    """
    name, address = "--address", given
    if address in (None, AUTO) and os.environ.get("RAY_ADDRESS"):
        name, address = "RAY_ADDRESS", os.environ["RAY_ADDRESS"]
    if address is not None:
        check_form(name, address)
    if address == LOCAL:
        return Found(None)
    if address and address != AUTO:
        return joining(address, name)
    must, note = address == AUTO, note_path()
    try:
        noted = own_cluster()
    except ForeignNoteError as error:
        refused = f"the Ray cluster that {note} names is passed over, because {error}"
        if must:
            raise UserError(f"{name} is {AUTO}, and {refused}; give HOST:PORT.") from error
        return Found(None, f"note: {refused}; Ray is started here (--address joins a cluster).")
    if must and not noted:
        raise UserError(
            f"{name} is {AUTO}, and this machine is part of no Ray cluster (there is no {note}); "
            f"give HOST:PORT of a cluster's head, or {LOCAL} to start Ray here."
        )
    return joining(noted, f"noted by this account in {note}") if noted else Found(None)


def joining(address: str, why: str) -> Found:
    return Found(address, f"Connecting to the Ray cluster at {redacted(address)} ({why}) ...")


def own_cluster() -> str | None:
    """Return the address of the cluster that this account made this machine a part of, if any.

    Raises:
        ForeignNoteError: another account offers it.
        UserError: nothing answers there.
    """
    address = noted_address()
    if not address:
        return None
    if endpoint := host_and_port(address):
        check_listener(*endpoint)
    if not answers(address):
        raise UserError(
            f"this machine was made part of the Ray cluster at {address}, and nothing answers "
            f"there; run 'ray stop' to forget it, or give --address {LOCAL} to start Ray here."
        )
    return address


def check_form(name: str, address: str) -> None:
    """Raise UserError unless an address has a form that Ray connects to."""
    if address.startswith(("http://", "https://")):
        raise UserError(
            f"{name} is {redacted(address)!r}, a dashboard's address, to which jobs are submitted; "
            f"give --address HOST:PORT of the cluster's head (its port is often {HEAD_PORT}), or "
            f"--address {LOCAL} to start Ray here."
        )
    if not (address in (LOCAL, AUTO) or address.startswith(CLIENT) or host_and_port(address)):
        raise UserError(
            f"{name} is {redacted(address)!r}; it must be HOST:PORT of a cluster's head, such as "
            f"127.0.0.1:{HEAD_PORT}, or {AUTO}, or {LOCAL} to start Ray here."
        )


def ensure_home() -> None:
    """Let HOME be ``/`` for a user who has no home directory, as containers do; Ray needs one."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"


def use_token(address: str | None) -> None:
    """Have Ray show its token, and ask for it; a Ray of our own gets a new one if none is kept.

    The token is where ``ray start`` looks for it. Ray would be open to whoever reaches its ports,
    which on a machine with several users the loopback address does not prevent.
    """
    kept = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    if address is not None and os.environ.get("RAY_AUTH_TOKEN") in DRAWN:  # of an earlier search
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            os.environ.pop(name, None)
    # isfile: a home that may not be entered, as another user's, has none
    known = bool(os.environ.get("RAY_AUTH_TOKEN")) or os.path.isfile(kept)
    if "RAY_AUTH_MODE" in os.environ or not (known or address is None):
        return
    os.environ["RAY_AUTH_MODE"] = TOKEN_MODE
    if not known:
        os.environ["RAY_AUTH_TOKEN"] = token = secrets.token_hex(32)
        DRAWN.add(token)


def host_and_port(address: str) -> tuple[str, int] | None:
    """Return the parts of ``HOST:PORT``, None for other forms of address."""
    host, _, port = address.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or "/" in host or int(port) > 65535:
        return None
    return host, int(port)


def answers(address: str) -> bool:
    """Return whether something listens at ``HOST:PORT``."""
    endpoint = host_and_port(address)
    if endpoint is None:
        return False
    try:
        socket.create_connection(endpoint, timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def check_reachable(address: str) -> None:
    """Raise UserError if nothing listens at ``HOST:PORT``, where Ray itself would retry for long.

    Other forms of address (``auto``, ``ray://...``) are left to Ray.
    """
    if host_and_port(address) and not answers(address):
        raise UserError(
            f"--address is {address!r}, and nothing answers there; "
            "give the HOST:PORT that 'ray start --head' printed."
        )
