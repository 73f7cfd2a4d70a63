"""Scenarios are tags of a user's images, such as of their lighting, by which accuracy is split."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import MaxLen

from spaces.validation import Rule
from trainer.diagnosis.records import ByHalf, Number
from trainer.errors import DataError

MOST_SCENARIOS = 64
"""Of a benchmark, over all columns."""
LONGEST_TAG = 100
UNTAGGED = "untagged"
"""The tag of an image whose cell is empty."""
FEW_IMAGES = 30
"""Of a scenario with fewer, its accuracy is of these images alone: one is 3 points and more."""
ARRAYS = ("scenario_names", "train_scenarios", "test_scenarios")
"""In a prepared file."""

Integers = npt.NDArray[np.int64]
Tags = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.integer[Any]] | slice
Name = Annotated[str, MaxLen(3 * LONGEST_TAG), Rule("text that can be printed", str.isprintable)]


@dataclass(frozen=True)
class Scenario:
    """The images that have a tag.

    Attributes:
        name: the tag, and its column where there are several: "night (lighting)".
        train: training images.
        evaluated: evaluated images in half A and in half B.
    """

    name: Name
    train: Number
    evaluated: tuple[Number, Number]


@dataclass(frozen=True, eq=False)
class Scenarios:
    """The scenario of each image in each of K columns, S scenarios in all.

    Attributes:
        names: of the scenarios, (S,).
        train: numbers of scenarios, of the training images, (K, N).
        evaluated: of the evaluated images, (K, T).
    """

    names: tuple[str, ...]
    train: Tags
    evaluated: Tags

    def by_half(
        self, counted: npt.NDArray[np.bool_], half_a: npt.NDArray[np.bool_]
    ) -> tuple[tuple[int, int], ...]:
        """Return how many of the ``counted`` images (T,) each scenario has, in halves A and B."""
        places = 2 * self.evaluated.astype(np.int64) + ~half_a
        images = np.bincount(places[:, counted].ravel(), minlength=2 * len(self.names))
        return tuple((a, b) for a, b in images.reshape(-1, 2).tolist())

    def counted(self, half_a: npt.NDArray[np.bool_]) -> tuple[Scenario, ...]:
        """Return what images each scenario has."""
        train = np.bincount(self.train.ravel(), minlength=len(self.names)).tolist()
        evaluated = self.by_half(np.ones_like(half_a), half_a)
        return tuple(map(Scenario, self.names, train, evaluated))

    def subset(self, train: Positions, evaluated: Positions) -> "Scenarios":
        """Those of some of the images."""
        return replace(self, train=self.train[:, train], evaluated=self.evaluated[:, evaluated])

    def content(self) -> bytes:
        """Return what tells them from other scenarios of the same images."""
        return json.dumps(self.names).encode() + self.train.tobytes() + self.evaluated.tobytes()

    def arrays(self, kept: Integers) -> dict[str, npt.NDArray[Any]]:
        """Return what a file holds of them, of the training images that are ``kept``."""
        parts = (np.array(self.names), self.train[:, kept], self.evaluated)
        return dict(zip(ARRAYS, parts, strict=True))

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "Scenarios | None":
        """Return those that a file holds; None if it has none."""
        if ARRAYS[0] not in arrays:
            return None
        names, train, evaluated = (arrays[name] for name in ARRAYS)
        return cls(tuple(names.astype(str).tolist()), train, evaluated)

    def fit(self, columns: int, train: int, evaluated: int) -> bool:
        """Return whether they are of so many columns and images."""
        return all(
            tags.dtype == np.uint8
            and tags.shape == (columns, images)
            and bool(np.all(tags < len(self.names)))
            for tags, images in ((self.train, train), (self.evaluated, evaluated))
        )


def check_correct(correct: ByHalf, scenarios: Sequence[Scenario]) -> None:
    """Raise ValueError unless correct images by scenario and half, if any, can be of these."""
    if correct and len(correct) != len(scenarios):
        raise ValueError(f"got {len(correct)} of {len(scenarios)} scenarios")
    for right, scenario in zip(correct, scenarios, strict=False):
        if any(n > images for n, images in zip(right, scenario.evaluated, strict=True)):
            raise ValueError(f"got {right} correct images of {scenario}")


def checked_tag(where: str, column: str, value: str) -> str:
    """Return the tag in a cell; an empty cell is ``UNTAGGED``.

    Raises:
        DataError: it is too long, or has characters that cannot be printed; ``where`` says where
            it is.
    """
    if len(value) > LONGEST_TAG or not value.isprintable():
        shown = value if len(value) <= LONGEST_TAG else f"{value[:20]}..."
        raise DataError(
            f"{where} has the {column} {shown!r}: a tag must be at most {LONGEST_TAG} characters"
            " that can be printed"
        )
    return value or UNTAGGED


def scenarios_of(
    where: Any,
    columns: Sequence[str],
    train: Sequence[Sequence[str]],
    evaluated: Sequence[Sequence[str]],
) -> Scenarios | None:
    """Return the scenarios of images, given the tag of each image in each of K columns, (N, K).

    None without columns.

    Raises:
        DataError: there are too many tags, or a column has none for the evaluated images.
    """
    if not columns:
        return None
    kinds: list[tuple[int, str]] = []
    for place, column in enumerate(columns):
        judged = {tags[place] for tags in evaluated}
        if judged == {UNTAGGED}:
            raise DataError(
                f"{where} has no {column} for any image that is evaluated: fill it in, or leave it"
                " out of scenarios"
            )
        different = judged | {tags[place] for tags in train}
        kinds += [(place, t) for t in sorted(different, key=lambda tag: (tag == UNTAGGED, tag))]
    if len(kinds) > MOST_SCENARIOS:
        raise DataError(
            f"{where} has {len(kinds):,} different tags in {' and '.join(columns)}: they must be at"
            f" most {MOST_SCENARIOS}, so group them, or leave a column out of scenarios"
        )
    number = {kind: n for n, kind in enumerate(kinds)}
    named = (f"{tag} ({columns[place]})" if columns[1:] else tag for place, tag in kinds)
    arrays = (
        np.array([[number[kind] for kind in enumerate(tags)] for tags in images], dtype=np.uint8).T
        for images in (train, evaluated)
    )
    return Scenarios(tuple(named), *arrays)
