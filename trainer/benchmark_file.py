"""How is a user's own benchmark read from a TOML file?

examples/cifar10lt-folder.toml shows every key.
"""

import math
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from trainer.benchmark import Benchmark
from trainer.data.image_folder import scan_folder
from trainer.data.longtail import largest_max_count, long_tail_counts, ranked_counts
from trainer.data.raw import FolderSpec
from trainer.errors import BenchmarkError, DataError, suggestion
from trainer.metrics import METRICS, default_metric

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
    "noise_sd": float,
    "metric": str,
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


def read_benchmark(path: Path, data_root: Path, taken: Collection[str]) -> Benchmark:
    """The benchmark that a TOML file declares, under none of the names that are taken.

    `data_root` is where a relative [data] root is looked for if it is not beside the file.
    Raises BenchmarkError (bad file) or DataError (bad folder of images).
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(
            f"{path} cannot be read ({error.strerror}): give the path of a benchmark's TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path} is not a TOML file ({error}): mend that line") from error
    try:
        return _from_toml(content, path.parent, data_root, taken)
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from error


def _from_toml(
    content: dict[str, Any], beside: Path, data_root: Path, taken: Collection[str]
) -> Benchmark:
    fields = _typed(content, _TOP_KEYS, ("name", "network", "resolution", "data"), "the top level")
    data = _typed(fields.pop("data"), _DATA_KEYS, ("root",), "[data]")
    if fields["name"] in taken:
        name = fields["name"]
        raise BenchmarkError(f"name = {name!r} is taken by a built-in benchmark: choose another")
    _check_network(fields["network"])
    _check_one_of("metric", fields.get("metric", "accuracy"), METRICS)
    _check_resolution(fields["resolution"], fields["network"])
    folder = _find_folder(data, beside, data_root)
    counts, ratio = folder.train_counts, data.get("imbalance_ratio")
    max_count = None if ratio is None else _largest_long_tail(folder, ratio)
    if ratio is not None and max_count is not None:
        counts = tuple(ranked_counts(counts, max_count, ratio).tolist())
    defaults = {"padding": fields["resolution"] // 8, "flip": True, "mean": None, "std": None}
    defaults["metric"] = default_metric(folder.evaluated_counts)
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
                f"{where} has an unknown key {key!r}{suggestion(key, kinds)}: its keys are"
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


def _check_network(network: str) -> None:
    # Imported here: models needs torch, which takes seconds that a list of names need not cost.
    from trainer.models import NETWORKS

    _check_one_of("network", network, NETWORKS)


def _check_one_of(key: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise BenchmarkError(
            f"{key} = {value!r}{suggestion(value, known)} must be one of {', '.join(known)}"
        )


def _check_resolution(resolution: int, network: str) -> None:
    from trainer.models import NETWORKS  # here for the reason given in _check_network

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
