"""A user's own images as they were found, by split and class: checked, split and described."""

import hashlib
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from spaces.parts.labels import spelled_alike
from spaces.parts.words import number_of
from trainer.data import pixels
from trainer.data.longtail import set_aside
from trainer.data.raw import FolderSpec, RawImages
from trainer.data.reading import NAMED
from trainer.diagnosis.scenarios import Scenarios, scenarios_of
from trainer.errors import DataError

SPLITS = {"train": "training", "val": "validation", "test": "test"}
_FLATTERING = "which makes results look better than they are"
_LEAKS = (
    ("val", "train", _FLATTERING),
    ("test", "train", _FLATTERING),
    ("test", "val", "so that images which choose also judge"),
)
"""Splits that should have no image in common, and what follows where they have."""
VALIDATION_SHARE = 0.2
"""Share of the training images that is set aside where neither validation nor test images are."""

Place = TypeVar("Place")


class Found(NamedTuple, Generic[Place]):
    """An image: 64 bits of a hash over its content, where it is, how hard, its tags, if given."""

    digest: int
    place: Place
    difficulty: float | None = None
    tags: tuple[str, ...] = ()


Classes = list[list[Found[Place]]]
"""The images of each class, in label order."""


@dataclass(frozen=True)
class Listing(Generic[Place]):
    """The images that were found.

    Attributes:
        splits: "train", "val" or "test" to the images of each class, sorted by content: renaming
            a file changes nothing.
        share: of the training images, by which "val" was set aside; None if it was not.
        notes: what was left out and why.
        scenarios: of all images, in the order of `raw_images`; None if no columns are named.
        columns: the names of these, K.
    """

    class_names: tuple[str, ...]
    splits: dict[str, Classes[Place]]
    share: float | None
    notes: tuple[str, ...]
    scenarios: Scenarios | None = None
    columns: tuple[str, ...] = ()

    def spec(
        self, root: Path, train: str = "train", val: str = "val", test: str = "test"
    ) -> FolderSpec:
        """What a benchmark keeps of it; `train`, `val` and `test` name the splits."""
        split_val = val if "val" in self.splits else None
        return FolderSpec(
            root=root,
            train=train,
            val=split_val if self.share is None else self.share,
            test=test if "test" in self.splits else None,
            class_names=self.class_names,
            train_counts=tuple(map(len, self.splits["train"])),
            state=self.state(),
            evaluated_counts=self.evaluated_counts(),
            scenarios=self.columns,
            notes=(self.describe(), *self.remarks()),
        )

    def evaluated_counts(self) -> tuple[int, ...]:
        """Images of each class that are not for training."""
        evaluated = [classes for split, classes in self.splits.items() if split != "train"]
        return tuple(sum(map(len, images)) for images in zip(*evaluated, strict=True))

    def state(self) -> str:
        """16 hex digits over the content of every image, by split and class."""
        digest = hashlib.sha256()
        for split, classes in self.splits.items():
            for label, images in enumerate(classes):
                digest.update(f"{split} {label} {len(images)}\n".encode())
                digest.update(_digests(images).tobytes())
        difficulty = self.difficulty()
        if difficulty is not None:
            digest.update(b"difficulty " + difficulty.tobytes())
        if self.scenarios is not None:
            digest.update(b"scenarios " + self.scenarios.content())
        return digest.hexdigest()[:16]

    def difficulty(self) -> NDArray[np.float64] | None:
        """How hard each training image is, in the order of `raw_images`; None if not given."""
        given = [image.difficulty for images in self.splits["train"] for image in images]
        return None if None in given else np.array(given, dtype=np.float64)

    def contents(self) -> dict[str, NDArray[np.uint64]]:
        """Split and class, such as "train/cat", to the digests of the images there, sorted."""
        found: dict[str, list[Found[Place]]] = {}
        for split, classes in self.splits.items():
            there = "train" if split == "val" and self.share is not None else split
            for name, images in zip(self.class_names, classes, strict=True):
                found.setdefault(f"{there}/{name}", []).extend(images)
        return {name: np.sort(_digests(images)) for name, images in found.items()}

    def describe(self) -> str:
        """What was found, such as "2 classes, 9 training images (6 to 3 a class), ..."."""
        parts = [f"{len(self.class_names)} classes"]
        for split, word in SPLITS.items():
            if split in self.splits:
                counts = list(map(len, self.splits[split]))
                images = number_of(sum(counts), f"{word} image", ",")
                parts.append(f"{images} ({spread(counts)} a class)")
        return "; ".join((", ".join(parts), *self.notes))

    def remarks(self) -> list[str]:
        """What a person should know of the splits."""
        lines = []
        if self.share is not None:
            lines.append(
                f"validation images: {self.share:g} of the training images of each class, chosen"
                " by a fixed hash of their content"
            )
        if "val" not in self.splits:
            lines.append(
                "no validation images: weightings and epochs are chosen on the test images, which"
                " flatters the results there; val = 0.2 in [data] sets training images aside for it"
            )
        elif "test" not in self.splits:
            lines.append("no test images: all results are of the validation images that chose")
        if alike := spelled_alike(self.class_names):
            lines.append(
                f"warning: by their spelling, these are different classes: {_first(alike)}"
            )
        return lines + self._copies()

    def _copies(self) -> list[str]:
        """Sentences about images that are there more than once."""
        by_class = {
            split: [_digests(images) for images in classes]
            for split, classes in self.splits.items()
        }
        digests = {split: np.concatenate(classes) for split, classes in by_class.items()}
        lines = []
        for split, classes in by_class.items():
            different = sum(len(np.unique(images)) for images in classes)
            of = f"of the {SPLITS[split]} images"
            if copies := len(digests[split]) - different:
                lines.append(f"{copies:,} {of}: copies of others, or links to them")
            if in_several := different - len(np.unique(digests[split])):
                lines.append(f"warning: {in_several:,} {of} in another class too")
        for split, other, what in _LEAKS:
            if {split, other} <= digests.keys():
                known = int(np.isin(digests[split], digests[other]).sum())
                if known:
                    lines.append(
                        f"warning: {known:,} of the {SPLITS[split]} images among the"
                        f" {SPLITS[other]} images too, {what}"
                    )
        return lines


def _digests(images: Sequence[Found[Any]]) -> NDArray[np.uint64]:
    return np.array([image.digest for image in images], dtype=np.uint64)


def spread(counts: Sequence[int]) -> str:
    """Counts as "100 to 6", or as one number if they are equal."""
    high, low = max(counts), min(counts)
    return f"{high:,}" if high == low else f"{high:,} to {low:,}"


def share_of(where: Path, present: Collection[str], val: float | None) -> float | None:
    """The share of the training images to set aside, None for none, where `present` splits are.

    `val` is what was asked for: None for the default, 0 for none.
    """
    if val and "val" in present:
        raise DataError(f"{where} has validation images of its own: leave val = {val:g} out")
    if val is None:
        return VALIDATION_SHARE if set(present) == {"train"} else None
    return val or None


def listing_of(
    class_names: Sequence[str],
    splits: dict[str, Classes[Place]],
    share: float | None,
    where: Path,
    notes: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
) -> Listing[Place]:
    """The images by split and class in the order of their content, `share` of them set aside.

    `columns` are those of their tags. Raises DataError for a single class, one without images in a
    split, one of which no image can be set aside, and tags that cannot be scenarios.
    """
    if len(class_names) < 2:
        raise DataError(f"{where} holds one class only: a classifier needs two")
    ordered = {
        split: [sorted(images, key=lambda image: image.digest) for images in splits[split]]
        for split in SPLITS
        if split in splits
    }
    for split, classes in ordered.items():
        empty = [name for name, images in zip(class_names, classes, strict=True) if not images]
        if empty:
            raise DataError(
                f"{where} holds no {SPLITS[split]} images of {_some(empty, 'class', 'classes')}:"
                " add some, or remove the class everywhere"
            )
    if share is not None:
        ordered = _set_aside(ordered, share, class_names, where)
    if len(ordered) == 1:
        raise DataError(
            f"{where} holds training images only, and nothing to evaluate on: give val = 0.2 in"
            " [data] to set some of them aside"
        )
    tags = {split: [i.tags for i in itertools.chain(*of)] for split, of in ordered.items()}
    scenarios = scenarios_of(where, columns, tags.pop("train"), [*itertools.chain(*tags.values())])
    return Listing(tuple(class_names), ordered, share, notes, scenarios, columns)


def _set_aside(
    splits: dict[str, Classes[Place]], share: float, class_names: Sequence[str], where: Path
) -> dict[str, Classes[Place]]:
    """Move a share of the training images of each class, which are in order, to "val"."""
    single = [
        name for name, images in zip(class_names, splits["train"], strict=True) if len(images) < 2
    ]
    if single:
        raise DataError(
            f"{where} holds a single training image of {_some(single, 'class', 'classes')}, so"
            f" that val = {share:g} would leave none to train on: add images, or give val a folder"
        )
    train, val = [], []
    for images in splits["train"]:
        aside = set_aside([image.digest for image in images], share)
        val.append([*itertools.compress(images, aside)])
        train.append([*itertools.compress(images, ~aside)])
    rest = {split: classes for split, classes in splits.items() if split == "test"}
    return {"train": train, "val": val, **rest}


def _some(names: Sequence[str], one: str, several: str) -> str:
    return f"{one if len(names) == 1 else several} {_first([*map(repr, names)])}"


def _first(words: Sequence[str]) -> str:
    more = f" and {len(words) - NAMED:,} more" if len(words) > NAMED else ""
    return f"{', '.join(words[:NAMED])}{more}"


def raw_images(
    listing: Listing[Place], decode: Callable[[Found[Place]], NDArray[np.uint8]], resolution: int
) -> RawImages:
    """The images of a listing, `decode` giving the pixels of one (resolution, resolution, 3).

    Their portions raise DataError for images that cannot be decoded, all of them counted.
    """
    order = [image for classes in listing.splits.values() for images in classes for image in images]

    def portions(numbers: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        return pixels.decoded([order[number] for number in numbers], decode, resolution)

    names = range(len(listing.class_names))
    labels = {
        split: np.repeat(np.array(names, dtype=np.int64), list(map(len, classes)))
        for split, classes in listing.splits.items()
    }
    train = labels.pop("train")
    half_a = np.arange(len(order) - len(train)) < len(labels.get("val", ()))
    return RawImages(
        train_labels=train,
        test_labels=np.concatenate(list(labels.values())),
        class_names=listing.class_names,
        portions=portions,
        half_a=half_a if len(labels) == 2 else None,
        contents=listing.contents(),
        difficulty=listing.difficulty(),
        scenarios=listing.scenarios,
    )
