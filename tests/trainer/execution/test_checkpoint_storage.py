"""Storage that is away, or cannot be read, is not taken for a trial without checkpoints."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from trainer import files
from trainer.execution import checkpoint


@pytest.mark.parametrize("name", ("listdir", "read_bytes"))
def test_storage_that_is_away_for_a_moment_is_not_taken_for_a_damaged_or_missing_checkpoint(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for epoch in (2, 4):
        checkpoint.save(tmp_path, epoch, {"configuration": "mine", "epoch": epoch})
    owner = os if name == "listdir" else Path
    works, errors = getattr(owner, name), iter([errno.EIO, errno.ESTALE])

    def away(path: Path) -> object:
        for number in errors:
            raise OSError(number, os.strerror(number))
        return works(path)

    monkeypatch.setattr(owner, name, away)
    monkeypatch.setattr(files, "RETRY_SECONDS", 0.0)
    state = checkpoint.newest(tmp_path, "mine")
    assert state is not None
    assert state["epoch"] == 4
    assert "cannot be read at the moment (Input/output error)" in caplog.messages[0]


@pytest.mark.parametrize("name", ("mkdir", "unlink"))
def test_a_folder_is_made_and_an_old_file_dropped_when_storage_is_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works, errors = getattr(os, name), iter([errno.EIO, errno.ESTALE])

    def away(*arguments: Any) -> None:
        for number in errors:
            raise OSError(number, os.strerror(number))
        works(*arguments)

    monkeypatch.setattr(os, name, away)
    monkeypatch.setattr(files, "RETRY_SECONDS", 0.0)
    for epoch in (2, 4, 6):
        checkpoint.save(tmp_path / "trial", epoch, {"configuration": "mine"})
    saved = [checkpoint.checkpoint_path(tmp_path / "trial", epoch) for epoch in (6, 4)]
    assert checkpoint.saved_epochs(tmp_path / "trial") == saved


def test_a_folder_that_cannot_be_read_is_not_one_without_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, 2, {"configuration": "mine"})

    def refused(path: Path) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "listdir", refused)
    with pytest.raises(PermissionError):
        checkpoint.newest(tmp_path, "mine")
