"""The registry of benchmarks: a row each, and for own images a TOML file or a folder."""

from dataclasses import replace
from pathlib import Path

from spaces.errors import did_you_mean
from spaces.parts.words import number_of
from trainer.benchmarks.benchmark import Benchmark
from trainer.benchmarks.folder_defaults import FolderDefaults, folder_defaults
from trainer.benchmarks.toml_file import from_toml, read_benchmark
from trainer.errors import BenchmarkError
from trainer.files import is_folder, is_there
from trainer.user_files import expanded


def get_benchmark(name_or_path: str, data_root: Path) -> Benchmark:
    """The benchmark of that name, the one that a TOML file declares, or a folder's with defaults.

    `data_root` is where a relative [data] root is looked for if it is not beside the TOML file.
    Raises BenchmarkError (unknown name, bad file, class weights that cannot act) or DataError (bad
    folder of images).
    """
    if name_or_path in BENCHMARKS:
        return BENCHMARKS[name_or_path]
    if name_or_path.endswith(".toml"):
        benchmark = read_benchmark(expanded(name_or_path), data_root, BENCHMARKS)
    elif _is_folder(name_or_path):
        path = expanded(name_or_path)
        benchmark = folder_benchmark(folder_defaults(path, BENCHMARKS), path)
    else:
        raise BenchmarkError(
            f"there is no benchmark {name_or_path!r}{did_you_mean(name_or_path, BENCHMARKS)}:"
            f" choose {', '.join(BENCHMARKS)}, a path ending in .toml or a folder of images"
        )
    check_weights_act(benchmark)
    return benchmark


def _is_folder(name: str) -> bool:
    return bool(name) and is_folder(expanded(name))


def check_weights_act(benchmark: Benchmark) -> None:
    """Raise BenchmarkError where no class weights can change what is trained.

    Only the ratios of the weights within a batch count, because its loss is divided by the sum of
    its weights. They cancel in a batch of one class, so always where a batch is one image; with two
    images or more, some batches of random order hold several classes. And weights that are a
    function of the class counts are all the same where those are.
    """
    why = None
    if benchmark.batch_size == 1:
        why = "batch_size = 1: a batch's loss is divided by the sum of its weights; raise it"
    elif len(set(benchmark.counts.tolist())) == 1:
        why = (
            f"every class has {number_of(benchmark.counts[0], 'training image')}, which "
            "weighs all alike; give"
            " images in unequal numbers, or an imbalance_ratio above 1 in [data]"
        )
    if why:
        raise BenchmarkError(
            f"class weights cannot act in benchmark {benchmark.name!r}, because {why}"
        )


def folder_benchmark(defaults: FolderDefaults, root: Path) -> Benchmark:
    """The benchmark of a folder of images with these defaults. Raises as `get_benchmark` does."""
    benchmark = from_toml(defaults.content(root.absolute()), Path(), Path(), BENCHMARKS)
    assert benchmark.folder is not None
    notes = (*benchmark.folder.notes, defaults.note())
    return replace(benchmark, folder=replace(benchmark.folder, notes=notes))


def separate_names(text: str) -> list[str]:
    """The names and paths between commas; a path that exists may have commas of its own."""
    parts, names = text.split(","), []
    while parts:
        lengths = range(len(parts), 1, -1)
        length = next((n for n in lengths if is_there(expanded(",".join(parts[:n])))), 1)
        names.append(",".join(parts[:length]))
        parts = parts[length:]
    return names


def whole_path(name: str) -> str:
    """A benchmark's name as it is, and the path of a file or folder from the file system's root."""
    if name in BENCHMARKS or not (name.endswith(".toml") or _is_folder(name)):
        return name
    return str(expanded(name).absolute())


def _cifar(
    name: str,
    network: str,
    num_classes: int,
    ratio: float,
    train_images: int,
    role: str,
    noise_sd: float,
) -> Benchmark:
    ten = num_classes == 10
    return Benchmark(
        name=name,
        network=network,
        dataset=f"cifar{num_classes}",
        num_classes=num_classes,
        imbalance_ratio=ratio,
        max_count=5000 if ten else 500,
        train_images=train_images,
        resolution=32,
        channels=3,
        padding=4,
        flip=True,
        mean=(0.4914, 0.4822, 0.4465) if ten else (0.5071, 0.4867, 0.4408),
        std=(0.2023, 0.1994, 0.2010) if ten else (0.2675, 0.2565, 0.2761),
        role=role,
        noise_sd=noise_sd,
    )


def _digits(name: str, ratio: float, train_images: int, noise_sd: float) -> Benchmark:
    return Benchmark(
        name=name,
        network="resnet8",
        dataset="digits",
        num_classes=10,
        imbalance_ratio=ratio,
        max_count=118,
        train_images=train_images,
        resolution=8,
        channels=1,
        padding=1,
        flip=False,
        mean=None,
        std=None,
        epochs=40,
        batch_size=32,
        noise_sd=noise_sd,
    )


_MEMBERS = (
    _cifar("resnet32-cifar10lt", "resnet32", 10, 100.0, 12406, "public", 0.6),
    _cifar("resnet32-cifar100lt", "resnet32", 100, 100.0, 10847, "public", 1.0),
    _cifar("vgg16bn-cifar100lt", "vgg16bn", 100, 50.0, 12608, "hidden", 0.6),
    # The protocol under which most figures of training strategies are published.
    replace(
        _cifar("resnet32-cifar100lt-ldam", "resnet32", 100, 100.0, 10847, "trial", 1.0),
        weight_decay=2e-4,
        schedule="warmed_up_steps",
    ),
    # Minutes on a CPU and nothing to download: for trying things out, not for comparing. On the
    # first one no weighting is better than another that could be told; on the second, some are.
    _digits("resnet8-digitslt", 20.0, 398, 0.8),
    _digits("resnet8-digitslt40", 40.0, 340, 1.8),
)
BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in _MEMBERS}
