"""Files appear and grow whole or not at all, and storage that is away for a while is waited for."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trainer import files
from trainer.files import append_whole, is_file, is_folder, is_there, write_atomic, write_together


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes in sleep alone; holds the seconds slept."""
    slept: list[float] = []
    monkeypatch.setattr(files.time, "sleep", slept.append)
    monkeypatch.setattr(files.time, "monotonic", lambda: sum(slept))
    return slept


def failing(monkeypatch: pytest.MonkeyPatch, errors: Iterator[int], name: str) -> None:
    """Let ``os.name`` fail with each of the errors, and then work."""
    works = getattr(os, name)

    def call(*arguments: object, **options: object) -> object:
        number = next(errors, None)
        if number is not None:
            raise OSError(number, os.strerror(number))
        return works(*arguments, **options)

    monkeypatch.setattr(os, name, call)


def append(path: Path) -> None:
    append_whole(path, b"two\n", sync=True)


def write(path: Path) -> None:
    write_atomic(path, b"one\ntwo\n")


WRITES = pytest.mark.parametrize("change", (append, write))


@WRITES
def test_storage_that_comes_back_is_waited_for(
    change: Callable[[Path], None],
    tmp_path: Path,
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\n")
    away = [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ESHUTDOWN]
    failing(monkeypatch, iter(away), "fsync")
    change(path)
    assert path.read_bytes() == b"one\ntwo\n"
    assert len(clock) == len(away)
    first, last = caplog.messages
    assert "cannot be written at the moment (Input/output error)" in first
    assert "can be written again" in last
    assert list(tmp_path.iterdir()) == [path]


def test_the_size_of_a_file_is_waited_for(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\n")
    monkeypatch.setattr(Path, "exists", os.path.exists)  # as from Python 3.14 on
    failing(monkeypatch, iter([errno.ESTALE]), "stat")
    append(path)
    assert path.read_bytes() == b"one\ntwo\n"
    assert len(clock) == 1


@pytest.mark.parametrize("look", (is_file, is_folder, is_there))
def test_what_is_at_a_path_is_told_and_storage_that_is_away_is_an_error(
    look: Callable[[Path], bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, loop = tmp_path / "file", tmp_path / "loop"
    file.touch()
    loop.symlink_to(loop)
    nowhere = (file / "in", tmp_path / "none", loop, tmp_path / ("a" * 256), tmp_path / "\0")
    places = (tmp_path, file, *nowhere)
    found = [place for place in places if look(place)]
    assert found == {is_file: [file], is_folder: [tmp_path], is_there: [tmp_path, file]}[look]
    failing(monkeypatch, iter([errno.EIO]), "stat")
    with pytest.raises(OSError, match="Input/output error"):
        look(file)


@WRITES
def test_storage_that_stays_away_is_an_error_and_what_was_there_stays(
    change: Callable[[Path], None],
    tmp_path: Path,
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\n")
    failing(monkeypatch, iter([errno.EIO] * 1000), "fsync")
    with pytest.raises(OSError, match="Input/output error"):
        change(path)
    assert sum(clock) == files.PATIENCE_SECONDS
    assert path.read_bytes() == b"one\n"
    assert list(tmp_path.iterdir()) == [path]


@WRITES
def test_a_full_disk_is_not_waited_for_and_the_file_is_named(
    change: Callable[[Path], None],
    tmp_path: Path,
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\n")
    failing(monkeypatch, iter([errno.ENOSPC]), "fsync")
    with pytest.raises(OSError, match="No space left") as raised:
        change(path)
    assert raised.value.filename == str(path)
    assert clock == []
    assert path.read_bytes() == b"one\n"


def test_of_files_written_together_none_is_new_where_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = tmp_path / "first", tmp_path / "second"
    write_together(dict.fromkeys(paths, b"old"))
    synced = iter([True])

    def full_at_the_second(file: int) -> None:
        if not next(synced, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_at_the_second)
    with pytest.raises(OSError, match="No space left"):
        write_together(dict.fromkeys(paths, b"new"))
    assert [path.read_bytes() for path in paths] == [b"old", b"old"]
    assert sorted(tmp_path.iterdir()) == [*paths]


def test_what_a_failed_try_left_is_cut_off_before_the_next(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\n")
    tries = iter([True])

    def torn(file: int) -> None:
        if next(tries, False):
            path.write_bytes(b"one\ntw")  # and the process cannot cut it off, as storage is away
            raise OSError(errno.EIO, "away")

    monkeypatch.setattr(os, "fsync", torn)
    append(path)
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_file_that_is_not_there_is_begun(tmp_path: Path) -> None:
    append_whole(tmp_path / "file", b"one\n")
    assert (tmp_path / "file").read_bytes() == b"one\n"
