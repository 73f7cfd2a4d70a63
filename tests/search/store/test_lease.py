"""One process writes to a run, also where the file system shares no locks between machines."""

import errno
import json
import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from leases import OTHER, holder

from search.store import lease
from search.store.lease import Lease, LeaseLostError, held
from spaces.errors import UserError

ANOTHER = "fedcba9876543210"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 0.2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def content(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "lease.json").read_bytes()))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def quiet(text: str) -> None:
    """Tell nobody."""


def test_a_held_run_shows_signs_of_life_and_none_when_it_is_given_back(folder: Path) -> None:
    with held(folder, quiet) as found:
        first = content(folder)
        assert (first["number"], first["pid"], first["host"]) == (1, os.getpid(), platform.node())
        until(lambda: content(folder)["beat"] > first["beat"] + 1)
        found.check()
    assert not (folder / "lease.json").exists()


def test_others_may_read_a_lease_also_while_ray_starts_with_a_stricter_umask(folder: Path) -> None:
    before = os.umask(0o022)
    try:
        with held(folder, quiet):
            first = content(folder)
            os.umask(0o077)
            until(lambda: content(folder)["beat"] > first["beat"] + 1)
            until(lambda: (folder / "lease.json").stat().st_mode & 0o777 == 0o644)
    finally:
        os.umask(before)


def test_another_machine_that_shows_signs_of_life_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder(folder)
    beats = iter(range(4, 1000))
    monkeypatch.setattr(lease.time, "sleep", lambda seconds: holder(folder, beat=next(beats)))
    told: list[str] = []
    with pytest.raises(
        UserError, match=r"is being searched by another process \(process 12 on far"
    ):
        held(folder, told.append).__enter__()
    assert told == [
        "Run 'run' was last searched by process 12 on far; waiting 1 s for a sign that it still is "
        "..."
    ]
    assert content(folder)["token"] == OTHER


def test_another_machine_that_is_gone_is_followed_with_the_next_number(folder: Path) -> None:
    holder(folder)
    begin = time.monotonic()
    with held(folder, quiet):
        assert time.monotonic() - begin >= 1.2
        assert content(folder)["number"] == 8


def test_a_run_given_back_while_it_is_watched_is_taken_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1000.0)
    holder(folder)
    sleep = time.sleep

    def given_back(seconds: float) -> None:
        if seconds != lease.SETTLE_SECONDS:
            (folder / "lease.json").unlink()
        sleep(0.01)

    monkeypatch.setattr(lease.time, "sleep", given_back)
    with held(folder, quiet) as found:
        found.check()


def test_a_process_of_this_machine_that_was_killed_is_followed_at_once(folder: Path) -> None:
    killed = subprocess.Popen(["sleep", "60"])
    killed.kill()
    killed.wait()
    holder(folder, machine=lease.this_machine(), pid=killed.pid)
    told: list[str] = []
    with held(folder, told.append):
        assert told == []  # nobody is waited for
        assert content(folder)["number"] == 8


@pytest.mark.parametrize("error", (NotImplementedError(), OSError(errno.ENOLCK, "no locks")))
def test_where_there_are_no_locks_a_process_of_this_machine_is_seen_by_its_lease(
    error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr(lease.filelock.FileLock, "acquire", refused)
    with held(folder, quiet), pytest.raises(UserError, match="is being searched by another"):
        held(folder, quiet).__enter__()
    with held(folder, quiet):
        pass


def test_a_lock_that_fails_otherwise_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(lease.filelock.FileLock, "acquire", refused)
    with pytest.raises(OSError, match="read-only"):
        held(folder, quiet).__enter__()


def without_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, "no locks")


@pytest.mark.parametrize("held_before", (True, False))
def test_of_two_that_take_it_at_the_same_moment_one_gets_it(
    held_before: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if held_before:
        holder(folder)
    else:
        monkeypatch.setattr(lease.filelock.FileLock, "acquire", without_locks)
    sleep = time.sleep

    def overtaken(seconds: float) -> None:
        if seconds == lease.SETTLE_SECONDS:
            holder(folder, token=ANOTHER, host="further")
        sleep(seconds)

    monkeypatch.setattr(lease.time, "sleep", overtaken)
    with pytest.raises(UserError, match="was taken over by process 12 on further; wait for it"):
        held(folder, quiet).__enter__()
    assert content(folder)["token"] == ANOTHER


def test_who_was_followed_may_write_no_more_and_leaves_the_lease_alone(folder: Path) -> None:
    with held(folder, quiet) as found:
        holder(folder, token=ANOTHER)
        until(lambda: found.lost is not None)
        with pytest.raises(LeaseLostError, match="run 'run' was taken over by process 12 on far"):
            found.check()
    assert content(folder)["token"] == ANOTHER


def test_who_slept_looks_before_it_writes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Lease(folder / "lease.json")  # whose keeper sleeps with it
    monkeypatch.setattr(mine.keeper, "start", lambda: None)
    mine.take(quiet)
    holder(folder, token=ANOTHER)
    mine.check()  # it was seen to be ours a moment ago
    now = lease.clock()
    monkeypatch.setattr(lease, "clock", lambda: now + lease.TRUST_SECONDS + 1)
    with pytest.raises(LeaseLostError):
        mine.check()


def test_a_lease_that_is_gone_is_lost(folder: Path) -> None:
    with held(folder, quiet) as found:
        (folder / "lease.json").unlink()
        until(lambda: found.lost is not None)
        with pytest.raises(LeaseLostError, match=r"has lost its lease\.json"):
            found.check()


@pytest.mark.parametrize("text", ("", "[]", '{"number": "x"}', "no JSON"))
def test_a_file_that_is_no_lease_is_replaced(text: str, folder: Path) -> None:
    (folder / "lease.json").write_text(text)
    with held(folder, quiet):
        assert content(folder)["number"] == 1


def test_storage_that_was_away_for_longer_than_a_lease_ends_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_SECONDS", 0.2)
    read, away = Path.read_bytes, threading.Event()

    def reading(path: Path) -> bytes:
        if away.is_set() and path.name == "lease.json":
            raise OSError(errno.ESTALE, "stale")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", reading)
    with held(folder, quiet) as found:
        away.set()
        time.sleep(0.4)
        away.clear()
        beat = content(folder)["beat"]
        until(lambda: content(folder)["beat"] > beat)
        found.check()


def test_a_machine_of_the_same_name_is_another_machine(folder: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    holder(folder, host=platform.node(), pid=ended.pid)
    begin = time.monotonic()
    with held(folder, quiet):
        assert time.monotonic() - begin >= 1.2


def test_a_process_that_no_system_has_is_watched(folder: Path) -> None:
    holder(folder, machine=lease.this_machine(), pid=2**53)
    with held(folder, quiet):
        assert content(folder)["number"] == 8
