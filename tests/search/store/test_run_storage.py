"""Storage that is away for a moment is not taken for a run folder or a file that is gone."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.store.files.jsonl import cut_torn_line, finished_lines
from search.store.record import Record
from search.store.run_folder import RunFolder
from trainer import files
from trainer.own.reports import REPORTS


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Errors of storage, which paths keep to themselves, as from Python 3.14 on."""
    for name, tells in (
        ("exists", os.path.exists),
        ("is_file", os.path.isfile),
        ("is_dir", os.path.isdir),
    ):
        monkeypatch.setattr(Path, name, tells)
    return iter([errno.EIO, errno.ESTALE])


def hide(name: str, errors: Iterator[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let looks for a file or folder of this name end with each of the errors, and then work."""
    look = os.stat

    def away(path: object, **options: object) -> object:
        if str(path).endswith(name):
            for number in errors:
                raise OSError(number, os.strerror(number))
        return look(path, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "stat", away)


@pytest.mark.parametrize("name", ("trials", REPORTS))
def test_a_run_folder_that_cannot_be_seen_for_a_moment_is_waited_for(
    name: str, errors: Iterator[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    with folder.locked():
        hide(name, errors, monkeypatch)
        monkeypatch.setattr(files, "RETRY_SECONDS", 0.0)
        folder.may_write()
        assert folder.saved_epoch("proposals-00000") == 0
    assert next(errors, None) is None


@pytest.mark.parametrize("use", (Record.reopen, finished_lines, cut_torn_line))
def test_a_file_that_cannot_be_seen_is_not_taken_for_none(
    use: Callable[[Path], object],
    errors: Iterator[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "lines").write_bytes(b"one\n")
    hide("lines", errors, monkeypatch)
    with pytest.raises(OSError, match="Input/output error"):
        use(tmp_path / "lines")
