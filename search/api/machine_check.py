"""The check of this machine for what Ray and torch cannot do without, before they are loaded."""

import resource
import socket

from spaces.errors import UserError

LEAST_ADDRESS_SPACE = 12 * 2**30
"""Bytes below which Ray or torch fails in its own words, or dies."""
LOOPBACK = "127.0.0.1"
ANSWER_SECONDS = 5.0


def check_address_space() -> None:
    """Raise UserError if this process may not map as much memory as Ray and torch do."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise UserError(
            f"the address space is limited to {limit / 2**30:.3g} GiB (ulimit -v), and a search "
            f"needs {LEAST_ADDRESS_SPACE / 2**30:g}, of which it uses a part; give it more, or "
            "ulimit -v unlimited."
        )


def check_loopback() -> None:
    """Raise UserError if this machine does not reach itself, as the processes of Ray do."""
    try:
        with socket.create_server((LOOPBACK, 0)) as server:
            socket.create_connection(server.getsockname(), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        reason = error.strerror or error  # a timeout has no number
        raise UserError(
            f"this machine does not reach itself at {LOOPBACK} ({reason}), as Ray's processes do; "
            "give it a loopback interface with this address (ip link set lo up)."
        ) from error
