"""How is a user's own benchmark read from a TOML file?

examples/cifar10lt-folder.toml shows every key.
"""

import dataclasses
import math
import os
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from spaces.errors import did_you_mean
from trainer.benchmarks.benchmark import Benchmark
from trainer.benchmarks.metrics import METRICS, default_metric
from trainer.data.image_arrays import scan_arrays
from trainer.data.image_folder import scan_folder, split_names
from trainer.data.image_table import PARQUET, scan_table
from trainer.data.listing import spread
from trainer.data.longtail import largest_max_count, long_tail_counts, ranked_counts
from trainer.data.raw import FolderSpec
from trainer.errors import BenchmarkError, DataError
from trainer.user_files import expanded, read_text

_TOP_KEYS: dict[str, Any] = {
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
_SHARE_OR_FOLDER = float | str
_DATA_KEYS: dict[str, Any] = {
    "root": str,
    "csv": str,
    "parquet": str,
    "npz": str,
    "train": str,
    "val": _SHARE_OR_FOLDER,
    "test": str,
    "imbalance_ratio": float,
}
_PLACES = ("root", "csv", "parquet", "npz")
"""The keys of [data] that say where the images are."""
_TYPE_WORDS: dict[Any, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list of numbers, such as [0.5, 0.5, 0.5]",
    dict: "a table, started by a line [data]",
    _SHARE_OR_FOLDER: "a share, such as 0.2, or a folder in quotes",
}


def read_benchmark(path: Path, data_root: Path, taken: Collection[str]) -> Benchmark:
    """The benchmark that a TOML file declares, under none of the names that are taken.

    `data_root` is where a relative [data] root is looked for if it is not beside the file.
    Raises BenchmarkError (bad file) or DataError (bad folder of images).
    """
    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise BenchmarkError(f"{path} is not a TOML file ({error}): mend that line") from error
    try:
        return from_toml(content, path.parent, data_root, taken)
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from error


def from_toml(
    content: dict[str, Any], beside: Path, data_root: Path, taken: Collection[str]
) -> Benchmark:
    """The benchmark that a TOML file's content declares (`read_benchmark`)."""
    fields = _typed(content, _TOP_KEYS, ("name", "network", "resolution", "data"), "the top level")
    data = _typed(fields.pop("data"), _DATA_KEYS, (), "[data]")
    if fields["name"] in taken:
        name = fields["name"]
        raise BenchmarkError(f"name = {name!r} is taken by a built-in benchmark: choose another")
    _check_network(fields["network"])
    _check_one_of("metric", fields.get("metric", "accuracy"), METRICS)
    _check_resolution(fields["resolution"], fields["network"])
    source, folder = _find_images(data, beside, data_root)
    ratio = data.get("imbalance_ratio")
    max_count = None if ratio is None else _largest_long_tail(folder, ratio)
    defaults = {"padding": fields["resolution"] // 8, "flip": True, "mean": None, "std": None}
    defaults["metric"] = default_metric(folder.evaluated_counts)
    return Benchmark(
        **(defaults | fields),
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
    return dataclasses.replace(folder, notes=(*folder.notes, note))


def _typed(
    table: dict[str, Any], kinds: dict[str, Any], required: tuple[str, ...], where: str
) -> dict[str, Any]:
    """The values of a TOML table, each of its declared type and no key unknown or missing."""
    for key in table:
        if key not in kinds:
            raise BenchmarkError(
                f"{where} has an unknown key {key!r}{did_you_mean(key, kinds)}: its keys are"
                f" {', '.join(kinds)}"
            )
    for key in required:
        if key not in table:
            raise BenchmarkError(f"{where} lacks the key {key!r}: add {_TYPE_WORDS[kinds[key]]}")
    return {key: _convert(key, value, kinds[key]) for key, value in table.items()}


def _convert(key: str, value: Any, kind: Any) -> Any:
    if kind in (float, _SHARE_OR_FOLDER) and _is_number(value):
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
            f"{key} = {value!r}{did_you_mean(value, known)} must be one of {', '.join(known)}"
        )


def _check_resolution(resolution: int, network: str) -> None:
    from trainer.models import NETWORKS  # here for the reason given in _check_network

    smallest = NETWORKS[network].min_resolution
    if resolution < smallest:
        raise BenchmarkError(
            f"resolution = {resolution} must be at least {smallest} for network {network!r}: raise"
            " it or choose another network"
        )


def _find_images(data: dict[str, Any], beside: Path, data_root: Path) -> tuple[str, FolderSpec]:
    """The source, a key of data.sources.OWN_IMAGES, and the images that [data] declares."""
    given = [key for key in _PLACES if key in data]
    if len(given) != 1:
        raise BenchmarkError(
            f"[data] has {' and '.join(given) or 'no place of the images'}: give one of"
            f" {', '.join(_PLACES)}"
        )
    key, val = given[0], data.get("val")
    if isinstance(val, float) and not 0 <= val < 1:
        raise BenchmarkError(f"val = {val:g} must be at least 0 and below 1, or a folder in quotes")
    place = _find(key, data[key], beside, data_root)
    if key == "root":
        return "folder", _find_folder(place, data.get("train"), val, data.get("test"))
    named = [name for name in ("train", "val", "test") if isinstance(data.get(name), str)]
    if named:
        raise BenchmarkError(
            f"{named[0]} = {data[named[0]]!r} names a folder, but the splits are in {place}: leave"
            " it out"
        )
    if key == "npz":
        return "arrays", scan_arrays(place, val)
    if (place.suffix == PARQUET) != (key == "parquet"):
        raise BenchmarkError(
            f"{key} = {data[key]!r} must end in .{key}, or be given by another key"
        )
    return "table", scan_table(place, val)


def _find(key: str, name: str, beside: Path, data_root: Path) -> Path:
    """A path that [data] gives: absolute, else beside the TOML file, else in the data root.

    "~" and environment variables stand for what they do in a shell.
    """
    path = expanded(name)
    places = [(place / path).absolute() for place in (beside, data_root)]
    found = next((place for place in places if place.exists()), None)
    if found is None or found.is_dir() != (key == "root"):
        what = "folder of images" if key == "root" else f"{key} file"
        looked = " and ".join(dict.fromkeys(map(str, places)))
        raise DataError(
            f"there is no {what} {name!r} (looked for {looked}): correct {key} in [data] or"
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
    max_count = largest_max_count(counts, ratio) if 1 <= ratio < math.inf else 0
    # A head of 49 images has no tail class at ratio 49: 49 * (1 / 49) rounds to below 1.
    if not max_count or long_tail_counts(max_count, ratio, len(counts)).min() < 1:
        raise BenchmarkError(
            f"imbalance_ratio = {ratio:g} must be at least 1 and leave an image in every class, but"
            f" {folder.root} has too few training images: lower it"
        )
    return max_count
