"""A user's folder of images: what is found in it, what is left out, and what is refused."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from images import all_pixels, evaluated_pixels, training_pixels
from PIL import Image

from trainer.data.image_folder import load_folder, scan_folder, split_names
from trainer.data.raw import FolderSpec, RawImages, Request
from trainer.errors import DataError

MakeFolder = Callable[..., Path]


def scan(root: Path, **given: str | float) -> FolderSpec:
    return scan_folder(root, split_names(root, **given))  # type: ignore[arg-type]


def read(root: Path, **given: str | float) -> RawImages:
    return load_folder(Request(Path(), 8, scan(root, **given)))


@pytest.fixture
def root(tmp_path: Path, make_folder: MakeFolder) -> Path:
    """A folder with classes of 6 and 3 training images and 2 test images each."""
    return make_folder(tmp_path / "images", (6, 3))


def note(root: Path, **given: str | float) -> str:
    return scan(root, **given).notes[0]


def test_folder_is_described_and_read_class_by_class(root: Path) -> None:
    assert note(root) == "2 classes, 9 training images (6 to 3 a class), 4 test images (2 a class)"
    raw = read(root)
    assert raw.class_names == ("class0", "class1")
    assert raw.train_labels.tolist() == [0] * 6 + [1] * 3
    assert raw.test_labels.tolist() == [0, 0, 1, 1]
    assert raw.half_a is None
    written = {np.asarray(Image.open(path)).tobytes() for path in root.glob("train/class0/*")}
    assert {image.tobytes() for image in training_pixels(raw)[:6]} == written


def test_sub_folders_and_every_format_of_pillow_are_read(root: Path) -> None:
    below = root / "train" / "class1" / "2024" / "may"
    below.mkdir(parents=True)
    for index, suffix in enumerate((".bmp", ".TIFF", ".ppm", ".gif", ".jp2")):
        Image.new("RGB", (9, 9), (index, 0, 0)).save(below / f"image{suffix}")
    assert scan(root).train_counts == (6, 8)
    assert len(all_pixels(read(root))) == 14 + 4


def test_files_that_are_not_read_are_counted_by_suffix(root: Path) -> None:
    names = ("a.heic", "b.HEIC", "notes.txt", "README", "a.x\x1b[31m")
    for name in names:
        (root / "train" / "class0" / name).write_text("x")
    (root / "test" / "labels.csv").write_text("x")
    expected = (
        "left out 6 files (2 .heic, 1 without a suffix, 1 other, 1 .txt, 1 .csv beside the class"
        " folders)"
    )
    assert note(root).split("; ")[1] == expected
    assert scan(root).train_counts == (6, 3)


def test_one_kind_of_file_left_out_is_named_alone(root: Path) -> None:
    (root / "train" / "class0" / "a.heic").write_text("x")
    assert note(root).endswith("; left out 1 file (.heic)")


def test_litter_of_systems_needs_no_mention(root: Path) -> None:
    before = scan(root)
    for name in (".DS_Store", "._000.png", "Thumbs.db", "desktop.ini"):
        (root / "train" / "class0" / name).write_text("x")
    for folder in (".cache", "__MACOSX"):
        (root / "train" / folder).mkdir()
    assert scan(root) == before
    assert scan(root).notes == before.notes


def test_folders_beside_the_splits_are_mentioned(root: Path) -> None:
    (root / "unlabelled").mkdir()
    assert note(root).endswith("; not used: unlabelled/")
    (root / "caf\udce9").mkdir()  # as the file system has a name that is no UTF-8
    assert note(root).endswith(r"; not used: 'caf\udce9/', unlabelled/")
    assert "not used" not in note(root / "train", train="./")


def test_loops_of_links_end_and_a_folder_is_read_once(root: Path) -> None:
    folder = root / "train" / "class0"
    (folder / "loop").symlink_to(folder)
    (folder / "self").mkdir()
    (folder / "self" / "up").symlink_to("..")
    (folder / "above").symlink_to("../..")
    assert scan(root).train_counts == (6, 3)


def test_copies_are_counted_and_those_among_the_test_images_are_warned_of(root: Path) -> None:
    first = root / "train" / "class0" / "000.png"
    (root / "train" / "class0" / "again.png").symlink_to(first)
    shutil.copy(first, root / "test" / "class0" / "copy.png")
    spec = scan(root)
    assert spec.train_counts == (7, 3)
    assert "1 of the training images: copies of others, or links to them" in spec.notes
    assert any(note.startswith("warning: 1 of the test images among") for note in spec.notes)


def test_an_image_of_two_classes_is_warned_of(root: Path) -> None:
    first = root / "train" / "class0" / "000.png"
    shutil.copy(first, root / "train" / "class1" / "same.png")
    assert "warning: 1 of the training images in another class too" in scan(root).notes


def test_images_that_choose_and_judge_are_warned_of(root: Path) -> None:
    shutil.copytree(root / "test", root / "val")
    (root / "val" / "class0" / "000.png").unlink()
    warning = "warning: 3 of the test images among the validation images too, so that images which"
    assert any(note.startswith(warning) for note in scan(root).notes)
    shutil.rmtree(root / "val")
    for path in root.glob("train/*/*.png"):
        shutil.copy(path, root / "test" / path.parent.name / f"again-{path.name}")
    notes = scan(root, val=0.2).notes
    assert any(note.startswith("warning: 7 of the test images among the train") for note in notes)
    assert any(note.startswith("warning: 2 of the test images among the valid") for note in notes)


def test_copies_among_the_test_images_are_told(root: Path) -> None:
    first = root / "test" / "class0" / "000.png"
    shutil.copy(first, root / "test" / "class0" / "again.png")
    shutil.copy(first, root / "test" / "class1" / "other.png")
    notes = scan(root).notes
    assert "1 of the test images: copies of others, or links to them" in notes
    assert "warning: 1 of the test images in another class too" in notes


@pytest.mark.parametrize("split", ("val", "train"))
def test_a_link_to_another_split_is_refused(root: Path, split: str) -> None:
    shutil.rmtree(root / split, ignore_errors=True)
    (root / split).symlink_to("test")
    with pytest.raises(DataError, match=r"(val|train) and \S+/test are one folder, to which"):
        scan(root)


def test_copies_of_an_image_are_not_split_into_training_and_validation(root: Path) -> None:
    for path in sorted((root / "train").glob("*/*.png")):
        for number in range(4):
            shutil.copy(path, path.with_name(f"{path.stem}-{number}.png"))
    spec = scan(root, val=0.2)
    assert spec.train_counts == (25, 10)
    assert not any(note.startswith("warning") for note in spec.notes)
    content = (root / "train" / "class1" / "000.png").read_bytes()
    for path in (root / "train" / "class1").glob("*.png"):
        path.write_bytes(content)
    assert scan(root, val=0.2).train_counts == (25, 12)  # of one image, nothing else is left


def test_dangling_links_are_counted_and_named(root: Path) -> None:
    for index in range(5):
        (root / "train" / "class0" / f"x{index}.png").symlink_to("nowhere")
    (root / "train" / "class1" / "self.png").symlink_to("self.png")
    with pytest.raises(DataError, match=r"6 files .* a link leads nowhere: .*x0.*x1.*x2\.png, \."):
        scan(root)


def test_damaged_images_are_counted_and_named(root: Path) -> None:
    for index in range(4):
        os.truncate(root / "train" / "class0" / f"00{index}.png", 60)
    (root / "test" / "class1" / "001.png").write_text("not an image")
    with pytest.raises(DataError, match=r"5 files cannot be read as an image: \S+00\d\.png \(.*"):
        all_pixels(read(root))


def test_single_damaged_image_is_named(root: Path) -> None:
    (root / "test" / "class1" / "001.png").write_text("not an image")
    with pytest.raises(
        DataError, match=r"test/class1/001\.png \(it is damaged or in none of.*repl"
    ):
        all_pixels(read(root))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_the_right_to_read_is_named(root: Path) -> None:
    (root / "test" / "class1" / "001.png").chmod(0)
    with pytest.raises(DataError, match=r"001\.png \(Permission denied\) cannot be read"):
        scan(root)


def test_content_alone_makes_the_state(root: Path, tmp_path: Path) -> None:
    before, pixels = scan(root), training_pixels(read(root))
    moved = Path(shutil.copytree(root, tmp_path / "moved"))
    os.utime(moved / "train" / "class0" / "000.png", (1, 1))
    (moved / "train" / "class0" / "001.png").rename(moved / "train" / "class0" / "zzz.PNG")
    assert scan(moved).state == before.state
    assert np.array_equal(training_pixels(read(moved)), pixels)
    (moved / "train" / "class0" / "zzz.PNG").rename(moved / "train" / "class1" / "zzz.png")
    assert scan(moved).state != before.state


def test_large_files_are_hashed_whole(root: Path) -> None:
    path = root / "train" / "class0" / "large.bmp"
    states = []
    for end in (b"a", b"b"):
        path.write_bytes(b"\0" * 2**21 + end)
        states.append(scan(root).state)
    assert states[0] != states[1]


def test_validation_folder_leaves_the_test_folder_to_the_verdict(root: Path) -> None:
    shutil.copytree(root / "test", root / "valid")
    for path in root.glob("valid/*/*.png"):
        Image.new("RGB", (8, 8), (1, 2, 3)).save(path)
    spec, raw = scan(root), read(root)
    assert (spec.train, spec.val, spec.test) == ("train", "valid", "test")
    assert raw.half_a is not None
    assert raw.half_a.tolist() == [True] * 4 + [False] * 4
    assert evaluated_pixels(raw)[:4].reshape(-1, 3).tolist() == [[1, 2, 3]] * 256
    assert raw.test_labels.tolist() == [0, 0, 1, 1] * 2


def test_share_of_the_training_images_is_set_aside_by_class(root: Path) -> None:
    raw = read(root, val=0.2)
    assert np.bincount(raw.train_labels).tolist() == [5, 2]
    assert raw.half_a is not None
    assert raw.test_labels[raw.half_a].tolist() == [0, 1]
    everything = [*training_pixels(raw), *evaluated_pixels(raw)[raw.half_a]]
    assert len({image.tobytes() for image in everything}) == 9
    assert np.array_equal(training_pixels(read(root, val=0.2)), training_pixels(raw))
    assert "validation images: 0.2 of the training images" in scan(root, val=0.2).notes[1]


def test_large_share_leaves_a_training_image_of_each_class(root: Path) -> None:
    assert scan(root, val=0.99).train_counts == (1, 1)


def test_share_of_a_single_image_is_refused(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "images", (9, 1, 1))
    with pytest.raises(DataError, match="single training image of classes 'class1', 'class2'"):
        scan(root, val=0.2)


@pytest.mark.parametrize("train", ("train", "Training", "."))
def test_training_folder_alone_sets_a_share_aside(root: Path, train: str) -> None:
    shutil.rmtree(root / "test")
    (root / "train").rename(root.parent / "alone")
    shutil.rmtree(root)
    shutil.copytree(root.parent / "alone", root / train)
    spec = scan(root)
    assert (spec.train, spec.val, spec.test) == (train, 0.2, None)
    assert spec.notes[0] == (
        "2 classes, 7 training images (5 to 2 a class), 2 validation images (1 a class)"
    )
    assert spec.notes[2].startswith("no test images: all results are of the validation images")
    assert read(root).half_a is None


def test_selection_on_the_test_images_is_said(root: Path) -> None:
    assert (
        "no validation images: weightings and epochs are chosen on the test" in scan(root).notes[1]
    )


def test_no_evaluation_at_all_is_refused(root: Path) -> None:
    shutil.rmtree(root / "test")
    with pytest.raises(DataError, match="training images only, and nothing to evaluate on"):
        scan(root, val=0.0)


def test_differing_classes_are_named(root: Path) -> None:
    (root / "test" / "class1").rename(root / "test" / "klass1")
    message = r"only in train: \['class1'\], only in test: \['klass1'\]"
    with pytest.raises(DataError, match=message):
        scan(root)


def test_classes_that_look_alike_are_told_apart_and_not_all_of_many_are_named(root: Path) -> None:
    (root / "train" / "class1").rename(root / "train" / "caf\u00e9")
    (root / "test" / "class1").rename(root / "test" / "cafe\u0301")
    with pytest.raises(DataError, match=r"only in train: \['caf\\xe9'\], .*: \['cafe\\u0301'\]"):
        scan(root)
    for index in range(20):
        shutil.copytree(root / "train" / "class0", root / "train" / f"more{index:02}")
    with pytest.raises(DataError, match=r"'more07', \.\.\. 21 in all\], only in test"):
        scan(root)


def test_empty_class_is_named_with_what_was_left_out(root: Path) -> None:
    (root / "test" / "class1" / "notes.txt").write_text("x")
    for path in (root / "train" / "class1").iterdir():
        path.rename(path.with_suffix(".heic"))
    message = r"train/class1 holds no images that can be read \(left out 3 files \(\.heic\)\)"
    with pytest.raises(DataError, match=message):
        scan(root)


def test_single_class_is_refused(tmp_path: Path, make_folder: MakeFolder) -> None:
    with pytest.raises(DataError, match="one class only"):
        scan(make_folder(tmp_path / "images", (1,)))


def test_folder_without_classes_is_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="train holds no class folders"):
        scan(tmp_path)


def test_test_images_without_labels_may_be_renamed(root: Path) -> None:
    shutil.rmtree(root / "test")
    shutil.copytree(root / "train" / "class0", root / "test")
    message = r"/test holds no class folders \(left out 6 files .*, or rename a folder of images w"
    with pytest.raises(DataError, match=message):
        scan(root)


def test_class_whose_name_cannot_be_printed_is_refused(root: Path) -> None:
    (root / "train" / "a\x1b[31m").mkdir()
    with pytest.raises(DataError, match=r"a.x1b\[31m' has a name with characters"):
        scan(root)


def test_missing_split_is_named(root: Path) -> None:
    with pytest.raises(DataError, match="held-out cannot be read"):
        scan(root, test="held-out")


def test_image_that_changed_after_all_were_listed_is_refused(root: Path) -> None:
    raw = read(root)
    Image.new("RGB", (8, 8)).save(root / "test" / "class1" / "001.png")
    with pytest.raises(DataError, match=r"class1/001\.png \(it changed while the images"):
        all_pixels(raw)


def test_folder_that_changed_since_it_was_listed_is_refused(root: Path) -> None:
    listed = scan(root)
    (root / "train" / "class0" / "000.png").unlink()
    with pytest.raises(DataError, match="changed while they were read"):
        load_folder(Request(Path(), 8, listed))
