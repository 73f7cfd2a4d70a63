"""The registry of benchmarks: consistent rows, their fingerprints, and what is refused."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spaces.validation import checked
from trainer.benchmarks import BENCHMARKS, Benchmark, get_benchmark
from trainer.benchmarks.registry import check_weights_act, separate_names, whole_path
from trainer.errors import BenchmarkError, DataError


@pytest.mark.parametrize(
    ("name", "images", "head", "tail", "noise_sd"),
    (
        ("resnet32-cifar10lt", 12406, 5000, 50, 0.6),
        ("resnet32-cifar100lt", 10847, 500, 5, 1.0),
        ("vgg16bn-cifar100lt", 12608, 500, 10, 0.6),
    ),
)
def test_leaderboard_benchmarks_follow_the_protocol(
    name: str, images: int, head: int, tail: int, noise_sd: float
) -> None:
    benchmark = get_benchmark(name, Path())
    assert (benchmark.train_images, benchmark.counts[0], benchmark.counts[-1]) == (
        images,
        head,
        tail,
    )
    assert (benchmark.epochs, benchmark.batch_size, benchmark.learning_rate) == (200, 128, 0.1)
    assert (benchmark.momentum, benchmark.weight_decay, benchmark.padding) == (0.9, 5e-4, 4)
    assert benchmark.noise_sd == noise_sd


@pytest.mark.parametrize(
    ("name", "fingerprint", "data_fingerprint"),
    (
        ("resnet32-cifar10lt", "311940c812332082", "cc57551faf33cb74"),
        ("resnet32-cifar100lt", "959a85ad2cfe4960", "aaafa58725307609"),
        ("vgg16bn-cifar100lt", "25bdc7438d30b5c7", "d32caf24542e89aa"),
        ("resnet32-cifar100lt-ldam", "24f1945d5a09a3de", "aaafa58725307609"),
        ("resnet8-digitslt", "f53f359fe3c2d8a2", "f73642c0a20277c1"),
        ("resnet8-digitslt40", "9054e4595b0a2c01", "2727037a06cbc1bc"),
    ),
)
def test_fingerprints_are_those_of_runs_and_tables_on_record(
    name: str, fingerprint: str, data_fingerprint: str
) -> None:
    benchmark = BENCHMARKS[name]
    assert benchmark.fingerprint() == fingerprint
    assert benchmark.data_fingerprint() == data_fingerprint


def test_data_fingerprint_depends_on_the_data_alone() -> None:
    base = BENCHMARKS["resnet32-cifar100lt"]
    other_training = dataclasses.replace(base, network="vgg16bn", batch_size=64, name="x")
    other_data = dataclasses.replace(base, subset_seed=1)
    assert other_training.data_fingerprint() == base.data_fingerprint()
    assert other_training.fingerprint() != base.fingerprint()
    assert other_data.data_fingerprint() != base.data_fingerprint()
    held_out = dataclasses.replace(base, test_held_out=True)
    assert held_out.data_fingerprint() != base.data_fingerprint()
    assert held_out.fingerprint() != base.fingerprint()
    other_metric = dataclasses.replace(base, metric="macro_f1")
    assert other_metric.data_fingerprint() == base.data_fingerprint()
    assert other_metric.fingerprint() != base.fingerprint()


@pytest.mark.parametrize(
    ("changes", "reason"),
    (
        ({"batch_size": 1}, "batch_size = 1: .*; raise it"),
        ({"imbalance_ratio": 1.0}, "every class has 118 training images, .* imbalance_ratio above"),
    ),
)
def test_a_benchmark_whose_class_weights_cannot_act_is_refused(
    changes: dict[str, Any], reason: str
) -> None:
    benchmark = dataclasses.replace(BENCHMARKS["resnet8-digitslt"], **changes)
    with pytest.raises(BenchmarkError, match=f"class weights cannot act .* {reason}"):
        check_weights_act(benchmark)


def test_class_weights_act_in_all_benchmarks_there_are() -> None:
    for benchmark in BENCHMARKS.values():
        check_weights_act(benchmark)
    check_weights_act(dataclasses.replace(BENCHMARKS["resnet8-digitslt"], batch_size=2))


@pytest.mark.parametrize(("key", "value"), (("name", "x"), ("role", "hidden"), ("noise_sd", 0.4)))
def test_what_does_not_change_training_changes_no_fingerprint(key: str, value: object) -> None:
    base = BENCHMARKS["resnet8-digitslt"]
    other = dataclasses.replace(base, **{key: value})  # type: ignore[arg-type]
    assert other.fingerprint() == base.fingerprint()
    assert other.to_dict()[key] == value


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


def test_folder_is_a_benchmark_with_stated_defaults(
    tmp_path: Path, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder(tmp_path / "my cats, dogs", (20, 5), size=(40, 33))
    benchmark = get_benchmark(str(root), Path())
    assert (benchmark.name, benchmark.network, benchmark.resolution, benchmark.batch_size) == (
        "my-cats-dogs",
        "resnet8",
        32,
        32,
    )
    assert benchmark.notes()[-1] == (
        "chosen: resnet8 at 32 pixels, batches of 32 (of 25 training images, the median one's"
        " shorter side is 33 pixels long)"
    )
    monkeypatch.setattr("trainer.benchmarks.folder_defaults.MANY_IMAGES", 25)
    benchmark = get_benchmark(str(root), Path())
    assert (benchmark.network, benchmark.batch_size) == ("resnet32", 128)


def test_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match=r"train cannot be read \(No such file"):
        get_benchmark(str(tmp_path), Path())


def test_commas_of_a_path_that_exists_do_not_separate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a,b", "a,b,c", "d"):
        Path(name).mkdir()
    assert separate_names("x,a,b,d,y") == ["x", "a,b", "d", "y"]
    assert separate_names("a,b,c,d") == ["a,b,c", "d"]
    assert separate_names("x,y") == ["x", "y"]
    many = [f"a-benchmark-of-mine-{number}.toml" for number in range(10)]
    assert separate_names(",".join(many)) == many  # together too long for one name
    assert [whole_path(name) for name in ("a,b", "resnet8-digitslt", "x", "mine.toml")] == [
        str(tmp_path / "a,b"),
        "resnet8-digitslt",
        "x",
        str(tmp_path / "mine.toml"),
    ]


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
        ("noise_sd", 0.0),
        ("noise_sd", float("inf")),
        ("noise_sd", float("nan")),
        ("imbalance_ratio", 0.5),
        ("metric", "balanced"),
    ),
)
def test_value_out_of_range_is_refused(key: str, value: object) -> None:
    fields = vars(BENCHMARKS["resnet8-digitslt"])
    with pytest.raises(BenchmarkError, match=rf"^{key} is .*; it must be"):
        checked(Benchmark, fields | {key: value}, error=BenchmarkError)


@pytest.mark.parametrize(
    ("field", "changes"),
    (
        ("max_count", {"max_count": None}),
        ("max_count", {"imbalance_ratio": None}),
        ("imbalance_ratio", {"imbalance_ratio": None, "max_count": None}),
        ("folder", {"dataset": "folder"}),
        ("std", {"mean": (0.5,)}),
        ("num_classes", {"num_classes": 100_001}),
    ),
)
def test_fields_that_do_not_agree_are_refused(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(BenchmarkError, match=rf"^{field} is .* in benchmark .*; it must be"):
        dataclasses.replace(BENCHMARKS["resnet8-digitslt"], **changes)


def test_mean_of_other_channels_is_refused() -> None:
    with pytest.raises(BenchmarkError, match=r"mean is .* must be 3 numbers, one for each channel"):
        dataclasses.replace(BENCHMARKS["resnet32-cifar10lt"], mean=(0.5,), std=(0.5,))
