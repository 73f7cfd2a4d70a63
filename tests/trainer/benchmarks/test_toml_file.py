"""Benchmarks read from TOML files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from spaces.errors import UserError
from trainer.benchmarks import Benchmark, get_benchmark
from trainer.errors import BenchmarkError, DataError

MakeFolder = Callable[..., Path]
HEAD = 'name = "mine"\nnetwork = "resnet8"\nresolution = 8\n'
DATA = '[data]\nroot = "images"\n'


def read(folder: Path, text: str) -> Benchmark:
    (folder / "mine.toml").write_text(text)
    return get_benchmark(str(folder / "mine.toml"), folder / "elsewhere")


@pytest.fixture
def beside(tmp_path: Path, make_folder: MakeFolder) -> Path:
    """A folder that holds `images`, with classes of 9, 20 and 9 images."""
    make_folder(tmp_path / "images", (9, 20, 9))
    return tmp_path


def test_toml_needs_few_keys_and_keeps_natural_counts(beside: Path) -> None:
    benchmark = read(beside, HEAD + DATA)
    assert benchmark.counts.tolist() == [9, 20, 9]
    assert (benchmark.num_classes, benchmark.train_images) == (3, 38)
    assert (benchmark.padding, benchmark.flip, benchmark.mean) == (1, True, None)
    assert (benchmark.imbalance_ratio, benchmark.max_count) == (None, None)
    assert benchmark.noise_sd is None
    assert str(beside) not in json.dumps(benchmark.to_dict())


def test_toml_sets_every_key(beside: Path) -> None:
    settings = (
        "epochs = 3\nbatch_size = 4\nlearning_rate = 1\nmomentum = 0.5\nweight_decay = 0\n"
        "padding = 2\nflip = false\nmean = [0, 0.5, 1]\nstd = [0.1, 0.2, 0.3]\n"
        'noise_sd = 0.7\nmetric = "worst_class"\n'
    )
    benchmark = read(beside, HEAD + settings + DATA + 'train = "train"\ntest = "test"\n')
    assert (benchmark.epochs, benchmark.batch_size, benchmark.learning_rate) == (3, 4, 1.0)
    assert (benchmark.momentum, benchmark.weight_decay, benchmark.padding) == (0.5, 0.0, 2)
    assert (benchmark.flip, benchmark.mean) == (False, (0.0, 0.5, 1.0))
    assert (benchmark.noise_sd, benchmark.metric) == (0.7, "worst_class")


def test_the_metric_is_fair_to_every_class_unless_the_file_says_otherwise(
    beside: Path, make_folder: MakeFolder
) -> None:
    assert read(beside, HEAD + DATA).metric == "accuracy"
    (beside / "images" / "test" / "class1" / "001.png").unlink()
    assert read(beside, HEAD + DATA).metric == "balanced_accuracy"
    assert read(beside, HEAD + 'metric = "accuracy"\n' + DATA).metric == "accuracy"


def test_imposed_ratio_takes_the_largest_long_tail_that_fits(beside: Path) -> None:
    benchmark = read(beside, HEAD + DATA + "imbalance_ratio = 4\n")
    # The second class by rank, with 9 images, binds: 19 * (1 / 4) ** 0.5 is 9.5.
    assert (benchmark.max_count, benchmark.imbalance_ratio) == (19, 4.0)
    assert benchmark.counts.tolist() == [9, 19, 4]


def test_relative_root_is_looked_for_in_the_data_root_too(
    beside: Path, make_folder: MakeFolder
) -> None:
    make_folder(beside / "elsewhere" / "others", (3, 2))
    benchmark = read(beside, HEAD + '[data]\nroot = "others"\n')
    assert benchmark.folder is not None
    assert benchmark.folder.root == beside / "elsewhere" / "others"


def test_root_is_absolute_even_from_a_relative_path(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (beside / "mine.toml").write_text(HEAD + DATA)
    monkeypatch.chdir(beside)
    benchmark = get_benchmark("mine.toml", Path("data"))
    assert benchmark.folder is not None
    assert benchmark.folder.root.is_absolute()


def test_moved_folder_keeps_its_fingerprint_and_an_edited_one_does_not(beside: Path) -> None:
    before = read(beside, HEAD + DATA)
    (beside / "images").rename(beside / "moved")
    moved = read(beside, HEAD + DATA.replace("images", "moved"))
    assert moved.fingerprint() == before.fingerprint()
    shutil.copy(
        beside / "moved" / "train" / "class1" / "000.png",
        beside / "moved" / "train" / "class0" / "000.png",
    )
    edited = read(beside, HEAD + DATA.replace("images", "moved"))
    assert edited.data_fingerprint() != before.data_fingerprint()
    assert edited.fingerprint() != before.fingerprint()


@pytest.mark.parametrize(
    ("text", "message"),
    (
        ("name = ", "is not a TOML file"),
        (f"epochs = {'1' * 5000}", "is not a TOML file"),
        (f"epochs = {'[' * 100_000}", "is not a TOML file"),
        (HEAD, "data is missing; add a table of keys and values"),
        (HEAD + "[data]\n", "no place of the images: give one of root, csv, parquet, npz"),
        (HEAD + DATA + "npz = 'a.npz'\n", "has root and npz: give one of root, csv"),
        (HEAD + "[data]\nroot = ''\n", "root: the path '' is empty; give one"),
        (
            HEAD + DATA + "val = 1.0\n",
            "data.val is 1.0; it must be a share of at least 0",
        ),
        (
            HEAD + DATA + "val = -0.1\n",
            "data.val is -0.1; it must be a share of at least 0",
        ),
        (
            HEAD + DATA + "val = true\n",
            "data.val is True; it must be a share .* or a folder in",
        ),
        (HEAD + DATA + "val = './test'\n", "test = 'test' must be another folder than val"),
        (HEAD + "[data]\ncsv = 'rows.csv'\ntest = 'x'\n", "test = 'x' names a folder, but the"),
        (HEAD + "[data]\nparquet = 'rows.csv'\n", "'rows.csv' must end in .parquet, or be"),
        (HEAD + "epoch = 3\n" + DATA, "epoch is not known .did you mean 'epochs'"),
        (HEAD + DATA + "tset = 'x'\n", "data.tset is not known .did you mean 'test'"),
        (HEAD + "epochs = 2.5\n" + DATA, "epochs is 2.5; it must be a whole number"),
        (HEAD + "epochs = true\n" + DATA, "epochs is True; it must be a whole number"),
        (HEAD + "flip = 1\n" + DATA, "flip is 1; it must be true or false"),
        (HEAD + "momentum = '0.9'\n" + DATA, "momentum is '0.9'; it must be a number"),
        (HEAD + "mean = ['x']\n" + DATA, r"mean\[0\] is 'x'; it must be a number"),
        (HEAD + "mean = [0.5, 0.5, 0.5]\n" + DATA, "std is None .* must be given exactly when"),
        (HEAD + "epochs = 2020-01-01\n" + DATA, r"epochs is datetime.date\(2020, 1, 1\); it must"),
        (HEAD + "data = 3\n", "data is 3; it must be a table"),
        (HEAD + "epochs = 0\n" + DATA, "epochs is 0; it must be at least 1"),
        (HEAD + "epochs = 1000001\n" + DATA, "epochs is 1000001; it must be at most 1000000"),
        (HEAD.replace("= 8", "= 10001") + DATA, "resolution is 10001; it must be at most 10000"),
        (HEAD + "learning_rate = 1e308\n" + DATA, r"rate is 1e\+308; it must be at most 1000000"),
        (HEAD + "weight_decay = 1e39\n" + DATA, r"decay is 1e\+39; it must be at most 1000000"),
        (HEAD.replace("resnet8", "resnet9") + DATA, "did you mean 'resnet8'"),
        (HEAD + "metric = 'balanced_acc'\n" + DATA, "did you mean 'balanced_accuracy'.* macro_f1"),
        (HEAD.replace("mine", "../mine") + DATA, "name is '../mine'; it must be at most 200"),
        (HEAD.replace("mine", "m" * 201) + DATA, "...; it must be at most 200 letters, digits"),
        (HEAD.replace("mine", "resnet8-digitslt") + DATA, "taken by a built-in benchmark"),
        (HEAD + DATA + "test = 'train'\n", "another folder than train"),
        (
            HEAD + DATA + "imbalance_ratio = 0.5\n",
            "ratio is 0.5; it must be at least 1",
        ),
        (HEAD + DATA + "imbalance_ratio = 49\n", "imbalance_ratio = 49 .* lower it"),
        (
            HEAD + DATA + "imbalance_ratio = nan\n",
            "ratio is nan; it must be a finite number",
        ),
    ),
)
def test_faulty_toml_is_refused(beside: Path, text: str, message: str) -> None:
    (beside / "rows.csv").write_text("path,label")
    with pytest.raises(BenchmarkError, match=message) as error:
        read(beside, text)
    assert str(beside / "mine.toml") in str(error.value)


def test_missing_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.toml cannot be read"):
        get_benchmark(str(tmp_path / "none.toml"), tmp_path)


def test_toml_of_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes("# h\u00e4\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"mine\.toml is not text in UTF-8"):
        get_benchmark(str(tmp_path / "mine.toml"), tmp_path)


@pytest.mark.parametrize("encoding", ("utf-8-sig", "utf-16"))
def test_toml_that_windows_saved_is_read(beside: Path, encoding: str) -> None:
    expected = read(beside, HEAD + DATA)
    content = (HEAD + DATA).replace("\n", "\r\n").encode(encoding)
    (beside / "mine.toml").write_bytes(content)
    assert get_benchmark(str(beside / "mine.toml"), beside) == expected


@pytest.mark.parametrize("name", ("~/images", "$IMAGES_HERE/images", "${IMAGES_HERE}/images"))
def test_home_and_variables_in_paths_are_replaced(
    beside: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(beside))
    monkeypatch.setenv("IMAGES_HERE", str(beside))
    text = HEAD + DATA.replace("images", name)
    folder = read(beside, text).folder
    assert folder is not None
    assert folder.root == beside / "images"
    (beside / "toml").mkdir()
    (beside / "mine.toml").rename(beside / "toml" / "mine.toml")
    assert get_benchmark(name.replace("images", "toml/mine.toml"), beside).folder == folder


def test_share_for_validation_holds_the_test_images_out(beside: Path) -> None:
    assert not read(beside, HEAD + DATA).test_held_out
    assert read(beside, HEAD + DATA).chosen_on == "test"
    benchmark = read(beside, HEAD + DATA + "val = 0.2\nimbalance_ratio = 4\n")
    assert (benchmark.test_held_out, benchmark.chosen_on) == (True, "validation")
    assert benchmark.metric == "balanced_accuracy"
    assert benchmark.counts.tolist() == [7, 15, 3]
    assert benchmark.notes()[-1] == (
        "imbalance_ratio = 4 keeps 25 of the training images (15 to 3 a class)"
    )


def test_without_test_images_the_validation_images_choose_and_report(beside: Path) -> None:
    shutil.rmtree(beside / "images" / "test")
    benchmark = read(beside, HEAD + DATA)
    assert (benchmark.test_held_out, benchmark.chosen_on) == (False, "validation")
    assert benchmark.folder is not None
    assert (benchmark.folder.val, benchmark.folder.test) == (0.2, None)


def test_missing_folder_names_both_places(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder of images 'images'") as error:
        read(tmp_path, HEAD + DATA)
    assert str(tmp_path / "elsewhere" / "images") in str(error.value)
