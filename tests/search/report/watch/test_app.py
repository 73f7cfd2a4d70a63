"""The live page's application: who is answered, with what, and who is not."""

import socket
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import pytest
from concluded import CASES, conclusion_of

httpx = pytest.importorskip("httpx", reason="httpx is not installed")
pytest.importorskip("starlette", reason="starlette is not installed")

from search.report.watch import app as watch_app  # noqa: E402
from search.report.watch.app import make_app, stream  # noqa: E402
from search.report.watch.follow import FollowedRun, FollowedRuns  # noqa: E402
from search.report.watch.serve import hosts_of, listening_on, serve  # noqa: E402
from search.report.watch.token import own_token  # noqa: E402
from spaces.errors import UserError  # noqa: E402

TOKEN = "a-token-of-some-length-1234567890"
HOST = "127.0.0.1:8437"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> FollowedRuns:
    folder = tmp_path_factory.mktemp("runs")
    conclusion_of(folder / "run", *CASES["confirmed"])
    return FollowedRuns(folder)


def answer(runs: FollowedRuns, path: str, method: str = "GET", host: str = HOST) -> Any:
    async def ask() -> Any:
        transport = httpx.ASGITransport(make_app(runs, TOKEN, [HOST]))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
            return await client.request(method, path, headers={"Host": host})

    return anyio.run(ask)


def test_the_list_links_to_runs_whose_pages_follow_them(runs: FollowedRuns) -> None:
    listed = answer(runs, f"/{TOKEN}/")
    assert listed.status_code == 200
    assert 'href="run/run"' in listed.text
    page = answer(runs, f"/{TOKEN}/run/run")
    assert page.status_code == 200
    assert "EventSource" in page.text
    assert 'data-run="run"' in page.text
    policy = page.headers["content-security-policy"]
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["referrer-policy"] == "no-referrer"


def test_the_one_run_is_shown_at_once(runs: FollowedRuns) -> None:
    page = answer(FollowedRuns(runs.path / "run"), f"/{TOKEN}/")
    assert "EventSource" in page.text


@pytest.mark.parametrize("method", ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"))
def test_other_methods_are_refused(runs: FollowedRuns, method: str) -> None:
    assert answer(runs, f"/{TOKEN}/run/run", method).status_code == 405


@pytest.mark.parametrize("path", ("/", "/wrong/", f"/{TOKEN[:-1]}/", "/run/run", f"//{TOKEN}/"))
def test_without_the_token_nothing_is_answered(runs: FollowedRuns, path: str) -> None:
    refused = answer(runs, path)
    assert refused.status_code == 403
    assert "run" not in refused.text.replace("runs", "")


@pytest.mark.parametrize("host", ("evil.example", "127.0.0.1", "localhost:1", "127.0.0.1:84370"))
def test_a_page_of_another_host_is_refused(runs: FollowedRuns, host: str) -> None:
    assert answer(runs, f"/{TOKEN}/", host=host).status_code == 403


@pytest.mark.parametrize(
    ("host", "port", "sent"),
    (
        ("127.0.0.1", 8437, ("127.0.0.1:8437", "localhost:8437")),
        ("localhost", 80, ("127.0.0.1", "localhost", "127.0.0.1:80")),
        ("MyBox.lan", 8437, ("mybox.lan:8437",)),
        ("[::1]", 8437, ("[::1]:8437", "localhost:8437")),
    ),
)
def test_browsers_that_were_sent_to_the_address_are_answered(
    host: str, port: int, sent: tuple[str, ...]
) -> None:
    hosts = hosts_of(host, port)
    assert hosts.issuperset(sent)
    assert (host.lower() in hosts) == (port == 80)


@pytest.mark.parametrize("name", ("none", "..%2frun", "%2e%2e", "run%00", "."))
def test_a_run_that_is_not_there_is_not_found(runs: FollowedRuns, name: str) -> None:
    assert answer(runs, f"/{TOKEN}/run/{name}").status_code == 404
    assert answer(runs, f"/{TOKEN}/run/{name}/events").status_code == 404


def test_events_tell_progress_first_and_a_page_when_it_is_new(runs: FollowedRuns) -> None:
    run = runs.run("run")
    assert isinstance(run, FollowedRun)

    async def listen() -> list[str]:
        heard = []
        async for event in stream(run):
            heard.append(event)
            if len(heard) == 1:
                run.version += 1
            if len(heard) == 2:
                break
        return heard

    with patch.object(watch_app, "POLL_SECONDS", 0.01):
        progress, page = anyio.run(listen)
    assert progress.startswith("event: progress\ndata: {")
    assert page.startswith("event: page\n")


def test_events_of_a_run_that_is_deleted_end_with_a_sentence(tmp_path: Path) -> None:
    conclusion_of(tmp_path / "run", *CASES["searched"])
    run = FollowedRun(FollowedRuns(tmp_path / "run").run("run").folder)  # type: ignore[union-attr]
    run.folder.record.unlink()
    run._looked = float("-inf")

    async def listen() -> list[str]:
        return [event async for event in stream(run)]

    (last,) = anyio.run(listen)
    assert last.startswith("event: gone\n")
    assert "record.jsonl cannot be read any more" in last


def test_the_token_is_made_once_and_is_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "token"
    first = own_token(path)
    assert len(first) >= 32
    assert own_token(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(UserError, match="others may read"):
        own_token(path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="others may read or write"):
        own_token(path)
    path.unlink()
    path.touch(0o600)
    with pytest.raises(UserError, match="does not hold the page's token; delete it"):
        own_token(path)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"token cannot be kept in .*file/token \("):
        own_token(tmp_path / "file" / "token")


def test_a_library_that_is_not_installed_is_named(
    runs: FollowedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match=r"needs uvicorn, which is not installed: .*'\.\[page\]'"):
        serve(runs.path, "127.0.0.1", 0, Console())


def test_a_user_without_a_home_is_asked_for_a_place_for_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UserError, match=r"no home directory.*set XDG_STATE_HOME"):
        own_token()


@pytest.mark.parametrize(
    ("host", "name"),
    (
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("::1", "[::1]"),
        ("0:0:0:0:0:0:0:1", "[::1]"),
    ),
)
def test_an_address_is_listened_on_and_written_as_browsers_write_it(host: str, name: str) -> None:
    if ":" in host and not ipv6_works():
        pytest.skip("this machine has no IPv6")
    listening, written = listening_on(host, 0)
    with listening:
        assert written == name
        socket.create_connection(listening.getsockname()[:2], timeout=5).close()


def ipv6_works() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_port_that_is_taken_and_a_folder_that_is_none_are_one_sentence(
    runs: FollowedRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port}"):
            serve(runs.path, "127.0.0.1", port, Console())
    for port in (-1, 2**16):
        with pytest.raises(UserError, match=f"--port is {port}; it must be in 0..65535, 0 for any"):
            serve(runs.path, "127.0.0.1", port, Console())
    for host in ("ü..b", "[::1]", "::g", "fe80::1%lo", "a\0b"):
        with pytest.raises(UserError, match=r"cannot be served on .* another --host"):
            serve(runs.path, host, 0, Console())
    for host in ("0.0.0.0", "", "0", "::"):
        with pytest.raises(UserError, match=f"--host '{host}' is every address of this machine"):
            serve(runs.path, host, 0, Console())
    with pytest.raises(UserError, match="there is no folder"):
        serve(tmp_path / "none", "127.0.0.1", 0, Console())
