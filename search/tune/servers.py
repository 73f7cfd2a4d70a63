"""Ray's servers that a search depends on: the loss of one ends the search soon.

They are the head of the cluster and the server of this machine. Ray would try for a minute, without
a word, to reach a lost head, and then end the process.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import ray

from search.cluster.address import host_and_port
from search.tune.saving import Saving

LOOK_SECONDS = 1.0
REFUSALS = 2
"""A server that refuses connections so many times in a row is gone."""
SAVE_SECONDS = 10.0
"""So long the saving of trials may take without a server."""
END_SECONDS = 2.0
"""So long the main thread may take then for what Ray has told it."""


def server_addresses() -> dict[str, str]:
    """Return ``HOST:PORT`` of the connected Ray's servers that the driver needs, by their names."""
    context = ray.get_runtime_context()
    (here,) = (node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    return {
        "Ray's head": context.gcs_address,
        "Ray's server on this machine": f"{here['NodeManagerAddress']}:{here['NodeManagerPort']}",
    }


@contextlib.contextmanager
def servers_watched(
    addresses: Mapping[str, str],
    tell: Callable[[str], None],
    saving: Saving,
    give_up: Callable[[], None],
) -> Iterator[None]:
    """Watch servers in the block, on a thread of its own.

    ``tell`` is told in words that one is gone, and shall have the search stopped. Soon after the
    saving, ``give_up`` is called and shall end the process: without its servers, Ray may hold the
    main thread, in the block or when it is shut down.
    """
    left = threading.Event()

    def watch() -> None:
        refused = dict.fromkeys(addresses, 0)
        while max(refused.values(), default=0) < REFUSALS:
            if left.wait(LOOK_SECONDS):
                return
            for name, address in addresses.items():
                refused[name] = refused[name] + 1 if refuses(address) else 0
        name = max(refused, key=lambda name: refused[name])
        tell(f"{name} ({addresses[name]}) is gone")
        deadline = time.monotonic() + SAVE_SECONDS
        while not (saving.is_done or time.monotonic() > deadline or left.wait(LOOK_SECONDS)):
            pass
        left.wait(END_SECONDS)
        give_up()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        left.set()
        watcher.join()


def refuses(address: str) -> bool:
    """Return whether the machine at ``HOST:PORT`` answers that nothing listens there.

    Silence is no refusal: a network may come back.
    """
    endpoint = host_and_port(address)
    assert endpoint is not None
    host, port = endpoint
    try:
        socket.create_connection((host.strip("[]"), port), timeout=LOOK_SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
