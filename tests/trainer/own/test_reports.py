"""The reports of a trial are read from disk, also where that is away for a moment."""

import errno
import json
from pathlib import Path

import pytest

from trainer import files
from trainer.own.reports import REPORTS, recorded, result_of


def test_storage_that_comes_back_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = result_of(1, 50.0, 0.0, None, 1.0)
    (tmp_path / REPORTS).write_text(json.dumps(result.to_dict()) + "\n")
    read, errors = Path.read_bytes, iter([OSError(errno.EIO, "away")])

    def away(path: Path) -> bytes:
        for error in errors:
            raise error
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", away)
    monkeypatch.setattr(files, "RETRY_SECONDS", 0.0)
    assert recorded(tmp_path) == [result]
