"""What a search does when a server of its Ray is gone."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import searching
from clusters import below
from enduring import hit, reason
from fault_table import Tell

from search.tune import servers
from search.tune.saving import Saving
from search.tune.servers import refuses, servers_watched


class Watched:
    """Servers that can be closed, a saving that can be done, and what was called."""

    def __init__(self) -> None:
        self.server, self.other = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        self.address, self.other_address = (
            f"127.0.0.1:{server.getsockname()[1]}" for server in (self.server, self.other)
        )
        self.saving = Saving.__new__(Saving)
        self.saving.deadline, self.saving.calls = None, {}
        self.told: list[str] = []
        self.was_told, self.given_up = threading.Event(), threading.Event()

    def servers(self) -> contextlib.AbstractContextManager[None]:
        addresses = {"Another server": self.other_address, "Ray's head": self.address}
        return servers_watched(addresses, self.tell, self.saving, self.given_up.set)

    def tell(self, sentence: str) -> None:
        self.told.append(sentence)
        self.was_told.set()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(servers, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(servers, "END_SECONDS", 0.1)
    made = Watched()
    yield made
    made.server.close()
    made.other.close()


@pytest.mark.parametrize("saved", (True, False))
def test_a_lost_server_is_told_and_the_search_given_up_after_the_saving(
    saved: bool, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "SAVE_SECONDS", 60.0 if saved else 0.1)
    with watched.servers():
        watched.server.close()
        assert watched.was_told.wait(10)
        assert watched.told == [f"Ray's head ({watched.address}) is gone"]
        if saved:
            assert not watched.given_up.wait(0.3)
            watched.saving.deadline = 0.0
        assert watched.given_up.wait(10)


def test_a_search_that_ends_meanwhile_is_given_up_before_ray_is_shut_down(
    watched: Watched,
) -> None:
    with watched.servers():
        watched.server.close()
        assert watched.was_told.wait(10)
    assert watched.given_up.is_set()


def test_a_search_whose_servers_listen_goes_on(watched: Watched) -> None:
    with watched.servers():
        assert not watched.was_told.wait(0.3)
    assert not watched.given_up.is_set()


def test_silence_is_no_refusal(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not refuses(watched.address)

    def silent(*_: object, **__: object) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", silent)
    assert not refuses(watched.address)


def kill_server(process: subprocess.Popen[str]) -> None:
    (raylet,) = below(process.pid, r"\S*/raylet\0")
    os.kill(raylet, signal.SIGKILL)


def terminate_all(process: subprocess.Popen[str]) -> None:
    for pid in below(process.pid, ""):
        with contextlib.suppress(ProcessLookupError):  # Ray ends some as others end
            os.kill(pid, signal.SIGTERM)


def hit_and_ended(place: Path, how: Callable[[subprocess.Popen[str]], None], code: int) -> str:
    """Start a search, hit its Ray, and return why it stopped."""
    done = hit(place, how)
    assert done.returncode == code, done.stdout + done.stderr
    return reason(done, searching.folder(place).log.read_text())


@pytest.mark.slow
@pytest.mark.long
def test_a_search_whose_server_is_killed_ends_soon(tmp_path: Path, fault: Tell) -> None:
    seen = hit_and_ended(tmp_path, kill_server, 1)
    assert seen.startswith("Stopped: Ray's server on this machine is gone. ")
    fault(
        "Ray's server on the driver's machine is killed (raylet)",
        seen,
        "nothing, if the trials were saved within 10 s",
        "all that was saved",
    )


@pytest.mark.slow
@pytest.mark.long
def test_a_search_all_of_whose_processes_are_told_to_end_does_soon(
    tmp_path: Path, fault: Tell
) -> None:
    seen = hit_and_ended(tmp_path, terminate_all, 130)
    fault(
        "SIGTERM to all processes of a search at once",
        seen,
        "nothing, if the trials were saved within 10 s",
        "all that was saved",
    )
