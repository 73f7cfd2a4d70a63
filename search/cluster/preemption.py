"""The preemption of a spot machine: its notice is passed on to Ray.

``python -m search.cluster.preemption`` runs beside Ray on every worker in the cloud. Every five
seconds it asks the instance metadata service (AWS, version 2) for a notice, which comes two minutes
ahead, and turns one into a drain of this node: Ray starts nothing new on it, and what it loses
there is put down to the machine, not to the trial. Advice to move elsewhere (rebalance
recommendations) is no notice: most machines that get it stay.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.core.generated.autoscaler_pb2 import DRAIN_NODE_REASON_PREEMPTION

METADATA = "http://169.254.169.254"
POLL_SECONDS = 5.0
REQUEST_SECONDS = 2.0
DRAIN_SECONDS = 10.0
"""How long Ray's head may take to answer before it is asked again."""
TOKEN_SECONDS = 60
"""For how long the metadata service shall honour a token; each look fetches its own."""

Drain = Callable[[str, int, str], None]
"""Drains the node with an address by a time (milliseconds since 1970), for a stated reason."""
OPENER = build_opener(ProxyHandler({}))
"""The service is the machine's own; a proxy of the environment must never be asked for it."""


@dataclass(frozen=True)
class Notice:
    """A notice that the machine will be taken away.

    Attributes:
        action: what will happen to it: terminate, stop or hibernate.
        time: when, in UTC.
    """

    action: str
    time: datetime

    @classmethod
    def read(cls, text: str) -> "Notice":
        content = json.loads(text)
        time = datetime.strptime(content["time"], "%Y-%m-%dT%H:%M:%SZ")
        return cls(str(content["action"]), time.replace(tzinfo=UTC))

    def describe(self) -> str:
        return f"{self.action} at {self.time:%H:%M:%S} UTC"


def fetch(base: str, path: str) -> str | None:
    """Return what the metadata service says, None if it has nothing at this path."""
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
    ask = Request(f"{base}/latest/api/token", headers=headers, method="PUT")
    with OPENER.open(ask, timeout=REQUEST_SECONDS) as answer:
        token = answer.read().decode()
    ask = Request(f"{base}/latest/meta-data/{path}", headers={"X-aws-ec2-metadata-token": token})
    try:
        with OPENER.open(ask, timeout=REQUEST_SECONDS) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        if error.code == 404:
            return None
        raise


def look(base: str) -> tuple[Notice, str] | None:
    """Return the notice and this machine's address, None as long as there is no notice."""
    text = fetch(base, "spot/instance-action")
    if text is None:
        return None
    address = fetch(base, "local-ipv4")
    if address is None:
        raise ValueError("the metadata service does not know this machine's address")
    return Notice.read(text), address


def drain_by(head: str) -> Drain:
    """Return what drains nodes of the cluster at ``head``, ``HOST:PORT``."""

    def drain(address: str, deadline: int, reason: str) -> None:
        client = GcsClient(address=head)
        nodes = client.get_all_node_info(timeout=DRAIN_SECONDS).values()
        here = [n for n in nodes if n.node_manager_address == address and n.state == n.ALIVE]
        if not here:
            raise ValueError(f"the cluster has no node with the address {address}")
        for node in here:
            accepted, why = client.drain_node(
                node.node_id.hex(), DRAIN_NODE_REASON_PREEMPTION, reason, deadline
            )
            if not accepted:
                raise ValueError(f"Ray refused to drain node {node.node_id.hex()[:8]}: {why}")

    return drain


def say(sentence: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {sentence}", flush=True)


def watch(base: str, drain: Drain, pause: Callable[[float], None] = time.sleep) -> None:
    """Wait for a notice and drain this machine's node; return when that is done.

    Whatever goes wrong is said once, until something else does, and tried again.
    """
    said = ""
    while True:
        try:
            seen = look(base)
            if seen is not None:
                notice, address = seen
                drain(address, int(notice.time.timestamp() * 1000), notice.describe())
                return say(f"{notice.describe()}: the node {address} is draining")
            said = ""
        except Exception as error:  # a watcher that ended early would be missed too late
            if (trouble := f"{type(error).__name__}: {error}") != said:
                say(f"trying again every {POLL_SECONDS:g} s after {trouble}")
            said = trouble
        pause(POLL_SECONDS)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m search.cluster.preemption",
        description="Wait until the provider takes this machine away, and drain its Ray node.",
        allow_abbrev=False,
    )
    parser.add_argument("--head", required=True, metavar="HOST:PORT", help="the cluster's head")
    parser.add_argument("--metadata", default=METADATA, help=f"of the machine ({METADATA})")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    say(f"watching {options.metadata} for the cluster at {options.head}")
    watch(options.metadata, drain_by(options.head))
    return 0


if __name__ == "__main__":
    sys.exit(main())
