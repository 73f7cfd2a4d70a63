"""What is trained: network, data set, long tail and fixed protocol, as one frozen row each.

A user's own images are a row too, read from a TOML file; examples/cifar10lt-folder.toml shows
every key.
"""

import dataclasses
import difflib
import hashlib
import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.errors import BenchmarkError, DataError
from trainer.longtail import largest_max_count, long_tail_counts, ranked_counts
from trainer.sources import SOURCES, FolderSpec, scan_folder

PREPARED_FORMAT = 1  # of the file that data.prepare writes; a new layout gets a new number
SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
ROLES = ("public", "hidden", "trial")


@dataclass(frozen=True)
class Benchmark:
    """A network on long-tailed images under a fixed protocol: nothing in it is searched.

    Raises BenchmarkError, naming key, value and rule, for a value out of range.

    Attributes:
        network: a key of models.NETWORKS.
        dataset: a key of sources.SOURCES.
        imbalance_ratio: largest over smallest class count, imposed; None keeps a folder's images
            as they are.
        max_count: images of the most frequent class; None exactly when imbalance_ratio is.
        train_images: N, which the prepared data must have.
        padding: pixels of zeros around an image, before the random crop.
        flip: whether training mirrors images at random.
        mean, std: per channel, of pixels scaled to 0..1; None measures the training images.
        epochs: length of the training and of its cosine schedule.
        subset_seed: which images are kept; it belongs to the benchmark, not to a trial.
        folder: where the images of data set "folder" are, and None for all others.
        role: "public" or "hidden" (to be judged on once, at the end) on the
            leaderboard; "trial" for what is on none.
        shortened_from: the protocol's epochs if `epochs` are fewer, else None.
    """

    name: str
    network: str
    dataset: str
    num_classes: int
    imbalance_ratio: float | None
    max_count: int | None
    train_images: int
    resolution: int
    channels: int
    padding: int
    flip: bool
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    epochs: int = 200
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    subset_seed: int = 0
    folder: FolderSpec | None = None
    role: str = "trial"
    shortened_from: int | None = None

    def __post_init__(self) -> None:
        for key, holds, rule in self._rules():
            if not holds:
                raise BenchmarkError(
                    f"{key} = {getattr(self, key)!r} in benchmark {self.name!r} must be {rule}"
                )

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        """Each field's name, whether its value keeps the rule, and the rule."""
        safe = SAFE_NAME.fullmatch(self.name) is not None
        yield "name", safe, "letters, digits, '.', '_' and '-', not starting with '.'"
        yield "dataset", self.dataset in SOURCES, f"one of {', '.join(SOURCES)}"
        yield "role", self.role in ROLES, f"one of {', '.join(ROLES)}"
        yield "num_classes", self.num_classes >= 2, "at least 2"
        for key in ("resolution", "channels", "epochs", "batch_size", "train_images"):
            yield key, getattr(self, key) >= 1, "at least 1"
        yield "padding", 0 <= self.padding <= self.resolution, "between 0 and the resolution"
        yield "learning_rate", 0 < self.learning_rate < math.inf, "above 0 and finite"
        yield "momentum", 0 <= self.momentum < 1, "at least 0 and below 1"
        yield "weight_decay", 0 <= self.weight_decay < math.inf, "at least 0 and finite"
        ratio = self.imbalance_ratio
        yield "imbalance_ratio", ratio is None or 1 <= ratio < math.inf, "at least 1 and finite"
        both = (self.max_count is None) == (ratio is None)
        yield "max_count", both, "given exactly when imbalance_ratio is"
        is_folder = self.dataset == "folder"
        yield "folder", (self.folder is not None) == is_folder, 'given for data set "folder" only'
        yield "imbalance_ratio", is_folder or ratio is not None, "given"
        yield "std", (self.mean is None) == (self.std is None), "given exactly when mean is"
        yield "mean", self._per_channel(self.mean, 0.0), f"{self.channels} numbers in 0..1"
        yield "std", self._per_channel(self.std, 1e-6), f"{self.channels} numbers in 1e-6..1"

    def _per_channel(self, values: tuple[float, ...] | None, low: float) -> bool:
        if values is None:
            return True
        return len(values) == self.channels and all(low <= value <= 1 for value in values)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Training images of each class, int64 (num_classes,), in label order.

        Known before any image is read. A folder's labels follow the names, so its counts need
        not fall from class to class.
        """
        if self.imbalance_ratio is None or self.max_count is None:
            assert self.folder is not None
            return np.array(self.folder.train_counts, dtype=np.int64)
        if self.folder is None:
            return long_tail_counts(self.max_count, self.imbalance_ratio, self.num_classes)
        return ranked_counts(self.folder.train_counts, self.max_count, self.imbalance_ratio)

    def to_dict(self) -> dict[str, Any]:
        """Every field as JSON-able values, for the story of a result.

        A folder appears without its place on this machine.
        """
        fields = dataclasses.asdict(self)
        if self.folder is not None:
            del fields["folder"]["root"]
        content: dict[str, Any] = json.loads(json.dumps(fields))
        return content

    def fingerprint(self) -> str:
        """16 hex digits over everything that defines training, the data included."""
        fields = self.to_dict()
        del fields["name"], fields["role"]
        return _digest(fields)

    def data_fingerprint(self) -> str:
        """16 hex digits over what defines the prepared file, so benchmarks can share one."""
        fields = self.to_dict()
        content = {key: fields[key] for key in _DATA_FIELDS}
        return _digest(content | {"format": PREPARED_FORMAT})

    def with_epochs(self, epochs: int) -> "Benchmark":
        """A copy shortened to `epochs`, schedule included; its results say so."""
        full = self.shortened_from or self.epochs
        if not 1 <= epochs <= full:
            raise BenchmarkError(
                f"epochs = {epochs} must be between 1 and the {full} of benchmark {self.name!r}"
            )
        shortened_from = None if epochs == full else full
        return dataclasses.replace(self, epochs=epochs, shortened_from=shortened_from)

    def protocol_note(self) -> str:
        """How much of the protocol a result covers, such as "2 of 200 epochs (shortened)"."""
        if self.shortened_from is None:
            return f"full protocol of {self.epochs} epochs"
        return f"{self.epochs} of {self.shortened_from} epochs (shortened)"


_DATA_FIELDS = (
    "dataset",
    "num_classes",
    "imbalance_ratio",
    "max_count",
    "resolution",
    "channels",
    "mean",
    "std",
    "subset_seed",
    "folder",
)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def get_benchmark(name_or_path: str, data_root: Path) -> Benchmark:
    """The benchmark of that name, or the one that a TOML file declares.

    `data_root` is where a relative [data] root is looked for if it is not beside the TOML file.
    Raises BenchmarkError (unknown name, bad file) or DataError (bad folder of images).
    """
    if name_or_path in BENCHMARKS:
        return BENCHMARKS[name_or_path]
    if name_or_path.endswith(".toml"):
        return _read_toml(Path(name_or_path), data_root)
    raise BenchmarkError(
        f"there is no benchmark {name_or_path!r}{_suggestion(name_or_path, BENCHMARKS)}: choose"
        f" {', '.join(BENCHMARKS)} or a path ending in .toml"
    )


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


_TOP_KEYS: dict[str, type] = {
    "name": str,
    "network": str,
    "resolution": int,
    "epochs": int,
    "batch_size": int,
    "learning_rate": float,
    "momentum": float,
    "weight_decay": float,
    "padding": int,
    "flip": bool,
    "mean": tuple,
    "std": tuple,
    "data": dict,
}
_DATA_KEYS: dict[str, type] = {"root": str, "train": str, "test": str, "imbalance_ratio": float}
_TYPE_WORDS = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list of numbers, such as [0.5, 0.5, 0.5]",
    dict: "a table, started by a line [data]",
}


def _read_toml(path: Path, data_root: Path) -> Benchmark:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(
            f"{path} cannot be read ({error.strerror}): give the path of a benchmark's TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path} is not a TOML file ({error}): mend that line") from error
    try:
        return _from_toml(content, path.parent, data_root)
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from error


def _from_toml(content: dict[str, Any], beside: Path, data_root: Path) -> Benchmark:
    fields = _typed(content, _TOP_KEYS, ("name", "network", "resolution", "data"), "the top level")
    data = _typed(fields.pop("data"), _DATA_KEYS, ("root",), "[data]")
    _check_names(fields["name"], fields["network"])
    _check_resolution(fields["resolution"], fields["network"])
    folder = _find_folder(data, beside, data_root)
    counts, ratio = folder.train_counts, data.get("imbalance_ratio")
    max_count = None if ratio is None else _largest_long_tail(folder, ratio)
    if ratio is not None and max_count is not None:
        counts = tuple(ranked_counts(counts, max_count, ratio).tolist())
    defaults = {"padding": fields["resolution"] // 8, "flip": True, "mean": None, "std": None}
    return Benchmark(
        **(defaults | fields),
        dataset="folder",
        num_classes=len(folder.class_names),
        imbalance_ratio=ratio,
        max_count=max_count,
        train_images=sum(counts),
        channels=3,
        folder=folder,
    )


def _typed(
    table: dict[str, Any], kinds: dict[str, type], required: tuple[str, ...], where: str
) -> dict[str, Any]:
    """The values of a TOML table, each of its declared type and no key unknown or missing."""
    for key in table:
        if key not in kinds:
            raise BenchmarkError(
                f"{where} has an unknown key {key!r}{_suggestion(key, kinds)}: its keys are"
                f" {', '.join(kinds)}"
            )
    for key in required:
        if key not in table:
            raise BenchmarkError(f"{where} lacks the key {key!r}: add {_TYPE_WORDS[kinds[key]]}")
    return {key: _convert(key, value, kinds[key]) for key, value in table.items()}


def _convert(key: str, value: Any, kind: type) -> Any:
    if kind is float and _is_number(value):
        return float(value)
    if kind is tuple and isinstance(value, list) and all(map(_is_number, value)):
        return tuple(map(float, value))
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise BenchmarkError(f"{key} = {value!r} must be {_TYPE_WORDS[kind]}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_names(name: str, network: str) -> None:
    # Imported here: models needs torch, which takes seconds that a list of names need not cost.
    from trainer.models import NETWORKS

    if name in BENCHMARKS:
        raise BenchmarkError(f"name = {name!r} is taken by a built-in benchmark: choose another")
    if network not in NETWORKS:
        raise BenchmarkError(
            f"network = {network!r}{_suggestion(network, NETWORKS)} must be one of"
            f" {', '.join(NETWORKS)}"
        )


def _check_resolution(resolution: int, network: str) -> None:
    from trainer.models import NETWORKS  # here for the reason given in _check_names

    smallest = NETWORKS[network].min_resolution
    if resolution < smallest:
        raise BenchmarkError(
            f"resolution = {resolution} must be at least {smallest} for network {network!r}: raise"
            " it or choose another network"
        )


def _find_folder(data: dict[str, Any], beside: Path, data_root: Path) -> FolderSpec:
    """Find [data] root: absolute, else beside the TOML file, else in the data root."""
    places = [(place / data["root"]).absolute() for place in (beside, data_root)]
    root = next((place for place in places if place.is_dir()), None)
    if root is None:
        looked = " and ".join(dict.fromkeys(map(str, places)))
        raise DataError(
            f"there is no folder of images {data['root']!r} (looked for {looked}): correct root in"
            " [data] or --data-root"
        )
    train, test = data.get("train", "train"), data.get("test", "test")
    if train == test:
        raise BenchmarkError(f"test = {test!r} must be another folder than train")
    return scan_folder(root, train, test)


def _largest_long_tail(folder: FolderSpec, ratio: float) -> int:
    """The images of the most frequent class in the largest long tail that the folder can give."""
    counts = folder.train_counts
    max_count = largest_max_count(counts, ratio) if 1 <= ratio < math.inf else 0
    # A head of 49 images has no tail class at ratio 49: 49 * (1 / 49) rounds to below 1.
    if not max_count or long_tail_counts(max_count, ratio, len(counts)).min() < 1:
        raise BenchmarkError(
            f"imbalance_ratio = {ratio:g} must be at least 1 and leave an image in every class, but"
            f" {folder.root / folder.train} has too few: lower it"
        )
    return max_count


def _cifar(
    name: str, network: str, num_classes: int, ratio: float, train_images: int, role: str
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
    )


_MEMBERS = (
    _cifar("resnet32-cifar10lt", "resnet32", 10, 100.0, 12406, "public"),
    _cifar("resnet32-cifar100lt", "resnet32", 100, 100.0, 10847, "public"),
    _cifar("vgg16bn-cifar100lt", "vgg16bn", 100, 50.0, 12608, "hidden"),
    # Minutes on a CPU and nothing to download: for trying things out, not for comparing.
    Benchmark(
        name="resnet8-digitslt",
        network="resnet8",
        dataset="digits",
        num_classes=10,
        imbalance_ratio=20.0,
        max_count=118,
        train_images=398,
        resolution=8,
        channels=1,
        padding=1,
        flip=False,
        mean=None,
        std=None,
        epochs=40,
        batch_size=32,
    ),
)
BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in _MEMBERS}
