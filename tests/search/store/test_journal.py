"""What a search records is on disk before anything follows from it, at few waits for the disk."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from twin import OBJECTIVE, Twin, attempt, fast_folder, make_run, make_settings

from search.store.journal import RunJournal
from search.store.lease import LeaseLostError
from search.store.run_folder import RunFolder
from trainer import files

LINES = ({"a": 1}, {"b": 2}, {"c": 3})


class Disk:
    """Counts the waits for the disk, and knows how much of a file they made last.

    Attributes:
        errors: of the next waits.
        kept: bytes of the file that are on disk.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.path, self.kept, self.waits = path, path.stat().st_size, 0
        self.errors: Iterator[int] = iter(())
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(files.time, "sleep", lambda seconds: None)

    def fsync(self, file: int) -> None:
        if os.path.samestat(os.fstat(file), self.path.stat()):
            self.waits += 1
            error = next(self.errors, None)
            if error is not None:
                raise OSError(error, os.strerror(error))
            self.kept = os.fstat(file).st_size

    @property
    def whole(self) -> bool:
        return self.kept == self.path.stat().st_size


@pytest.fixture
def journal(tmp_path: Path) -> RunJournal:
    path = tmp_path / "study.journal"
    path.write_bytes(b'{"first": 0}\n')
    return RunJournal(path)


@pytest.fixture
def disk(journal: RunJournal, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch, journal.path)


def written(journal: RunJournal) -> list[dict[str, int]]:
    return list(journal.read_logs(0))


def test_a_write_waits_for_the_disk(journal: RunJournal, disk: Disk) -> None:
    journal.append_logs([LINES[0]])
    assert disk.waits == 1
    assert disk.whole


def test_a_block_of_writes_waits_once_and_can_be_read_in_between(
    journal: RunJournal, disk: Disk
) -> None:
    with journal.together():
        journal.append_logs([LINES[0]])
        with journal.together():
            journal.append_logs([LINES[1]])
        assert written(journal) == [{"first": 0}, LINES[0], LINES[1]]
        assert disk.waits == 0
    assert disk.waits == 1
    assert disk.whole
    journal.append_logs([LINES[2]])
    assert disk.waits == 2
    assert written(journal) == [{"first": 0}, *LINES]


def test_a_block_without_writes_does_not_wait(journal: RunJournal, disk: Disk) -> None:
    with journal.together():
        pass
    assert disk.waits == 0


def test_a_block_waits_for_storage_that_comes_back(journal: RunJournal, disk: Disk) -> None:
    disk.errors = iter([errno.EIO, errno.ESTALE])
    with journal.together():
        journal.append_logs(list(LINES))
    assert disk.waits == 3
    assert disk.whole
    assert written(journal) == [{"first": 0}, *LINES]


def test_a_block_that_cannot_be_kept_is_an_error(journal: RunJournal, disk: Disk) -> None:
    disk.errors = iter([errno.ENOSPC])
    with pytest.raises(OSError, match="No space left"), journal.together():
        journal.append_logs(list(LINES))
    assert written(journal) == [{"first": 0}, *LINES]  # as those who wrote it think it is


def write_two_of_which_one_fails(journal: RunJournal) -> None:
    with journal.together():
        journal.append_logs([LINES[0]])
        journal.append_logs([{"d": object()}])


def test_after_a_block_that_failed_writes_wait_again(journal: RunJournal, disk: Disk) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_two_of_which_one_fails(journal)
    assert disk.waits == 0
    journal.append_logs([LINES[1]])
    assert disk.waits == 1
    assert disk.whole


def write_while_another_takes_over(journal: RunJournal) -> None:
    def taken_over() -> None:
        raise LeaseLostError("the run was taken over")

    with journal.together():
        journal.append_logs([LINES[0]])
        RunJournal(journal.path).append_logs([LINES[1]])
        journal.may_write = taken_over


def test_a_block_that_ends_after_another_took_the_run_over_changes_nothing(
    journal: RunJournal,
) -> None:
    with pytest.raises(LeaseLostError):
        write_while_another_takes_over(journal)
    assert written(journal) == [{"first": 0}, LINES[0], LINES[1]]


@pytest.fixture
def folder() -> Iterator[RunFolder]:
    with fast_folder() as place:
        yield make_run(place / "run", make_settings())


@pytest.mark.parametrize("confirm", (False, True))
def test_nothing_follows_from_what_is_not_on_disk(
    confirm: bool, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = attempt(folder, make_settings(), 12, confirm=confirm)
    disk = Disk(monkeypatch, folder.journal)
    waits: dict[str, list[int]] = {}

    def watch(owner: object, name: str) -> None:
        action = getattr(owner, name)

        def watched(*arguments: object) -> object:
            before = disk.waits
            result = action(*arguments)
            assert disk.whole, name
            waits.setdefault(name, []).append(disk.waits - before)
            return result

        monkeypatch.setattr(owner, name, watched)

    for name in ("next_trial", "report", "finish", "fail"):
        watch(search, name)
    watch(search.folder, "drop_checkpoints")
    Twin(search, 3, fails=lambda row, epoch: row.seed % 5 == 0 and epoch == 3).run()
    assert {state.name for state in {row.state for row in search.ended}} == {
        "COMPLETE",
        "PRUNED",
        "FAIL",
    }
    assert len(waits["drop_checkpoints"]) == len(search.ended)
    for name in ("next_trial", "finish", "fail"):
        assert max(waits[name]) == 1, name
    assert max(waits["report"]) == 1
    assert sum(waits["report"]) <= len(search.ended) * len(OBJECTIVE.stages((1, 2, 4)))
