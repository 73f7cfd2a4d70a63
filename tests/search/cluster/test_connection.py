"""How Ray is started on this machine."""

import os
from pathlib import Path

import pytest

from search.cluster import connection
from search.cluster.connection import AHEAD, local_ray


@pytest.mark.parametrize("asked", (None, "1"))
def test_ray_starts_no_workers_ahead_unless_it_is_asked_to(
    asked: str | None, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    monkeypatch.setenv("RAY_TMPDIR", str(short_folder))
    monkeypatch.delenv(AHEAD, raising=False)
    if asked:
        monkeypatch.setenv(AHEAD, asked)
    monkeypatch.setattr(connection.ray, "init", lambda **_: seen.append(os.environ.get(AHEAD)))
    monkeypatch.setattr(connection.ray, "shutdown", lambda: None)
    with local_ray():
        assert os.environ.get(AHEAD) == asked
    assert seen == [asked or "0"]
