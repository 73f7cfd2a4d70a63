"""The notice that a machine will be taken away, and what becomes of its Ray node."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clusters import free_port, ray_head
from metadata import Metadata, metadata_service, notice

from search.cluster import preemption
from search.cluster.preemption import Notice, look, watch

HERE = "127.0.0.1"
TIME = "2026-03-01T12:00:00Z"
MILLISECONDS = 1772366400000


@pytest.fixture
def service() -> Iterator[tuple[str, type[Metadata]]]:
    with metadata_service() as (base, metadata):
        metadata.content["local-ipv4"] = HERE
        yield base, metadata


class Drained:
    """Records the drains it is asked for, and refuses the first few."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals, self.calls = refusals, list[tuple[str, int, str]]()

    def __call__(self, address: str, deadline: int, reason: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ValueError("not now")
        self.calls.append((address, deadline, reason))


def pauses(*steps: Callable[[], None]) -> Callable[[float], None]:
    """Return a pause that takes no time and does one step each; one pause too many is an error."""
    left = list(steps)

    def pause(seconds: float) -> None:
        assert seconds == preemption.POLL_SECONDS
        left.pop(0)()

    return pause


def nothing() -> None:
    pass


def test_without_a_notice_there_is_nothing_to_see(service: tuple[str, type[Metadata]]) -> None:
    base, metadata = service
    metadata.content["events/recommendations/rebalance"] = f'{{"noticeTime": "{TIME}"}}'
    assert look(base) is None
    assert metadata.asked == ["spot/instance-action"]


def test_a_notice_drains_the_node_of_this_machine_until_its_time(
    service: tuple[str, type[Metadata]], capsys: pytest.CaptureFixture[str]
) -> None:
    base, metadata = service
    drained = Drained()

    def come() -> None:
        metadata.content["spot/instance-action"] = notice(TIME)

    watch(base, drained, pauses(nothing, come))
    assert drained.calls == [(HERE, MILLISECONDS, "terminate at 12:00:00 UTC")]
    assert capsys.readouterr().out.endswith(
        "terminate at 12:00:00 UTC: the node 127.0.0.1 is draining\n"
    )


def test_trouble_is_said_once_and_tried_again(
    service: tuple[str, type[Metadata]], capsys: pytest.CaptureFixture[str]
) -> None:
    base, metadata = service
    metadata.content["spot/instance-action"] = notice(TIME)
    metadata.failures = 3
    drained = Drained(refusals=2)
    watch(base, drained, pauses(*[nothing] * 5))
    assert len(drained.calls) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("UTC: ")[2] for line in lines] == [
        "trying again every 5 s after HTTPError: HTTP Error 500: Internal Server Error",
        "trying again every 5 s after ValueError: not now",
        "terminate at 12:00:00 UTC: the node 127.0.0.1 is draining",
    ]


def test_a_service_that_is_gone_or_talks_nonsense_does_not_end_the_watch(
    service: tuple[str, type[Metadata]], capsys: pytest.CaptureFixture[str]
) -> None:
    base, metadata = service
    metadata.content["spot/instance-action"] = "[]"
    del metadata.content["local-ipv4"]

    def mend_notice() -> None:
        metadata.content["spot/instance-action"] = notice(TIME)

    def mend_address() -> None:
        metadata.content["local-ipv4"] = HERE

    watch(base, Drained(), pauses(mend_notice, mend_address))
    said = capsys.readouterr().out
    assert "does not know this machine's address" in said
    with pytest.raises(OSError, match="refused"):
        look(f"http://127.0.0.1:{free_port()}")


def test_a_proxy_of_the_environment_is_not_asked(
    service: tuple[str, type[Metadata]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    service[1].content["spot/instance-action"] = notice(TIME, "stop")
    seen = look(service[0])
    assert seen == (Notice("stop", datetime(2026, 3, 1, 12, tzinfo=UTC)), HERE)


def test_the_watcher_needs_neither_torch_nor_optuna() -> None:
    code = (
        "import sys, search.cluster.preemption; "
        "print({'torch', 'optuna', 'numpy'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    command = [sys.executable, "-m", "search.cluster.preemption", "--help"]
    assert "--head HOST:PORT" in subprocess.run(command, capture_output=True, text=True).stdout


WORKER = "127.0.0.2"
BUSY = """
import signal, sys, time, ray
from ray._private.state import state
signal.alarm(180)
ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
while "worker" not in ray.cluster_resources():
    time.sleep(0.1)
@ray.remote(resources={"worker": 1}, num_cpus=0)
class Busy:
    def node(self):
        return ray.get_runtime_context().get_node_id()
busy = Busy.remote()
node = ray.get(busy.node.remote(), timeout=120)
print("busy", flush=True)
while not state.get_draining_nodes():
    time.sleep(0.1)
print(state.get_draining_nodes()[node], flush=True)
"""


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Python command until the end of the block, with its output to be read."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of a cluster with a token and a second node at WORKER."""
    token = tmp_path / "token"
    token.write_text("0123456789abcdef" * 4)
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ray = str(Path(sys.executable).with_name("ray"))
    options = [f"--node-ip-address={WORKER}", "--num-cpus=1", '--resources={"worker": 1}']
    with (
        ray_head(env=environment) as (address, _),
        running(ray, "start", "--block", f"--address={address}", *options),
    ):
        yield address


def said(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.slow
def test_a_notice_makes_a_real_node_drain(
    two_nodes: str, service: tuple[str, type[Metadata]]
) -> None:
    base, metadata = service
    end = (datetime.now(UTC) + timedelta(minutes=2)).replace(microsecond=0)
    metadata.content["local-ipv4"] = "127.0.0.9"
    metadata.content["spot/instance-action"] = notice(f"{end:%Y-%m-%dT%H:%M:%SZ}")
    watch_command = ["-m", "search.cluster.preemption", "--head", two_nodes, "--metadata", base]
    with running("-c", BUSY, two_nodes) as busy, running(*watch_command) as watcher:
        assert said(busy) == "busy\n"
        assert "watching" in said(watcher)
        assert "the cluster has no node with the address 127.0.0.9" in said(watcher)
        metadata.content["local-ipv4"] = WORKER
        assert f"the node {WORKER} is draining" in said(watcher)
        assert watcher.wait(60) == 0
        assert int(said(busy)) == int(end.timestamp() * 1000)
