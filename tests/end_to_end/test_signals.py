"""What Ctrl-C, SIGTERM and a hang-up do while Ray starts, and while a search runs."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest
from repository import REPOSITORY

from search.cluster import connection
from search.cluster.connection import local_ray
from search.session.interrupt import Interrupt


@pytest.fixture
def shut_down(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Tells whether Ray was shut down; SIGTERM is as it was, however a test ends."""
    told: list[str] = []
    monkeypatch.setattr(connection.ray, "shutdown", lambda: told.append("shut down"))
    before = signal.getsignal(signal.SIGTERM)
    yield told
    signal.signal(signal.SIGTERM, before)


def takes_sigterm(**options: object) -> None:
    """Stand in for ``ray.init``, which takes SIGTERM and keeps it."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(number)

    signal.signal(signal.SIGTERM, leave)


def starts_what_ignores_hang_ups(**options: object) -> None:
    assert signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    os.kill(os.getpid(), signal.SIGHUP)


def is_ended(**options: object) -> None:
    takes_sigterm()
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_is_the_searchs_own_again_once_ray_has_started(
    monkeypatch: pytest.MonkeyPatch, shut_down: list[str]
) -> None:
    monkeypatch.setattr(connection.ray, "init", takes_sigterm)
    told: list[int] = []
    interrupt = Interrupt(lambda number, times: told.append(times))
    with interrupt.caught(), local_ray():
        assert interrupt.reason() is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.reason() == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):  # a second one ends it at once
            os.kill(os.getpid(), signal.SIGINT)
    assert shut_down == ["shut down"]
    assert told == [1, 2]


def test_a_hang_up_stops_cleanly_and_never_counts_as_the_second_signal() -> None:
    told: list[tuple[int, int]] = []
    interrupt = Interrupt(lambda number, times: told.append((number, times)))
    with interrupt.caught():
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        assert interrupt.reason() == "hang-up: the terminal was closed"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert told == [(signal.SIGHUP, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)]


@pytest.fixture
def nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_hang_up_that_is_ignored_stays_ignored(nohup: None) -> None:
    interrupt = Interrupt()
    with interrupt.caught():
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert interrupt.reason() is None


def test_a_hang_up_waits_while_ray_starts_and_for_all_that_it_starts(
    monkeypatch: pytest.MonkeyPatch, shut_down: list[str]
) -> None:
    monkeypatch.setattr(connection.ray, "init", starts_what_ignores_hang_ups)
    interrupt = Interrupt()
    with interrupt.caught(), local_ray():
        assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert interrupt.signal == signal.SIGHUP


BUSY = """
import os, signal, sys, time
from search.session import interrupt
interrupt.LEAVE_SECONDS = 0.1
if sys.argv[1] == "end":
    interrupt.leave_soon()
    time.sleep(30)

with interrupt.Interrupt(lambda number, times: print("told", times, flush=True)).caught():
    os.kill(os.getpid(), signal.SIGINT)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        time.sleep(30)  # in a library that does not let go
"""


@pytest.mark.parametrize(("where", "told"), (("search", "told 1\ntold 2\n"), ("end", "")))
def test_a_second_signal_ends_even_a_process_that_does_not_let_go(where: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUSY, where],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout) == (130, told), done.stderr


def test_a_second_signal_leaves_a_process_that_is_not_the_searchs_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.session.interrupt.LEAVE_SECONDS", 0.0)
    told = threading.Event()
    interrupt = Interrupt(lambda number, times: told.set() if times == 2 else None, False)
    with interrupt.caught():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert told.wait(5)
        time.sleep(0.05)  # in which it would have ended


def test_sigterm_while_ray_starts_is_as_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, shut_down: list[str]
) -> None:
    monkeypatch.setattr(connection.ray, "init", is_ended)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        local_ray().__enter__()
    assert signal.getsignal(signal.SIGTERM) == before
    assert shut_down == ["shut down"]
