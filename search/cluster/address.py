"""The address of the Ray that a search runs on, and the token that it asks for.

Free of Ray, which reads the mode of its authentication once, when it is imported.
"""

import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path

from search.store.redaction import redacted
from spaces.errors import UserError

LOCAL = "local"
"""As ``--address``: start Ray here, whatever cluster this machine belongs to."""
CLIENT = "ray://"
AUTO = "auto"
"""As ``--address``: the cluster that this machine is part of, as Ray finds it."""
HEAD_PORT = 6379
TOKEN_MODE = "token"
CONNECT_SECONDS = 10


def find_address(given: str | None) -> str | None:
    """Return the address of the cluster to search on; None to start Ray here.

    In this order: what was given, ``$RAY_ADDRESS``, and the cluster that ``ray start`` or
    ``ray up`` made this machine a part of.

    Raises:
        UserError: the address is no cluster's, or this machine was made part of a cluster that
            does not answer.
    """
    address = given or os.environ.get("RAY_ADDRESS")
    if address:
        check_form("--address" if given else "RAY_ADDRESS", address)
        return None if address == LOCAL else address
    address = noted_address()
    if address and not answers(address):
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


def noted_address() -> str | None:
    """Return the address of the cluster that this machine is part of, where Ray notes it."""
    system = "/tmp" if sys.platform == "darwin" else tempfile.gettempdir()  # as Ray has it
    note = Path(os.environ.get("RAY_TMPDIR") or system) / "ray" / "ray_current_cluster"
    return (note.read_text().strip() or None) if note.is_file() else None


def use_token(address: str | None) -> None:
    """Have Ray show its token, and ask for it; a Ray of our own gets a new one if none is kept.

    The token is where ``ray start`` looks for it. Ray would be open to whoever reaches its ports,
    which on a machine with several users the loopback address does not prevent.
    """
    kept = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    # isfile: a home that may not be entered, as another user's, has none
    known = bool(os.environ.get("RAY_AUTH_TOKEN")) or os.path.isfile(kept)
    if "RAY_AUTH_MODE" in os.environ or not (known or address is None):
        return
    os.environ["RAY_AUTH_MODE"] = TOKEN_MODE
    if not known:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def host_and_port(address: str) -> tuple[str, int] | None:
    """Return the parts of ``HOST:PORT``, None for other forms of address."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host or int(port) > 65535:
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
