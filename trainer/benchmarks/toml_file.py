"""A user's own benchmark is read from a TOML file.

examples/cifar10lt-folder.toml shows every key.
"""

import functools
import os
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from spaces.errors import UserError, did_you_mean
from spaces.validation import Rule, checked
from trainer.benchmarks.benchmark import Benchmark, ImbalanceRatio
from trainer.benchmarks.metrics import default_metric
from trainer.benchmarks.pretrained import Pretrained
from trainer.data.image_arrays import scan_arrays
from trainer.data.image_folder import scan_folder, split_names
from trainer.data.image_table import PARQUET, scan_table
from trainer.data.listing import spread
from trainer.data.longtail import largest_max_count, long_tail_counts, ranked_counts
from trainer.data.raw import FolderSpec
from trainer.diagnosis.scenarios import LONGEST_TAG
from trainer.errors import BenchmarkError, DataError
from trainer.files import is_folder, is_there
from trainer.user_files import expanded, read_text

_REQUIRED = ("name", "network", "resolution")
_OPTIONAL = (
    "epochs",
    "batch_size",
    "learning_rate",
    "schedule",
    "momentum",
    "weight_decay",
    "padding",
    "flip",
    "mean",
    "std",
    "noise_sd",
    "metric",
)
"""Fields of a benchmark that a file may set, beside the required ones."""
_PLACES = ("root", "csv", "parquet", "npz")
"""The keys of [data] that say where the images are."""
_SPLIT = Rule(
    "a share of at least 0 and below 1, such as 0.2, or a folder in quotes",
    lambda value: isinstance(value, str) or 0 <= value < 1,
)
_MOST_COLUMNS = 8


def names_of(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def _are_columns(given: str | list[str]) -> bool:
    names = [name.strip().lower() for name in names_of(given)]
    named = all(name.isprintable() and 0 < len(name) <= LONGEST_TAG for name in names)
    return named and len({*names}) == len(names) <= _MOST_COLUMNS


_SCENARIOS = Rule(
    f"the name of a column of tags, or a list of up to {_MOST_COLUMNS}, none twice", _are_columns
)


@dataclass(frozen=True)
class Images:
    """The table [data] of a file: where a user's own images are, and how they are split."""

    root: str | None = None
    csv: str | None = None
    parquet: str | None = None
    npz: str | None = None
    train: str | None = None
    val: Annotated[float | str, _SPLIT] | None = None
    test: str | None = None
    scenarios: Annotated[str | list[str], _SCENARIOS] | None = None
    imbalance_ratio: ImbalanceRatio | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of tags."""
        return tuple(names_of(self.scenarios or []))


@functools.cache
def _file() -> type[Any]:
    """The dataclass of a file: fields of a benchmark as it declares them, and the table [data]."""
    kinds = get_type_hints(Benchmark, include_extras=True)
    fields: list[Any] = [*((key, kinds[key]) for key in _REQUIRED), ("data", Images)]
    fields += [(key, kinds[key], field(default=None)) for key in _OPTIONAL]
    fields.append(("pretrained", str | None, field(default=None)))
    return make_dataclass("File", fields, frozen=True)


def read_benchmark(path: Path, data_root: Path, taken: Collection[str]) -> Benchmark:
    """The benchmark that a TOML file declares, under none of the names that are taken.

    `data_root` is where a relative [data] root is looked for if it is not beside the file.
    Raises BenchmarkError (bad file) or DataError (bad folder of images).
    """
    try:
        content = tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # also of a number of thousands of digits
        raise BenchmarkError(f"{path} is not a TOML file ({error}): mend that line") from error
    try:
        return from_toml(content, path.parent, data_root, taken)
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from error


def from_toml(
    content: dict[str, Any], beside: Path, data_root: Path, taken: Collection[str]
) -> Benchmark:
    """The benchmark that a TOML file's content declares (`read_benchmark`)."""
    file = checked(_file(), content, error=BenchmarkError)
    if file.name in taken:
        raise BenchmarkError(
            f"name = {file.name!r} is taken by a built-in benchmark: choose another"
        )
    _check_network(file.network, file.resolution)
    source, folder = _find_images(file.data, beside, data_root)
    ratio = file.data.imbalance_ratio
    max_count = None if ratio is None else _largest_long_tail(folder, ratio)
    fields = {key: getattr(file, key) for key in (*_REQUIRED, *_OPTIONAL) if key in content}
    defaults = {"padding": file.resolution // 8, "flip": True, "mean": None, "std": None}
    defaults["metric"] = default_metric(folder.evaluated_counts)
    pretrained = None
    if file.pretrained is not None:
        path = _find("pretrained", file.pretrained, beside, data_root)
        pretrained = _find_pretrained(path, file.network, len(folder.class_names))
    return Benchmark(
        **(defaults | fields),
        pretrained=pretrained,
        dataset=source,
        num_classes=len(folder.class_names),
        imbalance_ratio=ratio,
        max_count=max_count,
        train_images=sum(_kept(folder, max_count, ratio)),
        channels=3,
        folder=_with_ratio(folder, max_count, ratio),
        test_held_out=folder.val is not None and folder.test is not None,
    )


def _kept(folder: FolderSpec, max_count: int | None, ratio: float | None) -> tuple[int, ...]:
    """The training images of each class that an imposed long tail keeps; all without one."""
    if max_count is None or ratio is None:
        return folder.train_counts
    return tuple(ranked_counts(folder.train_counts, max_count, ratio).tolist())


def _with_ratio(folder: FolderSpec, max_count: int | None, ratio: float | None) -> FolderSpec:
    """The spec, with a note of what an imposed long tail keeps."""
    if max_count is None:
        return folder
    counts = _kept(folder, max_count, ratio)
    note = (
        f"imbalance_ratio = {ratio:g} keeps {sum(counts):,} of the training images"
        f" ({spread(counts)} a class)"
    )
    return replace(folder, notes=(*folder.notes, note))


def _check_network(network: str, resolution: int) -> None:
    # Imported here: models needs torch, which takes seconds that a list of names need not cost.
    from trainer.models import NETWORKS

    if network not in NETWORKS:
        raise BenchmarkError(
            f"network is {network!r}{did_you_mean(network, NETWORKS)}; it must be one of"
            f" {', '.join(NETWORKS)}"
        )
    smallest = NETWORKS[network].min_resolution
    if resolution < smallest:
        raise BenchmarkError(
            f"resolution is {resolution}; it must be at least {smallest} for network {network!r}:"
            " raise it or choose another network"
        )


def _find_pretrained(path: Path, network: str, num_classes: int) -> Pretrained:
    """The weights in a file, which must be those of the network but for its head."""
    import torch  # as above

    from trainer.models import NETWORKS
    from trainer.pretrained.weights import check_weights, read_weights
    from trainer.strategies.heads import classifier_name

    state = read_weights(path)
    with torch.device("meta"):
        module = NETWORKS[network].make(3, num_classes)
    check_weights(path, state, module, classifier_name(module), network)
    return Pretrained(path=path, digest=state.digest)


def _find_images(data: Images, beside: Path, data_root: Path) -> tuple[str, FolderSpec]:
    """The source, a key of data.sources.OWN_IMAGES, and the images that [data] declares."""
    given = {key: name for key in _PLACES if (name := getattr(data, key)) is not None}
    if len(given) != 1:
        raise BenchmarkError(
            f"[data] has {' and '.join(given) or 'no place of the images'}: give one of"
            f" {', '.join(_PLACES)}"
        )
    [(key, name)] = given.items()
    place = _find(key, name, beside, data_root)
    if key == "root" and data.scenarios is not None:
        raise BenchmarkError(
            "scenarios names columns of tags, and root is a folder: give csv, parquet or npz"
        )
    if key == "root":
        return "folder", _find_folder(place, data.train, data.val, data.test)
    for split in ("train", "val", "test"):
        if isinstance(getattr(data, split), str):
            raise BenchmarkError(
                f"{split} = {getattr(data, split)!r} names a folder, but the splits are in {place}:"
                " leave it out"
            )
    assert not isinstance(data.val, str)
    if key == "npz":
        return "arrays", scan_arrays(place, data.val, data.columns)
    if (place.suffix == PARQUET) != (key == "parquet"):
        raise BenchmarkError(f"{key} = {name!r} must end in .{key}, or be given by another key")
    return "table", scan_table(place, data.val, data.columns)


def _find(key: str, name: str, beside: Path, data_root: Path) -> Path:
    """A path that [data] gives: absolute, else beside the TOML file, else in the data root.

    "~" and environment variables stand for what they do in a shell.
    """
    try:
        path = expanded(name)
    except UserError as error:
        raise BenchmarkError(f"{key}: {error}") from error
    places = [(place / path).absolute() for place in (beside, data_root)]
    found = next((place for place in places if is_there(place)), None)
    if found is None or is_folder(found) != (key == "root"):
        what = "folder of images" if key == "root" else f"{key} file"
        table = "" if key == "pretrained" else " in [data]"
        looked = " and ".join(dict.fromkeys(map(str, places)))
        raise DataError(
            f"there is no {what} {name!r} (looked for {looked}): correct {key}{table} or"
            " --data-root"
        )
    return found


def _find_folder(
    root: Path, train: str | None, val: str | float | None, test: str | None
) -> FolderSpec:
    names = split_names(root, train, val, test)
    before: dict[str, str] = {}  # normal path to split
    for split, name in names.folders().items():
        other = before.setdefault(os.path.normpath(name), split)
        if other != split:
            raise BenchmarkError(f"{split} = {name!r} must be another folder than {other}")
    return scan_folder(root, names)


def _largest_long_tail(folder: FolderSpec, ratio: float) -> int:
    """The images of the most frequent class in the largest long tail that the folder can give."""
    counts = folder.train_counts
    max_count = largest_max_count(counts, ratio)
    # A head of 49 images has no tail class at ratio 49: 49 * (1 / 49) rounds to below 1.
    if not max_count or long_tail_counts(max_count, ratio, len(counts)).min() < 1:
        raise BenchmarkError(
            f"imbalance_ratio = {ratio:g} must leave an image in every class, but"
            f" {folder.root} has too few training images: lower it"
        )
    return max_count
