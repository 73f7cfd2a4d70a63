"""The prepared file: what it holds, and what happens when it is damaged or foreign."""

import dataclasses
import os
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from images import training_pixels
from own_images import prepared
from PIL import Image
from repository import REPOSITORY

from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.data import sources
from trainer.data.digits import load_digits
from trainer.data.longtail import select_long_tail, stratified_halves
from trainer.data.raw import Request
from trainer.errors import DataError
from trainer.files import write_atomic
from trainer.prepared import load, prepare

MakeFolder = Callable[..., Path]
DIGITS = BENCHMARKS["resnet8-digitslt"]
EXAMPLE = REPOSITORY / "examples" / "cifar10lt-folder.toml"


def test_digits_are_prepared_as_declared(tmp_path: Path) -> None:
    path = prepare(DIGITS, tmp_path)
    data = load(path, DIGITS)
    assert path.name == f"digits-{DIGITS.data_fingerprint()}.npz"
    assert data.train_images.shape == (398, 1, 8, 8)
    assert data.train_images.flags.c_contiguous
    assert data.train_images.dtype == np.uint8
    assert data.train_labels.dtype == np.int64
    assert data.counts.tolist() == DIGITS.counts.tolist()
    assert data.fingerprint == DIGITS.data_fingerprint()
    assert np.bincount(data.test_labels).tolist() == [60] * 10
    assert np.array_equal(data.half_a, stratified_halves(data.test_labels))


def test_prepared_images_are_the_selected_ones_in_order(tmp_path: Path) -> None:
    raw = load_digits(Request(tmp_path, 8, None))
    kept = select_long_tail(raw.train_labels, DIGITS.counts, DIGITS.subset_seed)
    data = prepared(DIGITS, tmp_path)
    assert np.array_equal(data.train_images, training_pixels(raw)[kept].transpose(0, 3, 1, 2))
    assert np.array_equal(data.train_labels, raw.train_labels[kept])


def test_measured_statistics_normalise_the_training_images(tmp_path: Path) -> None:
    data = prepared(DIGITS, tmp_path)
    scaled = data.train_images / 255
    assert data.mean == pytest.approx((scaled.mean(),))
    assert data.std == pytest.approx((scaled.std(),))


def test_declared_statistics_are_kept(tmp_path: Path) -> None:
    data = prepared(dataclasses.replace(DIGITS, mean=(0.25,), std=(0.5,)), tmp_path)
    assert (data.mean, data.std) == ((0.25,), (0.5,))


def test_largest_head_of_digits_is_used() -> None:
    raw = load_digits(Request(Path(), 8, None))
    available = np.bincount(raw.train_labels)
    larger = dataclasses.replace(DIGITS, max_count=(DIGITS.max_count or 0) + 1)
    assert np.all(DIGITS.counts <= available)
    assert np.any(larger.counts > available)


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    first, second = (prepare(DIGITS, tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_prepared_file_suffices_without_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(DIGITS, tmp_path)
    monkeypatch.delitem(sources.SOURCES, "digits")
    shutil.copytree(tmp_path / "prepared", tmp_path / "other" / "prepared")
    assert len(prepared(DIGITS, tmp_path / "other").train_labels) == 398


def test_simultaneous_preparation_is_harmless(tmp_path: Path) -> None:
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(prepare(DIGITS, tmp_path))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    assert os.listdir(tmp_path / "prepared") == [paths[0].name]
    load(paths[0], DIGITS)


def test_unwritable_data_root_is_named(tmp_path: Path) -> None:
    (tmp_path / "prepared").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="cannot be written"):
        prepare(DIGITS, tmp_path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npz does not exist: prepare"):
        load(tmp_path / "none.npz", DIGITS)


def test_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks description.npz: delete it and run again"):
        load(tmp_path, DIGITS)


@pytest.mark.parametrize("fraction", (0.0, 0.01, 0.5, 0.999))
def test_truncated_file_is_refused(tmp_path: Path, fraction: float) -> None:
    path = prepare(DIGITS, tmp_path)
    os.truncate(path, int(path.stat().st_size * fraction))
    with pytest.raises(DataError, match=r"is damaged .*: delete it and run again"):
        load(path, DIGITS)


def test_any_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    path = prepare(DIGITS, tmp_path)
    whole = path.read_bytes()
    expected = load(path, DIGITS)
    for position in np.random.default_rng(0).integers(0, len(whole), 300).tolist():
        broken = bytearray(whole)
        broken[position] ^= 0xFF
        path.write_bytes(broken)
        try:
            data = load(path, DIGITS)
        except DataError:
            continue
        for name in ("train_images", "train_labels", "test_images", "test_labels"):
            assert np.array_equal(getattr(data, name), getattr(expected, name))


def test_foreign_benchmark_is_refused(tmp_path: Path) -> None:
    path = prepare(DIGITS, tmp_path)
    other = dataclasses.replace(DIGITS, subset_seed=1, name="other")
    with pytest.raises(DataError, match=r"other data .resnet8-digitslt, .*: delete it"):
        load(path, other)


def test_foreign_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.npz"
    np.savez(path, x=np.zeros(3))
    with pytest.raises(DataError, match="is no prepared file of this program"):
        load(path, DIGITS)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, description=np.array([{}], dtype=object))
    with pytest.raises(DataError, match=r"is damaged .*allow_pickle"):
        load(path, DIGITS)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    (
        ("train_images", lambda a: a.astype(np.float32), "training images of float32"),
        ("train_labels", lambda a: a.astype(np.int32), "labels of int32"),
        ("test_images", lambda a: a[:, :, :4], "test images of shape"),
        ("train_images", lambda a: a[:-1], "training images of shape"),
        ("test_labels", lambda a: a + 1, r"test labels outside 0\.\.9"),
        ("train_labels", lambda a: a - 1, r"training labels outside 0\.\.9"),
        ("train_labels", lambda a: a[::-1] * 0, "other class counts"),
        ("test_labels", lambda a: a * 0, "no test image of some class"),
        ("test_labels", lambda _: None, "lacks a part, .*'test_labels'"),
        ("test_labels", lambda a: a.reshape(2, -1), "lacks a part, or has one of another shape"),
    ),
)
def test_altered_arrays_are_refused(
    tmp_path: Path, name: str, change: Callable[[Any], Any], message: str
) -> None:
    path = prepare(DIGITS, tmp_path)
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays[name] = change(arrays[name])
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(DataError, match=message):
        load(path, DIGITS)


def test_wrong_number_of_images_is_refused(tmp_path: Path) -> None:
    path = prepare(DIGITS, tmp_path)
    # train_images is an assertion, no part of what the data are made from.
    with pytest.raises(DataError, match="has 398 training images, not 397"):
        load(path, dataclasses.replace(DIGITS, train_images=397))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    (
        (b'["0", "1", ', b'["0", ', "names 9 classes, not 10"),
        (b'"std": [', b'"std": [1.0, ', "mean and std of other than 1 channels"),
        (b'"std"', b'"sdt"', "lacks a part, .*'std'"),
        (b'"data_fingerprint"', b'"fingerprint"', "is no prepared file"),
        (b"{", b"", "is no prepared file"),
    ),
)
def test_altered_description_is_refused(
    tmp_path: Path, old: bytes, new: bytes, message: str
) -> None:
    path = prepare(DIGITS, tmp_path)
    with np.load(path) as archive:
        arrays = dict(archive)
    text = arrays["description"].tobytes()
    assert old in text
    arrays["description"] = np.frombuffer(text.replace(old, new), dtype=np.uint8)
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message):
        load(path, DIGITS)


def folder_benchmark(beside: Path, extra: str = "") -> Benchmark:
    head = 'name = "mine"\nnetwork = "resnet8"\nresolution = 8\n'
    (beside / "mine.toml").write_text(f'{head}[data]\nroot = "images"\n{extra}')
    return get_benchmark(str(beside / "mine.toml"), beside)


def test_folder_with_natural_counts_keeps_every_image(
    tmp_path: Path, make_folder: MakeFolder
) -> None:
    make_folder(tmp_path / "images", (9, 20, 9))
    benchmark = folder_benchmark(tmp_path)
    data = prepared(benchmark, tmp_path)
    assert data.counts.tolist() == [9, 20, 9]
    assert data.train_images.shape == (38, 3, 8, 8)
    assert prepare(benchmark, tmp_path).name.startswith("mine-")


def test_folder_with_imposed_ratio_is_cut(tmp_path: Path, make_folder: MakeFolder) -> None:
    make_folder(tmp_path / "images", (9, 20, 9))
    data = prepared(folder_benchmark(tmp_path, "imbalance_ratio = 4\n"), tmp_path)
    assert data.counts.tolist() == [9, 19, 4]


def test_changed_folder_is_prepared_anew(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (5, 3))
    before = prepare(folder_benchmark(tmp_path), tmp_path)
    (root / "train" / "class0" / "000.png").unlink()
    benchmark = folder_benchmark(tmp_path)
    assert prepare(benchmark, tmp_path) != before
    assert prepared(benchmark, tmp_path).counts.tolist() == [4, 3]


def test_images_of_one_colour_are_refused(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (2, 1))
    for path in root.glob("train/*/*.png"):
        Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(DataError, match="has the same value"):
        prepare(folder_benchmark(tmp_path), tmp_path)


def test_all_of_many_damaged_images_are_listed(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (6, 3))
    damaged = sorted(root.glob("train/*/00*.png"))[:4]
    damaged.append(root / "test" / "class1" / "a\udce9\n.png")
    for path in damaged:
        path.write_text(path.name, errors="surrogateescape")
    with pytest.raises(DataError, match=r"5 files cannot be read as an ima.* lists all") as told:
        prepare(folder_benchmark(tmp_path), tmp_path)
    [file] = (tmp_path / "prepared").iterdir()
    assert str(file) in str(told.value)
    listed = file.read_bytes()
    assert all(bytes(path) in listed for path in damaged)


def test_atomic_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        write_atomic(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_failed_atomic_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomic(tmp_path / "file", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_prepared_file_is_one_zip_without_objects(tmp_path: Path) -> None:
    with zipfile.ZipFile(prepare(DIGITS, tmp_path)) as archive:
        assert len(archive.namelist()) == 5
    with np.load(prepare(DIGITS, tmp_path), allow_pickle=False) as arrays:
        assert all(array.dtype != object for array in arrays.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "images"), (("resnet32-cifar100lt", 10847), ("vgg16bn-cifar100lt", 12608))
)
def test_cifar100_is_prepared_from_the_official_files(
    shared_data: Path, name: str, images: int
) -> None:
    benchmark = BENCHMARKS[name]
    path = prepare(benchmark, shared_data)
    data = load(path, benchmark)
    assert path.stat().st_size < 64e6
    assert len(data.train_labels) == images
    assert np.bincount(data.test_labels).tolist() == [100] * 100
    assert data.class_names[:2] == ("apple", "aquarium_fish")
    assert int(data.half_a.sum()) == 5000


@pytest.mark.slow
def test_example_folder_is_cifar10_lt(shared_data: Path) -> None:
    benchmark = get_benchmark(str(EXAMPLE), shared_data)
    data = prepared(benchmark, shared_data)
    assert data.counts.tolist() == BENCHMARKS["resnet32-cifar10lt"].counts.tolist()
    assert len(data.train_labels) == 12406
    assert np.bincount(data.test_labels).tolist() == [1000] * 10


@pytest.mark.slow
def test_imposing_the_natural_ratio_keeps_all_of_cifar10_lt(
    shared_data: Path, tmp_path: Path
) -> None:
    text = EXAMPLE.read_text().replace("# imbalance_ratio", "imbalance_ratio")
    (tmp_path / "imposed.toml").write_text(text)
    benchmark = get_benchmark(str(tmp_path / "imposed.toml"), shared_data)
    assert (benchmark.max_count, benchmark.train_images) == (5000, 12406)
