"""A trial's progress survives a kill bit for bit, and no damaged file is ever trusted."""

import hashlib
import io
import logging
import os
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from training import (
    digits_task,
    digits_trial,
    without_seconds,
)

from trainer.errors import CheckpointError
from trainer.execution import checkpoint
from trainer.execution.checkpoint import checkpoint_path, saved_epochs
from trainer.execution.loop import save_position, train, train_by_batches
from trainer.execution.slot import Progress, Slot
from trainer.execution.task import Task
from trainer.trial import Trial


def save(folder: Path, epoch: int, configuration: str = "mine", **more: Any) -> Path:
    checkpoint.save(folder, epoch, {"configuration": configuration, "epoch": epoch} | more)
    return checkpoint_path(folder, epoch)


def flip_byte(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_epochs_behind_a_checkpoint_are_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(train(digits_trial(), digits_task(), tmp_path, save_every=3))
    trained = []
    epoch = Slot.epoch

    def counted(self: Slot, number: int, rate: float) -> Iterator[Progress]:
        trained.append(number)
        return epoch(self, number, rate)

    monkeypatch.setattr(Slot, "epoch", counted)
    results = list(train(digits_trial(), digits_task(), tmp_path, save_every=3))
    assert trained == [4]
    assert [result.epoch for result in results] == [1, 2, 3, 4]


@pytest.mark.parametrize("batches", (0, 5, 13, 14, 15))  # 13 train and 2 test an epoch
def test_a_position_within_an_epoch_goes_on_bit_for_bit(batches: int, tmp_path: Path) -> None:
    whole, trained = (
        list(train(digits_trial(3), digits_task())),
        Slot(digits_trial(3), digits_task()),
    )
    work = train_by_batches(trained, digits_trial(3), tmp_path, save_every=9)
    first = next(item for item in work if item)
    assert without_seconds([first]) == without_seconds(whole[:1])
    for _ in range(batches):
        assert next(work) is None
    save_position(trained, tmp_path)
    slot = Slot(digits_trial(3), digits_task())
    resumed = list(train_by_batches(slot, digits_trial(3), tmp_path, save_every=9))
    assert without_seconds([x for x in resumed if x]) == without_seconds(whole)
    assert resumed.count(None) == 2 * 15 - batches


def test_a_position_that_is_saved_already_is_not_written_again(tmp_path: Path) -> None:
    slot = Slot(digits_trial(), digits_task())
    work = train_by_batches(slot, digits_trial(), tmp_path, save_every=1)
    next(item for item in work if item)
    before = checkpoint_path(tmp_path, 1).stat().st_ino
    save_position(slot, tmp_path)
    assert checkpoint_path(tmp_path, 1).stat().st_ino == before
    assert len(list(work)) == 3 * 16  # to the end, where nothing is left to be saved
    save_position(slot, tmp_path)
    slot.enter(digits_trial())  # and has not been restored yet
    save_position(slot, tmp_path)
    assert saved_epochs(tmp_path) == [checkpoint_path(tmp_path, 3), checkpoint_path(tmp_path, 2)]


def test_progress_is_saved_before_the_epoch_is_yielded(tmp_path: Path) -> None:
    for result in train(digits_trial(), digits_task(), tmp_path, save_every=1):
        if result.epoch < 4:
            assert saved_epochs(tmp_path)[0] == checkpoint_path(tmp_path, result.epoch)


def test_nothing_is_written_without_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    list(train(digits_trial(2), digits_task(), None, save_every=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    (
        cut,
        lambda path: flip_byte(path, 40),
        lambda path: flip_byte(path, 500),
        lambda path: flip_byte(path, -1),
        lambda path: path.write_bytes(b""),
    ),
    ids=("torn", "flipped in the header", "flipped inside", "flipped at the end", "empty"),
)
def test_a_damaged_file_is_refused_by_name(damage: Callable[[Path], None], tmp_path: Path) -> None:
    path = save(tmp_path, 4)
    damage(path)
    with pytest.raises(CheckpointError, match=path.name):
        checkpoint.newest(tmp_path, "mine")


def test_the_one_before_a_damaged_newest_is_used_and_the_damaged_one_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, 2)
    cut(save(tmp_path, 4))
    with caplog.at_level(logging.WARNING):
        state = checkpoint.newest(tmp_path, "mine")
    assert state is not None
    assert state["epoch"] == 2
    assert "epoch-00004.ckpt" in caplog.text


def test_training_never_starts_over_when_all_files_are_damaged(tmp_path: Path) -> None:
    list(train(digits_trial(), digits_task(), tmp_path, save_every=1))
    for path in saved_epochs(tmp_path):
        cut(path)
    with pytest.raises(CheckpointError, match=r"epoch-00003\.ckpt"):
        next(train(digits_trial(), digits_task(), tmp_path))


def test_training_goes_on_bit_for_bit_from_the_one_before(tmp_path: Path) -> None:
    whole = list(train(digits_trial(), digits_task(), tmp_path, save_every=1))
    cut(checkpoint_path(tmp_path, 3))
    slots = [Slot(digits_trial(), digits_task()) for _ in range(2)]
    works = [train_by_batches(slot, digits_trial(), tmp_path, save_every=9) for slot in slots]
    assert [bool(next(works[0])) for _ in range(7)] == [True] * 2 + [False] * 5
    save_position(slots[0], tmp_path)  # though by its name the damaged one is newer
    resumed = list(works[1])
    assert without_seconds([x for x in resumed if x]) == without_seconds(whole)
    assert resumed.count(None) == 2 * 15 - 5


def test_no_folder_and_an_empty_folder_mean_that_nothing_was_saved(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path, "mine") is None
    assert checkpoint.newest(tmp_path / "absent", "mine") is None


def other_weights() -> tuple[Trial, Task]:
    trial = digits_trial()
    *others, last = trial.recipe.weights
    weights = (*others, last + 2**-40)
    return Trial.weighted(trial.benchmark, weights, trial.seed, trial.precision), digits_task()


def other_data() -> tuple[Trial, Task]:
    task = Task.__new__(Task)
    task.__dict__.update(vars(digits_task()) | {"fingerprint": "other"})
    return digits_trial(), task


@pytest.mark.parametrize(
    "other",
    (
        other_weights,
        lambda: (digits_trial(seed=4), digits_task()),
        lambda: (digits_trial(epochs=5), digits_task()),
        lambda: (digits_trial(learning_rate=0.2), digits_task()),
        lambda: (digits_trial(precision="tf32"), digits_task()),
        other_data,
    ),
    ids=("weights", "seed", "epochs", "protocol", "precision", "data"),
)
def test_another_configuration_is_refused(
    other: Callable[[], tuple[Trial, Task]], tmp_path: Path
) -> None:
    training = train(digits_trial(), digits_task(), tmp_path, save_every=1)
    next(training)
    with pytest.raises(CheckpointError, match="another checkpoint folder"):
        next(train(*other(), tmp_path))


def test_another_configuration_is_refused_even_beside_a_file_of_ones_own(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2, configuration="other")
    with pytest.raises(CheckpointError, match="belongs to configuration other, not to mine"):
        checkpoint.newest(tmp_path, "mine")


def test_a_failing_write_leaves_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = save(tmp_path, 4)
    before = old.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    for epoch in (4, 6):
        with pytest.raises(CheckpointError, match=f"epoch-0000{epoch}.*No space left"):
            save(tmp_path, epoch, size=torch.zeros(1000))
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_bytes() == before


def test_a_kill_while_writing_leaves_the_old_file_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = save(tmp_path, 4)
    before = old.read_bytes()
    seen = []

    def look(source: Path, target: Path) -> None:
        seen.append((Path(target).read_bytes(), checkpoint.newest(tmp_path, "mine")))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", look)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 4, size=torch.zeros(1000))
    assert seen == [(before, {"configuration": "mine", "epoch": 4})]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="file/checkpoints"):
        save(tmp_path / "file" / "checkpoints", 1)


def test_nothing_is_made_anew_below_a_folder_that_was_deleted(tmp_path: Path) -> None:
    deleted = tmp_path / "deleted"
    with pytest.raises(CheckpointError, match="No such file or directory"):
        checkpoint.save(deleted / "trial", 1, {})
    assert not deleted.exists()


@pytest.mark.parametrize("epochs", ((2, 4, 6, 8), (99_998, 99_999, 100_000)))
def test_only_the_two_newest_files_are_kept(epochs: tuple[int, ...], tmp_path: Path) -> None:
    paths = [save(tmp_path, epoch) for epoch in epochs]
    assert set(tmp_path.iterdir()) == {*paths[-2:]}


class Code:
    """Pickles to a call of print, as a hostile file would to something worse."""

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return print, ("the code in the file ran",)


def with_header(payload: bytes) -> bytes:
    digest = hashlib.sha256(payload).hexdigest()
    return f"{checkpoint.MAGIC} {digest}\n".encode() + payload


def torch_file(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("writer", (torch_file, partial(pickle.dumps, protocol=2)))
def test_a_file_with_code_in_it_is_refused_unrun(
    writer: Callable[[object], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    payload = writer({"configuration": "mine", "epoch": 1, "code": Code()})
    path = checkpoint_path(tmp_path, 1)
    path.write_bytes(with_header(payload))
    with pytest.raises(CheckpointError, match=path.name):
        checkpoint.newest(tmp_path, "mine")
    assert "the code in the file ran" not in capsys.readouterr().out


@pytest.mark.parametrize("state", ([1, 2], {"epoch": 3}), ids=("no-state", "no-configuration"))
def test_a_whole_file_that_holds_no_state_of_a_trial_is_refused(state: Any, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, state)
    with pytest.raises(CheckpointError, match="holds something else than a trial's state"):
        checkpoint.newest(tmp_path, "a configuration")
