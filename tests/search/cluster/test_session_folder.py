"""The folder of a Ray that a search starts: it fits Ray's sockets, and is deleted or named."""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import RayError

from search.cluster import connection, session_folder
from search.cluster.connection import StartError, local_ray
from search.cluster.session_folder import OWNER, SOCKET_BYTES, check_parent, delete
from spaces.errors import UserError

MOST = SOCKET_BYTES - len(session_folder.LONGEST)


@pytest.fixture
def parent(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAY_TMPDIR", str(short_folder))
    return short_folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Stand in for Ray, and tell which folders it was given, in which it leaves a log."""
    folders: list[Path] = []

    def init(**options: Any) -> None:
        folders.append(Path(options["_temp_dir"]))
        logs = folders[-1] / "session_1" / "logs"
        logs.mkdir(parents=True)
        (folders[-1] / "session_latest").symlink_to(logs.parent)

    monkeypatch.setattr(connection.ray, "init", init)
    monkeypatch.setattr(connection.ray, "shutdown", lambda: None)
    return folders


def test_what_ray_leaves_is_deleted_with_the_search(parent: Path, started: list[Path]) -> None:
    with local_ray():
        assert (started[0] / "session_latest" / "logs").is_dir()
        assert started[0].parent.stat().st_mode & 0o077 == 0  # Ray's own is open to everybody
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize("error", (KeyboardInterrupt(), OSError("disk full"), UserError("typo")))
def test_it_is_deleted_too_after_what_is_no_fault_of_rays(
    error: BaseException, parent: Path, started: list[Path]
) -> None:
    with pytest.raises(type(error)), local_ray():
        raise error
    assert list(parent.iterdir()) == []


def test_it_is_kept_and_named_where_ray_failed(parent: Path, started: list[Path]) -> None:
    with pytest.raises(RayError) as caught, local_ray():
        raise RayError("lost")
    logs = started[0] / "session_latest" / "logs"
    assert caught.value.__notes__ == [f"Ray's logs are kept in {logs}."]
    assert logs.is_dir()


def test_a_ray_that_does_not_start_is_told_with_its_logs(
    parent: Path, started: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    init = connection.ray.init

    def fail(**options: Any) -> None:
        init(**options)
        raise RuntimeError("timed out\nduring startup")

    monkeypatch.setattr(connection.ray, "init", fail)
    with pytest.raises(StartError) as caught:
        local_ray().__enter__()
    logs = started[0] / "session_latest" / "logs"
    begin = "Ray does not start on this machine (timed out during startup); its logs are kept in "
    assert str(caught.value).startswith(f"{begin}{logs};")
    assert logs.is_dir()


def test_processes_that_still_write_do_not_keep_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, remove, times = tmp_path / "ray-1", shutil.rmtree, iter(range(3))

    def remove_while_it_is_written_to(path: Path, **options: Any) -> None:
        remove(path, **options)
        if next(times) < 2:
            path.mkdir()

    folder.mkdir()
    monkeypatch.setattr(session_folder, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(session_folder.shutil, "rmtree", remove_while_it_is_written_to)
    delete(folder)
    assert not folder.exists()


@pytest.mark.parametrize("name", ("RAY_TMPDIR", "TMPDIR"))
def test_a_folder_too_long_for_sockets_is_refused_before_anything_begins(
    name: str, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    long = short_folder / ("x" * (MOST - len(str(short_folder)) - 1))
    for folder in (long, Path(f"{long}x")):
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
        if folder == long:
            assert check_parent() == long
        else:
            sentence = f"^{name} is '{folder}', too long for Ray's sockets in it; set RAY_TMPDIR to"
            with pytest.raises(UserError, match=sentence):
                check_parent()


def test_a_folder_that_is_missing_or_cannot_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"RAY_TMPDIR is '.*', which is no folder that can be writ"):
        check_parent()
    monkeypatch.setattr(session_folder, "check_parent", lambda: tmp_path / "none")
    with pytest.raises(UserError, match=re.escape(f"can be made in {tmp_path / 'none'} (No such")):
        local_ray().__enter__()


def test_what_killed_searches_left_a_day_ago_is_deleted_and_no_other_folder(
    parent: Path, started: list[Path]
) -> None:
    hours = {"ray-killed": 25, "ray-fresh": 23, "ray-running": 25, "ray-of-others": 25}
    for name in hours:
        (parent / name).mkdir()
        if name != "ray-of-others":
            (parent / name / OWNER).touch()
    (parent / "ray-link").symlink_to(parent / "ray-of-others")
    for name, age in hours.items():
        os.utime(parent / name, (time.time() - age * 3600,) * 2)
    with (parent / "ray-running" / OWNER).open() as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        with local_ray():
            assert len(list(parent.glob(f"*/{OWNER}"))) == 3
    left = {"ray-fresh", "ray-running", "ray-of-others", "ray-link"}
    assert set(os.listdir(parent)) == left


def test_a_search_that_lives_keeps_its_folder_for_days(
    parent: Path, started: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_folder, "KEPT_SECONDS", -1.0)
    with local_ray():
        with local_ray():
            assert started[0].is_dir()
        assert len(os.listdir(parent)) == 1
