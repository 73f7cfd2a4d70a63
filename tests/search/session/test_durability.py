"""What a search records is on disk before anything follows from it, at few waits for the disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from twin import OBJECTIVE, Twin, attempt, fast_folder, make_run, make_settings

from search.store.run_folder import RunFolder


class Disk:
    """Counts the waits for the disk; ``kept`` bytes of the file are on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.path, self.kept, self.waits = path, path.stat().st_size, 0
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, file: int) -> None:
        if os.path.samestat(os.fstat(file), self.path.stat()):
            self.waits += 1
            self.kept = os.fstat(file).st_size

    @property
    def whole(self) -> bool:
        return self.kept == self.path.stat().st_size


@pytest.fixture
def folder() -> Iterator[RunFolder]:
    with fast_folder() as place:
        yield make_run(place / "run", make_settings())


@pytest.mark.parametrize("confirm", (False, True))
def test_nothing_follows_from_what_is_not_on_disk(
    confirm: bool, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = attempt(folder, make_settings(), 12, confirm=confirm)
    disk = Disk(monkeypatch, folder.record)
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
