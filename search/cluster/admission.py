"""The admission to a Ray cluster, checked before Ray connects.

Ray would try for twenty seconds and then not say what was wrong.
"""

import contextlib
import os
from collections.abc import Iterator

from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.exceptions import AuthenticationError, RpcError

from search.cluster.address import CLIENT
from search.config.redaction import redacted
from spaces.errors import UserError

REMEDY = (
    "give the cluster's token in the file ~/.ray/auth_token, or where RAY_AUTH_TOKEN_PATH says, "
    "or in RAY_AUTH_TOKEN."
)


def check_admitted(address: str) -> None:
    """Raise UserError unless a Ray head at ``HOST:PORT`` lets this program in.

    Other forms of address are left to Ray, except that of its client: a search keeps its record
    in the process that drives it, which therefore has to be on a machine of the cluster.
    """
    if address.startswith(CLIENT):
        raise UserError(
            f"--address is {redacted(address)!r}, and a search cannot be driven through a Ray "
            "client; give HOST:PORT on a machine of the cluster, or submit the search as a job."
        )
    if ":" not in address:
        return
    try:
        # Without a token, asking with Ray's own client would end the process.
        ensure_token_if_auth_enabled(create_token_if_missing=False)
        with silent_stderr():
            GcsClient(address=address)
    except AuthenticationError as error:
        raise UserError(
            f"--address is {address!r}, and the Ray cluster there does not let us in "
            f"({error.message}); {REMEDY}"
        ) from error
    except RpcError as error:
        raise UserError(
            f"--address is {address!r}, and what listens there does not answer as a Ray head does "
            f"({error}); give the HOST:PORT that 'ray start --head' printed."
        ) from error


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Drop what Ray's C++ parts write about a refusal that is told in a sentence anyway."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
