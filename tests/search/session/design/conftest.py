"""Models of runs are tested on few candidates, and runs are written into memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from twin import fast_folder

from search.samplers import candidates
from search.session.design.run_model import shares_model


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cover a space by few points, which takes less long."""
    monkeypatch.setattr(candidates, "POINTS", 256)
    shares_model.cache_clear()
    yield
    shares_model.cache_clear()


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder
