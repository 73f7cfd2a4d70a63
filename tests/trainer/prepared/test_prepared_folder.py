"""The prepared folder: images that memory does not hold, written and read one by one."""

import errno
import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training import CPU

from trainer import files
from trainer.benchmarks import Benchmark, get_benchmark
from trainer.data import pixels
from trainer.errors import DataError
from trainer.execution.task import Task
from trainer.prepared import (
    ImageData,
    changed_images,
    load,
    preparation,
    prepare,
    whole_folder,
)
from trainer.prepared.stored_images import StoredImages

MakeFolder = Callable[..., Path]


@pytest.fixture
def benchmark(tmp_path: Path, make_folder: MakeFolder) -> Benchmark:
    """Of a folder with classes of 9 and 20 images, cut to a long tail, a share set aside."""
    make_folder(tmp_path / "images", (9, 20))
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nnetwork = "resnet8"\nresolution = 8\n[data]\nroot = "images"\nval = 0.2\n'
        "imbalance_ratio = 4\n"
    )
    return get_benchmark(str(tmp_path / "mine.toml"), tmp_path)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "available_memory", lambda: 1000)
    monkeypatch.setattr(pixels, "PORTION_BYTES", 7 * 3 * 8**2)


def prepared(benchmark: Benchmark, data_root: Path) -> tuple[Path, ImageData]:
    path = prepare(benchmark, data_root)
    return path, load(path, benchmark)


def test_the_folder_has_what_the_file_has(
    benchmark: Benchmark, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    _, held = prepared(benchmark, tmp_path / "a")
    request.getfixturevalue("little_memory")
    folder, streamed = prepared(benchmark, tmp_path / "b")
    assert sorted(os.listdir(folder)) == ["description.npz", "images.npy"]
    assert os.listdir(folder.parent) == [folder.name]
    assert isinstance(streamed.train_images, StoredImages)
    for name, value in vars(held).items():
        theirs = getattr(streamed, name)
        assert np.array_equal(theirs[:] if name.endswith("images") else theirs, value), name
    first = streamed.train_images[0]
    assert first.shape == held.train_images[0].shape == (3, 8, 8)
    assert np.array_equal(first, held.train_images[0])


@pytest.mark.usefixtures("little_memory")
def test_why_images_are_read_from_disk_is_told_and_they_are_prepared_once(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    folder = prepare(benchmark, tmp_path, told.append)
    monkeypatch.setattr(preparation, "SOURCES", {})
    assert prepare(benchmark, tmp_path, told.append) == folder
    assert told == [told[0]] * 2
    assert told[0].startswith("images are read from disk during the training: 30 images of 8 x 8")
    monkeypatch.undo()
    assert prepare(benchmark, tmp_path, told.append) == folder
    assert f", as {folder} was prepared for that; without it they would be held" in told[2]


@pytest.mark.usefixtures("little_memory")
def test_changes_are_told_of_prepared_folders_too(benchmark: Benchmark, tmp_path: Path) -> None:
    prepare(benchmark, tmp_path)
    shutil.copy(tmp_path / "images/test/class0/000.png", tmp_path / "images/test/class0/x.png")
    changed = get_benchmark(str(tmp_path / "mine.toml"), tmp_path)
    prepare(changed, tmp_path)
    found = changed_images(changed, benchmark.data_fingerprint(), tmp_path)
    assert found == "test/class0 (1 new, 0 gone)"


@pytest.mark.usefixtures("little_memory")
def test_images_without_room_on_the_disk_are_refused_with_the_numbers(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=2**27)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"needs 0\.0 GiB of its disk, which has 0\.1 free: make"):
        prepare(benchmark, tmp_path)
    assert os.listdir(tmp_path / "prepared") == []


@pytest.mark.usefixtures("little_memory")
def test_what_could_not_be_written_whole_is_removed(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"mine-\S+ cannot be written \(No space left on device\)"):
        prepare(benchmark, tmp_path)
    monkeypatch.undo()
    (tmp_path / "images" / "train" / "class1" / "000.png").write_text("damaged")
    with pytest.raises(DataError, match="changed while they were read"):
        prepare(benchmark, tmp_path)
    assert os.listdir(tmp_path / "prepared") == []


@pytest.mark.usefixtures("little_memory")
def test_damaged_images_of_all_portions_are_counted(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split in ("train", "test"):
        (tmp_path / "images" / split / "class0" / "000.png").write_text(split)
    changed = get_benchmark(str(tmp_path / "mine.toml"), tmp_path)
    with pytest.raises(DataError, match="2 files cannot be read as an image"):
        prepare(changed, tmp_path)
    assert os.listdir(tmp_path / "prepared") == []


@pytest.mark.parametrize("locked", (True, False))
@pytest.mark.parametrize("memory", ("little_memory", None), ids=("folder", "file"))
def test_what_a_killed_preparation_left_is_removed_by_the_next(
    benchmark: Benchmark,
    tmp_path: Path,
    locked: bool,
    memory: str | None,
    request: pytest.FixtureRequest,
) -> None:
    if memory:
        request.getfixturevalue(memory)
    left = tmp_path / "prepared" / ".mine-0.unfinished"
    left.mkdir(parents=True)
    (left / "images.npy").write_text("half")
    descriptor = os.open(left, os.O_RDONLY)
    if locked:  # by one that is at work
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    prepare(benchmark, tmp_path)
    os.close(descriptor)
    assert left.exists() == locked


def test_a_file_is_written_where_what_a_kill_leaves_is_removed(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    write = whole_folder.write_atomic

    def noted(path: Path, content: bytes) -> None:
        write(path, content)
        written.append(path)

    monkeypatch.setattr(whole_folder, "write_atomic", noted)
    file = prepare(benchmark, tmp_path)
    assert [path.parent.suffix for path in written] == [files.UNFINISHED]
    assert os.listdir(tmp_path / "prepared") == [file.name]


@pytest.mark.usefixtures("little_memory")
def test_a_folder_that_is_not_locked_yet_is_not_taken_for_abandoned(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_locked = files.is_locked

    def after_another_process(descriptor: int) -> bool:
        monkeypatch.setattr(files, "is_locked", is_locked)
        files.remove_abandoned(tmp_path / "prepared")
        return is_locked(descriptor)

    monkeypatch.setattr(files, "is_locked", after_another_process)
    folder = prepare(benchmark, tmp_path)
    assert os.listdir(tmp_path / "prepared") == [folder.name]


def open_header(path: Path) -> None:
    """Take the closing brace from the header of an .npy file."""
    path.write_bytes(path.read_bytes().replace(b", }", b",  ", 1))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    ("damage", "message"),
    (
        (lambda folder: os.truncate(folder / "images.npy", 4000), "is cut off: delete the folder"),
        (lambda folder: os.truncate(folder / "images.npy", 20), "holds no images .*: delete the"),
        (lambda folder: open_header(folder / "images.npy"), "holds no images .*: delete the"),
        (lambda folder: (folder / "images.npy").unlink(), "holds no images .No such file"),
        (lambda folder: np.save(folder / "images.npy", np.zeros(30)), "has float64 of shape"),
        (lambda folder: (folder / "description.npz").unlink(), r"lacks description\.npz: delete"),
        (lambda folder: os.truncate(folder / "description.npz", 99), "is damaged"),
    ),
)
def test_a_damaged_folder_is_refused(
    benchmark: Benchmark, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    folder = prepare(benchmark, tmp_path)
    damage(folder)
    with pytest.raises(DataError, match=message):
        load(folder, benchmark)


@pytest.mark.usefixtures("little_memory")
def test_any_flipped_bit_of_an_image_is_noticed_when_it_is_read(
    benchmark: Benchmark, tmp_path: Path
) -> None:
    folder, data = prepared(benchmark, tmp_path)
    path, size = folder / "images.npy", 3 * 8**2
    whole = path.read_bytes()
    for number in range(len(data.train_labels)):
        broken = bytearray(whole)
        broken[len(whole) - (len(data.train_labels) + len(data.test_labels) - number) * size] ^= 1
        path.write_bytes(broken)
        with pytest.raises(DataError, match="is damaged"):
            data.train_images[number]
        data.train_images[number - 1]
    os.truncate(path, 1000)
    with pytest.raises(DataError, match="is cut off"):
        data.test_images[:]


@pytest.mark.usefixtures("little_memory")
def test_stored_images_are_read_when_storage_is_back(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, data = prepared(benchmark, tmp_path)
    whole, read, errors = data.train_images[:], os.preadv, iter([errno.EIO, errno.ETIMEDOUT])

    def away(*arguments: Any) -> int:
        for number in errors:
            raise OSError(number, os.strerror(number))
        return read(*arguments)

    monkeypatch.setattr(os, "preadv", away)
    monkeypatch.setattr(files, "RETRY_SECONDS", 0.0)
    assert np.array_equal(data.train_images[:], whole)
    assert next(errors, None) is None


@pytest.mark.usefixtures("little_memory")
def test_stored_images_travel_by_their_path(benchmark: Benchmark, tmp_path: Path) -> None:
    folder, data = prepared(benchmark, tmp_path)
    data.train_images[:3]
    there = pickle.loads(pickle.dumps(data))
    assert np.array_equal(there.test_images[:], data.test_images[:])
    Task(there, 1, CPU)
    elsewhere = pickle.loads(pickle.dumps(data))
    shutil.rmtree(folder)
    with pytest.raises(DataError, match=r"cannot be opened on .*: it must be at this path on ev"):
        Task(elsewhere, 1, CPU)
