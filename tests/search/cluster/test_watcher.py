"""What is left of a Ray whose driver was killed."""

import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.cluster import watcher
from search.cluster.watcher import main

Start = Callable[[str, Path], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process with a title and an open file."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(title: str, path: Path) -> subprocess.Popen[bytes]:
        with path.open("wb") as file:
            process = subprocess.Popen([title, "60"], executable="/bin/sleep", stdout=file)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_only_rays_processes_with_files_in_the_folder_are_ended(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    folder = tmp_path / "r"
    folder.mkdir()
    agent = start("ray::Agent", folder / "agent.log")
    others = [start("ray::Agent", tmp_path / "another.log"), start("less", folder / "read.log")]
    main(str(folder))
    assert agent.wait(timeout=20) == -signal.SIGKILL
    assert [other.poll() for other in others] == [None, None]
