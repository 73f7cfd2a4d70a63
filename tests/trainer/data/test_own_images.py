"""Images that a table or an .npz file declares, and the prepared file of a user's own images."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from own_images import arrays, declared, prepared, rows, write_csv
from PIL import Image
from pyarrow import parquet

from spaces.errors import UserError
from trainer.benchmarks import Benchmark
from trainer.errors import DataError
from trainer.prepared import changed_images, load, prepare

MakeFolder = Callable[..., Path]


def pixels(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


@pytest.fixture
def here(tmp_path: Path, make_folder: MakeFolder) -> Path:
    """A folder that holds `images`, with classes of 6 and 3 images and 2 test images each."""
    make_folder(tmp_path / "images", (6, 3))
    return tmp_path


@pytest.mark.parametrize("separator", (",", ";", "\t"))
def test_csv_declares_images_and_splits(here: Path, separator: str) -> None:
    write_csv(here, rows(here), separator)
    benchmark = declared(here, 'csv = "rows.csv"')
    assert (benchmark.dataset, benchmark.test_held_out) == ("table", True)
    assert benchmark.notes()[0] == (
        "2 classes, 7 training images (5 to 2 a class), 2 validation images (1 a class), 4 test"
        " images (2 a class)"
    )
    data = prepared(benchmark, here)
    assert data.class_names == ("9", "10")  # as numbers, not as text
    assert data.counts.tolist() == [2, 5]
    folder = prepared(declared(here, 'root = "images"'), here)
    assert pixels(data.test_images[~data.half_a]) == pixels(folder.test_images)


def test_quoted_values_may_hold_separators_and_line_breaks(here: Path) -> None:
    table = rows(here, splits=False)
    for row in table:
        name = row[0].replace("images/", 'images/a, "b"\n\x85/')
        row[:] = ['"' + name.replace('"', '""') + '"', row[1]]
    write_csv(here, table)
    (here / "images" / 'a, "b"\n\x85').mkdir()
    (here / "images" / "train").rename(here / "images" / 'a, "b"\n\x85' / "train")
    assert prepared(declared(here, 'csv = "rows.csv"'), here).counts.tolist() == [2, 5]


def test_a_column_gives_the_difficulty_of_training_images_and_is_part_of_their_identity(
    here: Path,
) -> None:
    table = [[*row, str(i / 4) if row[2] == "train" else ""] for i, row in enumerate(rows(here))]
    write_csv(here, table, header="path,label,split,difficulty")
    benchmark = declared(here, 'csv = "rows.csv"')
    data = prepared(benchmark, here)
    given = sorted(float(row[3]) for row in table if row[3])
    assert data.difficulty is not None
    assert sorted(data.difficulty) == given
    alike = [[*row[:3], row[3] and "1"] for row in table]
    write_csv(here, alike, header="path,label,split,difficulty")
    other = declared(here, 'csv = "rows.csv"')
    assert other.data_fingerprint() != benchmark.data_fingerprint()
    write_csv(here, rows(here))
    assert prepared(declared(here, 'csv = "rows.csv"'), here).difficulty is None


@pytest.mark.parametrize("value", ("", "hard", "nan"))
def test_a_difficulty_that_is_no_number_is_refused(here: Path, value: str) -> None:
    table = [[*row, value] for row in rows(here)]
    write_csv(here, table, header="path,label,split,difficulty")
    with pytest.raises(
        DataError, match=f"row [0-9]+, has the difficulty '{value}': it must be a num"
    ):
        declared(here, 'csv = "rows.csv"')


def test_csv_without_splits_sets_a_share_aside(here: Path) -> None:
    write_csv(here, rows(here, splits=False))
    benchmark = declared(here, 'csv = "rows.csv"')
    assert benchmark.folder is not None
    assert (benchmark.folder.val, benchmark.folder.test) == (0.2, None)
    assert prepared(benchmark, here).counts.tolist() == [2, 5]
    larger = prepared(declared(here, 'csv = "rows.csv"\nval = 0.5'), here)
    assert larger.counts.tolist() == [1, 3]


def test_parquet_is_read_as_a_csv_is(here: Path) -> None:
    table = rows(here)
    columns = {"path": [row[0] for row in table], "label": [int(row[1]) for row in table]}
    columns |= {"split": [f"{row[2]} " for row in table], "note": [None] * len(table)}
    columns[""] = [0] * len(table)  # pandas' index
    parquet.write_table(pyarrow.table(columns), here / "rows.parquet")
    write_csv(here, table)
    benchmark = declared(here, 'parquet = "rows.parquet"')
    assert benchmark.fingerprint() == declared(here, 'csv = "rows.csv"').fingerprint()
    assert benchmark.notes()[0].endswith("; columns not used: note, ''")


@pytest.mark.parametrize(
    ("text", "message"),
    (
        ("", "has the columns none, but none that is named 'path'"),
        ("path,class\na,b\n", "has the columns path, class, but none that is named 'label'"),
        ("path,label\na.png\n", "row 2, lacks its label"),
        ("path,label\na,b.png,x\n", "row 2, has 3 cells, and the first line has 2: put a val"),
        ("path,label, Label\na.png,x,y\n", r"rows\.csv has 2 columns 'label': keep one of them"),
        ("path,label,split\na.png,x,trian\n", "row 2, has the split 'trian': it must be train"),
        ("path,label,split\na.png,x\n", "row 2, has the split '': it must be train"),
        ("path,label,difficulty\na.png,x\n", "row 2, has the difficulty '': it must be a num"),
        ("path,label,split\na.png,x,test\n", "names no training images"),
        ("path,label\na.png,x\x1b[31m\n", r"the class 'x.x1b\[31m': its name must be at most 255 "),
        (f"path,label\na.png,{'x' * 256}\n", "x': its name must be at most 255 characters"),
        ('path,label\n"a.png,x\n', "is not a CSV file .*mend that line"),
        ("path,label\na.png,x\n", r"a\.png \(No such file or directory\) cannot be read"),
        ("path,label\nimages/train/class0/000.png,x\n", "one class only"),
    ),
)
def test_faulty_csv_is_refused(here: Path, text: str, message: str) -> None:
    (here / "rows.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        declared(here, 'csv = "rows.csv"')


@pytest.mark.parametrize(
    ("bits", "places", "warned"),
    (
        (12, "*/*/*", ["9 of the 9 training images and 4 of the 4 evaluated images"]),
        (12, "train/*/000", ["2 of the 9 training images"]),
        (12, "test/*/*", ["4 of the 4 evaluated images"]),
        (16, "*/*/*", []),
    ),
)
def test_images_of_few_levels_are_warned_of(
    here: Path, bits: int, places: str, warned: list[str]
) -> None:
    for place in here.glob(f"images/{places}.png"):
        grey = np.asarray(Image.open(place).convert("L")).astype(np.uint16)
        Image.fromarray(grey << (bits - 8)).save(place)
    told: list[str] = []
    prepare(declared(here, 'root = "images"'), here, told.append)
    found = [text.partition(" have no pixel")[0] for text in told]
    assert found == [f"warning: {images}" for images in warned]


def test_a_label_that_is_missing_in_a_parquet_file_is_no_class(here: Path) -> None:
    labels = pyarrow.array([1.0, float("nan"), 0.0], from_pandas=False)
    parquet.write_table(
        pyarrow.table({"path": ["a", "b", "c"], "label": labels}), here / "a.parquet"
    )
    with pytest.raises(DataError, match="row 2, lacks its label"):
        declared(here, 'parquet = "a.parquet"')


@pytest.mark.parametrize("label", ("nan", "NaN"))
def test_a_missing_label_among_numbers_is_no_class(here: Path, label: str) -> None:
    table = rows(here, splits=False)
    table[0][1] = table[1][1] = label
    write_csv(here, table)
    with pytest.raises(DataError, match=rf"rows\.csv has the label '{label}' among whole numbers"):
        declared(here, 'csv = "rows.csv"')


@pytest.mark.parametrize(
    ("labels", "warned"),
    (
        (("07", "7", "7.0"), ["'07' and '7' and '7.0'"]),
        (("Dog", "dog", "x"), ["'Dog' and 'dog'"]),
        (("caf\u00e9", "cafe\u0301", "x"), [r"'cafe\u0301' and 'caf\xe9'"]),
        (("7", "8", "9"), []),
    ),
)
def test_classes_that_differ_in_their_spelling_alone_are_warned_of(
    here: Path, labels: tuple[str, ...], warned: list[str]
) -> None:
    table = rows(here, splits=False)
    for row, label in zip(table, (labels * 3)[:8] + labels[:1], strict=True):
        row[1] = label
    write_csv(here, table)
    spelling = "warning: by their spelling, these are different classes: "
    notes = declared(here, 'csv = "rows.csv"').notes()
    assert [n.removeprefix(spelling) for n in notes if n.startswith(spelling)] == warned


@pytest.mark.parametrize("name", ("label", "Label"))
def test_parquet_with_a_column_that_is_there_twice_is_refused(here: Path, name: str) -> None:
    table = pyarrow.table([["a.png"], ["x"], ["y"]], names=["path", "label", name])
    parquet.write_table(table, here / "rows.parquet")
    with pytest.raises(DataError, match=r"rows\.parquet has 2 columns 'label': keep one of them"):
        declared(here, 'parquet = "rows.parquet"')


def test_file_that_is_no_parquet_is_refused(here: Path) -> None:
    columns = {"path": ["a.png"], "label": ["x"]}
    parquet.write_table(pyarrow.table(columns), here / "rows.parquet", compression="none")
    content = (here / "rows.parquet").read_bytes()
    for damaged in (b"path,label\n", content.replace(b"a.png", b"a\xffpng")):
        (here / "rows.parquet").write_bytes(damaged)
        with pytest.raises(DataError, match=r"rows\.parquet cannot be read as Parquet"):
            declared(here, 'parquet = "rows.parquet"')


def test_parquet_without_its_package_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "rows.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"rows\.parquet needs the package pyarrow: install it, or"):
        declared(here, 'parquet = "rows.parquet"')


@pytest.mark.parametrize("data", ('csv = "none.csv"', 'npz = "images"', 'root = "rows.csv"'))
def test_place_of_another_kind_is_refused(here: Path, data: str) -> None:
    (here / "rows.csv").write_text("")
    with pytest.raises(DataError, match=r"there is no (csv file|npz file|folder of images) '"):
        declared(here, data)


def of_arrays(here: Path, content: dict[str, Any], extra: str = "") -> Benchmark:
    np.savez(here / "a.npz", **content)
    return declared(here, f'npz = "a.npz"\n{extra}')


@pytest.mark.parametrize("shape", ((8, 8, 3), (8, 8), (8, 8, 1), (8, 8, 4), (20, 10, 3)))
def test_arrays_are_read_as_rgb(here: Path, shape: tuple[int, ...]) -> None:
    content = arrays(shape)
    data = prepared(of_arrays(here, content), here)
    assert data.train_images.shape == (9, 3, 8, 8)
    assert (data.counts.tolist(), data.class_names) == ([6, 3], ("0", "1"))
    if shape == (8, 8, 3):
        ones = content["train_images"][:3].transpose(0, 3, 1, 2)
        assert pixels(data.train_images[data.train_labels == 1]) == pixels(ones)


def test_arrays_with_validation_and_names(here: Path) -> None:
    content = arrays() | {"class_names": np.array(["cat", "dog"]), "extra": np.zeros(2)}
    content |= {"val_labels": np.array([1, 0])}
    assert of_arrays(here, content).notes()[0].endswith("; arrays not used: extra, val_labels")
    content |= {"val_images": content["test_images"][:2] ^ 255}
    benchmark = of_arrays(here, content)
    assert (benchmark.dataset, benchmark.test_held_out) == ("arrays", True)
    assert benchmark.notes()[0].endswith("; arrays not used: extra")
    data = prepared(benchmark, here)
    assert data.class_names == ("cat", "dog")
    assert data.half_a.tolist() == [True] * 2 + [False] * 4
    with pytest.raises(DataError, match=r"validation images of its own: leave val = 0\.5 out"):
        of_arrays(here, content, "val = 0.5")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    (
        ("train_images", None, "but no train_images"),
        ("train_images", np.zeros((9, 8, 8)), "float64 .*: pixels must be uint8"),
        ("test_images", np.zeros((4, 3, 8, 8), np.uint8), "1, 3 or 4 channels, the last axis"),
        ("test_images", np.zeros((0, 8, 8), np.uint8), "there must be images of at least one"),
        ("train_labels", None, r"train_labels must be \(9,\).* \(there are none\)"),
        ("train_labels", np.zeros(8, int), r"train_labels must be \(9,\).* \(int64, \(8,\)\)"),
        ("train_labels", np.zeros(9), "whole numbers or text .float64"),
        ("train_labels", np.array(["a"] * 8 + [""]), "image 8 of train_labels lacks its label"),
        ("test_labels", np.array([0, 0, 0, 0]), "holds no test images of class '1'"),
        ("class_names", np.array(["a"]), "one for each of the labels 0..C-1 .it has 1"),
        ("class_names", np.array(["a", "a"]), "class_names has 'a': give each class a name of"),
        ("class_names", np.array(["a", ""]), "class_names has '': give each class a name of"),
        ("class_names", np.array(["a", "b\x1b[31m"]), r"has the class 'b.x1b\[31m': its name"),
        ("train_labels", np.array([{}] * 9), "no .npz file of plain arrays"),
    ),
)
def test_faulty_arrays_are_refused(here: Path, key: str, value: Any, message: str) -> None:
    content = {k: v for k, v in (arrays() | {key: value}).items() if v is not None}
    with pytest.raises(DataError, match=message):
        of_arrays(here, content)


def test_file_that_is_no_npz_is_refused(here: Path) -> None:
    (here / "a.npz").write_text("x")
    with pytest.raises(DataError, match=r"a\.npz is no \.npz file of plain arrays"):
        declared(here, 'npz = "a.npz"')


@pytest.mark.parametrize("source", ("table", "arrays"))
def test_images_that_change_while_they_are_read_are_refused(here: Path, source: str) -> None:
    if source == "table":
        write_csv(here, rows(here))
        benchmark = declared(here, 'csv = "rows.csv"')
        write_csv(here, rows(here)[1:])
    else:
        benchmark = of_arrays(here, arrays())
        np.savez(here / "a.npz", **{k: v[1:] for k, v in arrays().items()})
    with pytest.raises(DataError, match="changed while they were read"):
        prepare(benchmark, here)


def test_validation_images_are_half_a_of_the_prepared_file(here: Path) -> None:
    benchmark = declared(here, 'root = "images"\nval = 0.2')
    data = prepared(benchmark, here)
    assert data.half_a.tolist() == [True] * 2 + [False] * 4
    assert data.half_counts.tolist() == [[1, 1], [2, 2]]
    whole = prepared(declared(here, 'root = "images"'), here)
    everything = np.concatenate([data.train_images, data.test_images[data.half_a]])
    assert pixels(everything) == pixels(whole.train_images)
    assert pixels(data.test_images[~data.half_a]) == pixels(whole.test_images)


@pytest.mark.parametrize(
    ("half_a", "message"),
    (
        (np.ones(6, bool), "no test image of some class"),
        (np.ones(5, bool), "half_a of bool and shape"),
        (np.ones(6), "half_a of float64"),
        (None, "lacks a part, .*'half_a'"),
    ),
)
def test_altered_half_a_is_refused(here: Path, half_a: Any, message: str) -> None:
    benchmark = declared(here, 'root = "images"\nval = 0.2')
    path = prepare(benchmark, here)
    with np.load(path) as archive:
        content = dict(archive) | {"half_a": half_a}
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    with pytest.raises(UserError, match=message):
        load(path, benchmark)


def test_changes_are_counted_by_folder(here: Path) -> None:
    before = declared(here, 'root = "images"\nval = 0.2')
    prepare(before, here)
    folder = here / "images" / "train" / "class0"
    shutil.copy(folder / "000.png", folder / "copy.png")
    (folder / "001.png").unlink()
    (folder / "002.png").unlink()
    shutil.copy(folder / "003.png", here / "images" / "test" / "class1" / "000.png")
    after = declared(here, 'root = "images"\nval = 0.2')
    prepare(after, here)
    changes = changed_images(after, before.data_fingerprint(), here)
    assert changes == "test/class1 (1 new, 1 gone), train/class0 (1 new, 2 gone)"
    assert changed_images(after, after.data_fingerprint(), here) is None
    assert changed_images(after, "0" * 16, here) is None
