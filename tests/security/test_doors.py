"""Who is let into a cluster that asks for a token, and where the token does not go.

Every outcome is printed: ``pytest -m slow tests/security/test_doors.py -rP``.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import searching
from clusters import free_port, ray_head
from ray.exceptions import RpcError
from repository import REPOSITORY

from search.cluster import admission
from search.cluster.admission import check_admitted
from search.store.files.containment import entries
from spaces.errors import UserError

TINY = ("--trials", "5", "--epochs", "1", "--no-confirm")


@dataclass(frozen=True)
class Cluster:
    """A Ray head of its own, with all of its doors.

    Attributes:
        address: of the GCS, which drivers and nodes connect to.
        dashboard, agent: HTTP servers; the agent starts the jobs that are submitted.
        client: the port of ``ray://``.
    """

    address: str
    dashboard: str
    agent: str
    client: str
    folder: Path
    token: str

    @property
    def token_file(self) -> Path:
        return self.folder / "token"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Not pytest's folder: the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="doors-", ignore_cleanup_errors=True) as folder:
        yield from cluster_in(Path(folder))


def cluster_in(folder: Path) -> Iterator[Cluster]:
    (folder / "home").mkdir()
    token = secrets.token_hex(32)
    (folder / "token").write_text(token)
    (folder / "token").chmod(0o600)
    dashboard, agent, client = (free_port() for _ in range(3))
    options = (
        "--include-dashboard=true",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard}",
        f"--dashboard-agent-listen-port={agent}",
        f"--ray-client-server-port={client}",
        f"--temp-dir={folder / 'ray'}",
        "--disable-usage-stats",
    )
    mode = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    with ray_head(*options, env=mode) as (address, _):
        for port in (dashboard, agent, client):
            wait_for(port)
        urls = [f"http://127.0.0.1:{port}" for port in (dashboard, agent)]
        yield Cluster(address, *urls, f"127.0.0.1:{client}", folder, token)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 180
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline
        time.sleep(0.2)


def said(door: str, who: str, outcome: object) -> None:
    print(f"{door}, {who}: {outcome}")


def environment(cluster: Cluster, **more: str) -> dict[str, str]:
    """Return the environment of a user who has no token but what ``more`` gives."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    return {**plain, "HOME": str(cluster.folder / "home"), **more}


def search(
    cluster: Cluster, place: Path, address: str, **more: str
) -> subprocess.CompletedProcess[str]:
    command = searching.command(place, *TINY, "--address", address)
    return subprocess.run(
        command,
        cwd=place,
        env=environment(cluster, **more),
        capture_output=True,
        text=True,
        check=False,
    )


STRANGERS: dict[str, dict[str, str]] = {
    "no token, though the mode is set": {"RAY_AUTH_MODE": "token"},
    "a wrong token": {"RAY_AUTH_TOKEN": "0" * 64},
    "a token file that is missing": {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": "/no/such/file",
    },
    "authentication turned off": {"RAY_AUTH_MODE": "disabled"},
}


@pytest.mark.slow
def test_a_search_without_the_token_is_refused_in_one_sentence(
    cluster: Cluster, tmp_path: Path
) -> None:
    begun = time.monotonic()
    done = search(cluster, tmp_path, cluster.address)
    seconds = time.monotonic() - begun
    said("run_search.py --address", "no token", f"exit code {done.returncode}, {done.stderr}")
    assert done.returncode == 2
    check_sentence(cluster, done.stderr.removeprefix("error: "))
    assert seconds < 60  # a few, on an idle machine
    assert not (tmp_path / "runs").exists()


def check_sentence(cluster: Cluster, sentence: str) -> None:
    assert sentence.startswith(f"--address is '{cluster.address}', and the Ray cluster")
    assert "RAY_AUTH_TOKEN" in sentence
    assert sentence.count("\n") == 1
    assert "0" * 64 not in sentence


ASKING = """
import sys
from search.cluster.admission import check_admitted
from spaces.errors import UserError
try:
    check_admitted(sys.argv[1])
except UserError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("who", STRANGERS)
def test_nobody_is_admitted_without_the_token(cluster: Cluster, who: str) -> None:
    """In a process, as Ray reads once what is known of a token."""
    command = [sys.executable, "-c", ASKING, cluster.address]
    own = environment(cluster, **STRANGERS[who])
    done = subprocess.run(command, cwd=REPOSITORY, env=own, capture_output=True, text=True)
    said("the door of drivers", who, done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    check_sentence(cluster, done.stdout)


def asked(url: str, token: str | None, body: dict[str, object] | None = None) -> int:
    """Return the status with which a request is answered."""
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


REQUESTS = {
    "the dashboard's nodes": ("dashboard", "/nodes?view=summary"),
    "the dashboard's state of the cluster": ("dashboard", "/api/cluster_status"),
    "the dashboard's logs": ("dashboard", "/api/v0/logs?node_id=x"),
    "the list of jobs": ("dashboard", "/api/jobs/"),
    "the agent's logs": ("agent", "/logs"),
    "a job's log at the agent": ("agent", "/api/job_agent/jobs/x/logs"),
}
INTRUDERS = (("no token", None, 401), ("a wrong token", "0" * 64, 403))


@pytest.mark.slow
@pytest.mark.parametrize(("who", "token", "status"), INTRUDERS)
@pytest.mark.parametrize("door", REQUESTS)
def test_requests_without_the_token_are_refused(
    cluster: Cluster, door: str, who: str, token: str | None, status: int
) -> None:
    server, path = REQUESTS[door]
    answer = asked(getattr(cluster, server) + path, token)
    said(door, who, answer)
    assert answer == status
    assert asked(getattr(cluster, server) + path, cluster.token) not in (401, 403)


SUBMISSIONS = {
    "job submission at the dashboard": ("dashboard", "/api/jobs/"),
    "job submission at the agent": ("agent", "/api/job_agent/jobs/"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("who", "token", "status"), INTRUDERS)
@pytest.mark.parametrize("door", SUBMISSIONS)
def test_jobs_without_the_token_are_refused(
    cluster: Cluster, tmp_path: Path, door: str, who: str, token: str | None, status: int
) -> None:
    server, path = SUBMISSIONS[door]
    command = f"touch {tmp_path / 'mark'}"
    answer = asked(getattr(cluster, server) + path, token, {"entrypoint": command})
    said(door, who, answer)
    assert answer == status
    assert command not in listed_jobs(cluster)


def listed_jobs(cluster: Cluster) -> list[str]:
    """Return the commands of all jobs that the cluster has accepted."""
    headers = {"Authorization": f"Bearer {cluster.token}"}
    request = urllib.request.Request(f"{cluster.dashboard}/api/jobs/", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return [job["entrypoint"] for job in json.load(answer)]


@pytest.mark.slow
def test_a_job_with_the_token_is_accepted_and_runs(cluster: Cluster, tmp_path: Path) -> None:
    """So that the refusals above are not those of a door that is always shut."""
    mark = tmp_path / "mark"
    answer = asked(f"{cluster.dashboard}/api/jobs/", cluster.token, {"entrypoint": f"touch {mark}"})
    said("job submission at the dashboard", "the token", answer)
    assert answer == 200
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert f"touch {mark}" in listed_jobs(cluster)


def greeted(address: str, token: str | None) -> grpc.StatusCode:
    """Return how ``ray://`` answers the first thing that a client asks."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address) as channel:
        ping = channel.unary_unary("/ray.rpc.RayletDriver/ClusterInfo")
        try:
            ping(b"\x08\x03", metadata=metadata, timeout=30)  # PING
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


@pytest.mark.slow
def test_rays_client_is_refused_without_the_token(cluster: Cluster) -> None:
    for who, token, _ in INTRUDERS:
        answer = greeted(cluster.client, token)
        said("ray://", who, answer.name)
        assert answer == grpc.StatusCode.UNAUTHENTICATED
    # Behind the door, the question lacks the name of a client.
    assert greeted(cluster.client, cluster.token) == grpc.StatusCode.NOT_FOUND


def holding(folder: Path, text: str) -> list[str]:
    """Return the files below a folder in which a text stands."""
    plain = [entry.path for entry in entries(folder) if entry.is_file(follow_symlinks=False)]
    return [path for path in plain if text.encode() in Path(path).read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kept", ("in a file", pytest.param("in the environment", marks=pytest.mark.long))
)
def test_with_the_token_a_search_runs_and_writes_it_nowhere(
    cluster: Cluster, tmp_path: Path, kept: str
) -> None:
    file = {"RAY_AUTH_TOKEN_PATH": str(cluster.token_file)}
    token = file if kept == "in a file" else {"RAY_AUTH_TOKEN": cluster.token}
    done = search(cluster, tmp_path, cluster.address, **token)
    said("run_search.py --address", f"the token {kept}", f"exit code {done.returncode}")
    assert done.returncode == 0, done.stderr
    assert len(searching.rows(tmp_path)) == 5
    assert cluster.token not in done.stdout + done.stderr
    assert holding(tmp_path, cluster.token) == []
    found = holding(cluster.folder, cluster.token)  # with Ray's own logs, the driver's included
    said("Ray's session folder", f"files with the token {kept}", found[1:])
    assert found == [str(cluster.token_file)]


@pytest.mark.slow
@pytest.mark.long
def test_the_token_of_a_ray_of_our_own_is_written_nowhere(
    tmp_path: Path, short_folder: Path
) -> None:
    token = secrets.token_hex(32)
    plain = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    own = {"HOME": str(tmp_path), "RAY_AUTH_TOKEN": token, "RAY_TMPDIR": str(short_folder)}
    (tmp_path / "sitecustomize.py").write_text(
        "from search.cluster import session_folder\nsession_folder.delete = lambda folder: None"
    )
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])}
    done = subprocess.run(
        searching.command(tmp_path, *TINY, "--address", "local"),
        cwd=tmp_path,
        env=plain | own | paths,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert token not in done.stdout + done.stderr
    assert holding(tmp_path, token) == []
    assert list(short_folder.glob("ray-*/r/session_*/logs/*.log"))
    assert holding(short_folder, token) == []


def test_a_client_address_is_refused() -> None:
    with pytest.raises(
        UserError, match=r"^--address is 'ray://\*\*\*@head:1', .* submit the search as a job\.$"
    ):
        check_admitted("ray://me:word@head:1")


def test_what_is_no_host_and_port_is_left_to_ray() -> None:
    check_admitted("auto")


def test_a_server_that_is_no_ray_head_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unanswered(address: str) -> None:  # after 40 s, if it is Ray's own client that asks
        raise RpcError("Timed out while waiting for GCS to become available.", 4)

    monkeypatch.setattr(admission, "GcsClient", unanswered)
    with pytest.raises(UserError, match=r"what listens there does not answer .* \(Timed out .*\)"):
        check_admitted("127.0.0.1:80")
