"""The hook of ``ray start`` that closes ports of Ray on this project's clusters.

The cluster files name this function in RAY_START_HOOK. Ray's client server listens on every host
that can reach the head, and no option turns it off; searches are submitted as jobs and need none.
"""

from typing import Any


def without_client_server(parameters: Any, head: bool) -> None:
    """Have ``ray start`` open no port for ``ray://``; called by Ray before it starts anything."""
    parameters.ray_client_server_port = None
