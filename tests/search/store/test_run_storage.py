"""Storage that is away for a moment is not taken for a run folder or a file that is gone."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.common_seeds import read_runs
from benchmarks.recording.table_folder import TableFolder
from search.cli.weights_export import write_text
from search.export.export import remove_exported
from search.export.study_copy import write_study_copy
from search.report.watch.follow import FollowedRuns
from search.store.earlier.journal import JOURNAL, carry_over
from search.store.files.jsonl import cut_torn_line, finished_lines
from search.store.record import Record, lines_of
from search.store.run_folder import SETTINGS, RunFolder
from spaces.errors import UserError
from trainer import files
from trainer.benchmarks.registry import get_benchmark, separate_names
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


NOT_TAKEN_FOR_NONE: tuple[tuple[Callable[[Path], object], str], ...] = (
    (Record.reopen, "lines"),
    (finished_lines, "lines"),
    (cut_torn_line, "lines"),
    (lines_of, "lines"),
    (carry_over, JOURNAL),
    (lambda path: RunFolder(path.parent).read_manifest(), "record.jsonl"),
    (lambda path: FollowedRuns(path.parent), SETTINGS),
    (FollowedRuns, "lines"),
    (lambda path: write_study_copy(RunFolder(path.parent), path), "lines"),
    (lambda path: write_text(path, "two"), "lines"),
    (remove_exported, "lines"),
    (lambda path: get_benchmark(str(path.parent), path), "run"),
    (lambda path: separate_names(f"{path},lines"), ",lines"),
    (read_runs, "lines"),
    (lambda path: TableFolder(path.parent).open({}), "table.json"),
)


@pytest.mark.parametrize(("use", "name"), NOT_TAKEN_FOR_NONE)
def test_a_file_that_cannot_be_seen_is_not_taken_for_none(
    use: Callable[[Path], object],
    name: str,
    errors: Iterator[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for file in {"lines", name} - {"run"}:
        (run / file).write_bytes(b"one\n")
    hide(name, errors, monkeypatch)
    with pytest.raises((OSError, UserError), match=r"(Input/output error|Stale file handle)"):
        use(run / "lines")
    assert (run / "lines").read_bytes() == b"one\n"
