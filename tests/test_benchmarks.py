"""The registry of benchmarks, and benchmarks read from TOML files."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.errors import BenchmarkError, DataError
from trainer.models import NETWORKS

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


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=list(BENCHMARKS))
def test_every_benchmark_is_consistent(benchmark: Benchmark) -> None:
    assert benchmark.counts.sum() == benchmark.train_images
    assert benchmark.counts[0] == benchmark.max_count
    assert len(benchmark.counts) == benchmark.num_classes
    assert benchmark.network in NETWORKS
    assert json.loads(json.dumps(benchmark.to_dict())) == benchmark.to_dict()


@pytest.mark.parametrize(
    ("name", "images", "head", "tail"),
    (
        ("resnet32-cifar10lt", 12406, 5000, 50),
        ("resnet32-cifar100lt", 10847, 500, 5),
        ("vgg16bn-cifar100lt", 12608, 500, 10),
    ),
)
def test_leaderboard_benchmarks_follow_the_protocol(
    name: str, images: int, head: int, tail: int
) -> None:
    benchmark = get_benchmark(name, Path())
    assert (benchmark.train_images, benchmark.counts[0], benchmark.counts[-1]) == (
        images,
        head,
        tail,
    )
    assert (benchmark.epochs, benchmark.batch_size, benchmark.learning_rate) == (200, 128, 0.1)
    assert (benchmark.momentum, benchmark.weight_decay, benchmark.padding) == (0.9, 5e-4, 4)


def test_fingerprints_tell_all_benchmarks_apart() -> None:
    assert len({benchmark.fingerprint() for benchmark in BENCHMARKS.values()}) == len(BENCHMARKS)


def test_data_fingerprint_depends_on_the_data_alone() -> None:
    base = BENCHMARKS["resnet32-cifar100lt"]
    other_training = dataclasses.replace(base, network="vgg16bn", batch_size=64, name="x")
    other_data = dataclasses.replace(base, subset_seed=1)
    assert other_training.data_fingerprint() == base.data_fingerprint()
    assert other_training.fingerprint() != base.fingerprint()
    assert other_data.data_fingerprint() != base.data_fingerprint()


def test_renaming_changes_no_fingerprint() -> None:
    base = BENCHMARKS["resnet8-digitslt"]
    assert dataclasses.replace(base, name="x").fingerprint() == base.fingerprint()


def test_shortened_benchmark_says_so_and_differs() -> None:
    base = BENCHMARKS["resnet32-cifar10lt"]
    short = base.with_epochs(2)
    assert (short.epochs, short.shortened_from) == (2, 200)
    assert short.protocol_note() == "2 of 200 epochs (shortened)"
    assert short.fingerprint() != base.fingerprint()
    assert short.data_fingerprint() == base.data_fingerprint()
    assert short.with_epochs(200) == base
    assert base.protocol_note() == "full protocol of 200 epochs"


@pytest.mark.parametrize("epochs", (0, 201))
def test_epochs_outside_the_protocol_are_refused(epochs: int) -> None:
    with pytest.raises(BenchmarkError, match="between 1 and the 200"):
        BENCHMARKS["resnet32-cifar10lt"].with_epochs(epochs)


def test_unknown_name_is_answered_with_a_suggestion_and_the_list() -> None:
    with pytest.raises(BenchmarkError, match="did you mean 'resnet32-cifar10lt'") as error:
        get_benchmark("resnet32-cifar10-lt", Path())
    assert all(name in str(error.value) for name in BENCHMARKS)


@pytest.mark.parametrize(
    ("key", "value"),
    (
        ("name", ".hidden"),
        ("name", "a/b"),
        ("dataset", "mnist"),
        ("role", "secret"),
        ("num_classes", 1),
        ("resolution", 0),
        ("batch_size", 0),
        ("epochs", 0),
        ("padding", -1),
        ("padding", 9),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("weight_decay", float("inf")),
        ("imbalance_ratio", 0.5),
        ("imbalance_ratio", None),
        ("max_count", None),
        ("dataset", "folder"),
        ("mean", (0.5,)),
    ),
)
def test_value_out_of_range_is_refused(key: str, value: object) -> None:
    with pytest.raises(BenchmarkError, match="must be"):
        dataclasses.replace(BENCHMARKS["resnet8-digitslt"], **{key: value})  # type: ignore[arg-type]


def test_mean_of_other_channels_is_refused() -> None:
    with pytest.raises(BenchmarkError, match=r"mean = .* must be 3 numbers in 0\.\.1"):
        dataclasses.replace(BENCHMARKS["resnet32-cifar10lt"], mean=(0.5,), std=(0.5,))


def test_toml_needs_few_keys_and_keeps_natural_counts(beside: Path) -> None:
    benchmark = read(beside, HEAD + DATA)
    assert benchmark.counts.tolist() == [9, 20, 9]
    assert (benchmark.num_classes, benchmark.train_images) == (3, 38)
    assert (benchmark.padding, benchmark.flip, benchmark.mean) == (1, True, None)
    assert (benchmark.imbalance_ratio, benchmark.max_count) == (None, None)
    assert str(beside) not in json.dumps(benchmark.to_dict())


def test_toml_sets_every_key(beside: Path) -> None:
    settings = (
        "epochs = 3\nbatch_size = 4\nlearning_rate = 1\nmomentum = 0.5\nweight_decay = 0\n"
        "padding = 2\nflip = false\nmean = [0, 0.5, 1]\nstd = [0.1, 0.2, 0.3]\n"
    )
    benchmark = read(beside, HEAD + settings + DATA + 'train = "train"\ntest = "test"\n')
    assert (benchmark.epochs, benchmark.batch_size, benchmark.learning_rate) == (3, 4, 1.0)
    assert (benchmark.momentum, benchmark.weight_decay, benchmark.padding) == (0.5, 0.0, 2)
    assert (benchmark.flip, benchmark.mean) == (False, (0.0, 0.5, 1.0))


def test_imposed_ratio_takes_the_largest_long_tail_that_fits(beside: Path) -> None:
    benchmark = read(beside, HEAD + DATA + "imbalance_ratio = 4\n")
    # The second class by rank, with 9 images, binds: 19 * (1 / 4) ** 0.5 is 9.5.
    assert (benchmark.max_count, benchmark.imbalance_ratio) == (19, 4.0)
    assert benchmark.counts.tolist() == [9, 19, 4]


def test_relative_root_is_looked_for_in_the_data_root_too(
    beside: Path, make_folder: MakeFolder
) -> None:
    make_folder(beside / "elsewhere" / "others", (2, 2))
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
    os.utime(beside / "moved" / "train" / "class0" / "000.png", ns=(1, 1))
    edited = read(beside, HEAD + DATA.replace("images", "moved"))
    assert edited.data_fingerprint() != before.data_fingerprint()
    assert edited.fingerprint() != before.fingerprint()


@pytest.mark.parametrize(
    ("text", "message"),
    (
        ("name = ", "is not a TOML file"),
        (HEAD, "lacks the key 'data'"),
        (HEAD + "[data]\n", "lacks the key 'root'"),
        (HEAD + "epoch = 3\n" + DATA, "unknown key 'epoch' .did you mean 'epochs'"),
        (HEAD + DATA + "tset = 'x'\n", "unknown key 'tset' .did you mean 'test'"),
        (HEAD + "epochs = 2.5\n" + DATA, "epochs = 2.5 must be a whole number"),
        (HEAD + "epochs = true\n" + DATA, "epochs = True must be a whole number"),
        (HEAD + "flip = 1\n" + DATA, "flip = 1 must be true or false"),
        (HEAD + "momentum = '0.9'\n" + DATA, "momentum = '0.9' must be a number"),
        (HEAD + "mean = ['x']\n" + DATA, "mean = .* must be a list of numbers"),
        (HEAD + "mean = [0.5, 0.5, 0.5]\n" + DATA, "std = None .* must be given exactly when"),
        (HEAD + "data = 3\n", "data = 3 must be a table"),
        (HEAD + "epochs = 0\n" + DATA, "epochs = 0 .* must be at least 1"),
        (HEAD.replace("resnet8", "resnet9") + DATA, "did you mean 'resnet8'"),
        (HEAD.replace("mine", "../mine") + DATA, "name = '../mine'"),
        (HEAD.replace("mine", "resnet8-digitslt") + DATA, "taken by a built-in benchmark"),
        (HEAD + DATA + "test = 'train'\n", "another folder than train"),
        (HEAD + DATA + "imbalance_ratio = 0.5\n", "imbalance_ratio = 0.5 must be at least 1"),
        (HEAD + DATA + "imbalance_ratio = 49\n", "imbalance_ratio = 49 .* lower it"),
        (HEAD + DATA + "imbalance_ratio = nan\n", "imbalance_ratio = nan must be at least 1"),
    ),
)
def test_faulty_toml_is_refused(beside: Path, text: str, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message) as error:
        read(beside, text)
    assert str(beside / "mine.toml") in str(error.value)


def test_missing_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"none\.toml cannot be read"):
        get_benchmark(str(tmp_path / "none.toml"), tmp_path)


def test_toml_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchmarkError, match="is not a TOML file"):
        get_benchmark(str(tmp_path / "binary.toml"), tmp_path)


def test_missing_folder_names_both_places(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder of images 'images'") as error:
        read(tmp_path, HEAD + DATA)
    assert str(tmp_path / "elsewhere" / "images") in str(error.value)
