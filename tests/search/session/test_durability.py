"""What a search records is on disk before anything follows from it, at few waits for the disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from twin import OBJECTIVE, Twin, attempt, fast_folder, make_run, make_settings

from search.store.run_folder import RunFolder


class Disk:
    """Counts the waits for the disk on a file; ``kept`` has the bytes of each that are on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.path, self.waits = path, 0
        self.kept = {path.stat().st_ino: path.stat().st_size}
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, file: int) -> None:
        facts = os.fstat(file)
        self.waits += os.path.samestat(facts, self.path.stat())
        self.kept[facts.st_ino] = facts.st_size

    @property
    def whole(self) -> bool:
        return self.has(self.path)

    def has(self, path: Path) -> bool:
        """Tell whether all of a file is on the disk."""
        return self.kept.get(path.stat().st_ino) == path.stat().st_size


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
    tell, told = search.record.tell, []

    def telling(key: str, state: str, **facts: object) -> None:
        told.append(key)
        assert state == "failed" or disk.has(folder.epochs_file(key)), key
        tell(key, state, **facts)  # type: ignore[arg-type]

    monkeypatch.setattr(search.record, "tell", telling)
    search.folder.begin_attempt({})
    assert disk.has(folder.attempts)
    Twin(search, 3, fails=lambda row, epoch: row.seed % 5 == 0 and epoch == 3).run()
    assert {state.name for state in {row.state for row in search.ended}} == {
        "COMPLETE",
        "PRUNED",
        "FAIL",
    }
    assert len(waits["drop_checkpoints"]) == len(told) == len(search.ended)
    for name in ("next_trial", "finish", "fail"):
        assert max(waits[name]) == 1, name
    assert max(waits["report"]) == 1
    assert sum(waits["report"]) <= len(search.ended) * len(OBJECTIVE.stages((1, 2, 4)))
