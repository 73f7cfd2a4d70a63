"""Design of a recorded table: the weightings that it holds, in their order.

The named points first, then points of low discrepancy from the spaces ``core`` and ``full`` in
turn. Weighting number i of some class counts is the same on every machine, and whatever the number
of weightings that are recorded.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from spaces import (
    FORMER_NAMES,
    NAMED,
    SPACES,
    Domain,
    Float,
    ParameterValue,
    Space,
    Weighting,
    WeightingError,
    check_weights,
    gradient_shares,
    present_name,
)
from spaces.errors import UserError
from trainer.trial import SCALE_FREE_LOSS

REPLICATE_DISTANCE = 0.01
"""Weightings less than this apart, in total variation of gradient shares, train as replicates."""
NAMED_SPACE = "named"
MOST_REFUSALS = 2048
"""A space that gives nothing new in so many candidates in a row is taken to be full."""

# Changing one of these makes other designs, so that earlier tables could not be extended.
_VERSION = 1
_FIRST = ("uniform", *FORMER_NAMES)
SHIFT_KEYS = {"core": 0x636F7265, "full": 0x66756C6C}  # two, or both would draw the same exponents
"""Space of class weights alone -> key of the digital shift of its candidates."""
_BITS = 30
_BLOCK = 256
_DIGITS = 6


@dataclass(frozen=True)
class Point:
    """A weighting of the design.

    Attributes:
        number: its place in the design, from 0.
        names: the named points that are this weighting, or train as replicates of it.
        space: where it was drawn, ``core`` or ``full``; ``named`` if it was not.
    """

    number: int
    names: tuple[str, ...]
    space: str
    weighting: Weighting

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "names": list(self.names),
            "space": self.space,
            "weighting": self.weighting.to_dict(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Point":
        weighting = Weighting.from_dict(content["weighting"])
        names = tuple(map(present_name, content["names"]))
        return cls(content["number"], names, content["space"], weighting)


class Chosen:
    """The weightings so far, known by their gradient shares on the class counts (C,)."""

    def __init__(self, counts: npt.ArrayLike) -> None:
        self.counts = counts
        self.shares: list[npt.NDArray[np.float64]] = []

    def replicate(self, weighting: Weighting) -> int | None:
        """Return the number of an earlier weighting that this one replicates.

        Without one, the weighting joins them and None is returned.

        Raises:
            WeightingError: the guards refuse the weighting on these counts.
        """
        weights = weighting.weights(self.counts)
        check_weights(self.counts, weights)
        shares = gradient_shares(self.counts, weights)
        if self.shares:
            distances = 0.5 * np.abs(np.stack(self.shares) - shares).sum(axis=1)
            if distances.min() < REPLICATE_DISTANCE:
                return int(distances.argmin())
        self.shares.append(shares)
        return None


def coordinates(dimensions: int, key: int) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the Sobol points, float64 (dimensions,) in [0, 1), with the digital shift of a key.

    scipy's own scrambling depends on the versions of scipy and numpy; this does not.
    """
    shift = np.random.Philox(key=key).random_raw(dimensions) >> np.uint64(64 - _BITS)
    engine = qmc.Sobol(dimensions, scramble=False, bits=_BITS)
    while True:
        integers = (engine.random(_BLOCK) * 2**_BITS).astype(np.uint64)
        yield from (integers ^ shift) / 2.0**_BITS


def value_at(domain: Domain, coordinate: float) -> ParameterValue:
    """Return what a coordinate in [0, 1) means in the domain.

    Numbers are rounded, because the last bit of a power differs between machines.
    """
    if not isinstance(domain, Float):
        return domain.choices[int(coordinate * len(domain.choices))]
    if domain.log:
        value = domain.low * (domain.high / domain.low) ** coordinate
    else:
        value = domain.low + coordinate * (domain.high - domain.low)
    return float(f"{value:.{_DIGITS}g}")


def candidates(space: Space) -> Iterator[Weighting]:
    """Yield weightings that fill the space evenly; inactive coordinates mean nothing."""
    domains = space.searched(SCALE_FREE_LOSS)
    for point in coordinates(len(domains), SHIFT_KEYS[space.name]):
        drawn = zip(domains, point.tolist(), strict=True)
        yield space.strategy({domain.name: value_at(domain, x) for domain, x in drawn}).weighting


def named_points(chosen: Chosen) -> list[Point]:
    """Return the named points, the leaderboard's first, each weighting once with all of its names.

    What the guards refuse on these counts is left out.
    """
    points: list[Point] = []
    for name in dict.fromkeys((*map(present_name, _FIRST), *NAMED)):
        weighting = NAMED[name].weighting
        try:
            earlier = chosen.replicate(weighting)
        except WeightingError:
            continue
        if earlier is None:
            points.append(Point(len(points), (name,), NAMED_SPACE, weighting))
        else:
            first = points[earlier]
            points[earlier] = Point(earlier, (*first.names, name), NAMED_SPACE, first.weighting)
    return points


def next_new(source: Iterator[Weighting], chosen: Chosen) -> Weighting | None:
    """Return the next candidate that can train and replicates nothing; None if there is none."""
    for weighting in islice(source, MOST_REFUSALS):
        try:
            if chosen.replicate(weighting) is None:
                return weighting
        except WeightingError:
            continue
    return None


def design(counts: npt.ArrayLike) -> Iterator[Point]:
    """Yield the weightings for class counts (C,), until the spaces are full."""
    chosen = Chosen(counts)
    points = named_points(chosen)
    yield from points
    number = len(points)
    sources = {name: candidates(SPACES[name]) for name in SHIFT_KEYS}
    while sources:
        for name in list(sources):
            weighting = next_new(sources[name], chosen)
            if weighting is None:
                del sources[name]
            else:
                yield Point(number, (), name, weighting)
                number += 1


def first_points(counts: npt.ArrayLike, number: int) -> list[Point]:
    """Return the first weightings of the design.

    Raises:
        UserError: there are not so many that differ.
    """
    points = list(islice(design(counts), number))
    if len(points) < number:
        raise UserError(
            f"--weightings is {number}, but only {len(points)} were found that are at least "
            f"{REPLICATE_DISTANCE} apart on these class counts; give at most as many."
        )
    return points


def design_fingerprint() -> str:
    """Return 16 hexadecimal digits of all that decides the design, the class counts aside."""
    first = {present_name(name): name for name in _FIRST}
    named = {first.get(name, name): member.weighting.to_dict() for name, member in NAMED.items()}
    declared = [SPACES[name].fingerprint() for name in SHIFT_KEYS]
    facts = [_VERSION, list(_FIRST), named, declared, REPLICATE_DISTANCE, MOST_REFUSALS]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
