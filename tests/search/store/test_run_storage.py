"""Storage that is away for a moment is not taken for a run folder that is gone."""

import errno
import os
from pathlib import Path

import pytest

from search.store.run_folder import RunFolder
from trainer import files


@pytest.mark.parametrize("name", ("is_dir", "exists"))
def test_a_run_folder_that_cannot_be_seen_for_a_moment_is_waited_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    look, errors = getattr(Path, name), iter([errno.EIO, errno.ESTALE])

    def away(path: Path) -> object:
        for number in errors:
            raise OSError(number, os.strerror(number))
        return look(path)

    with folder.locked():
        monkeypatch.setattr(Path, name, away)
        monkeypatch.setattr(files, "RETRY_SECONDS", 0.0)
        folder.may_write()
        assert folder.saved_epoch("proposals-00000") == 0
    assert next(errors, None) is None
