"""Candidates of a search: weightings that cover a space, told apart by their gradient shares.

A space holds a continuum of weightings, of which many train alike. Here it is covered by so few
points, none nearer to another than a total variation of .012, that a model can look at all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spaces import (
    Float,
    ParameterValue,
    Space,
    Strategy,
    Weighting,
    WeightingError,
    check_weights,
    gradient_shares,
)
from spaces.counts import FloatArray
from trainer.trial import SCALE_FREE_LOSS

DISTANCE = 0.012
"""Least total variation between two candidates, on the benchmark where they differ most."""

POINTS = 4096
"""Points of low discrepancy of a space that are looked at."""

MOST = 1000
"""Candidates of a cover at most."""

POWERS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
"""Exponents p of the weightings n^-p that every cover holds where the space has an exponent."""


@dataclass(frozen=True)
class Candidates:
    """M weightings of a space, the named ones first.

    Attributes:
        weightings: the M points of the family.
        params: of each in the space; None for a named one, which may lie outside of it.
        shares: gradient shares, (M, F): of classes with equal counts the sum, of several benchmarks
            side by side.
        features: logarithms of the shares of single classes, (M, F), so scaled that the squared
            distance of two rows is the mean over benchmarks of the mean over classes.
        plain: the shares of single classes, (M, F), so scaled that it is the mean over benchmarks
            of the sum over classes.
        named: candidates of the named weightings, in their order; two may share one.
    """

    weightings: tuple[Weighting, ...]
    params: tuple[dict[str, ParameterValue] | None, ...]
    shares: FloatArray
    features: FloatArray
    plain: FloatArray
    named: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.weightings)


class Counts:
    """Class counts of the B benchmarks of a search, (C_b,) each, with equal counts held once."""

    def __init__(self, counts: Sequence[npt.ArrayLike]) -> None:
        self.counts = [np.asarray(numbers, dtype=np.int64) for numbers in counts]
        found = [np.unique(c, return_index=True, return_counts=True) for c in self.counts]
        self.first = [first for _, first, _ in found]
        self.classes = [classes.astype(np.float64) for _, _, classes in found]
        self.starts = np.cumsum([0, *(len(first) for first in self.first[:-1])])

    def shares(self, weighting: Weighting) -> FloatArray:
        """Return the shares (F,) of a weighting.

        Raises:
            WeightingError: the guards refuse it on one of the benchmarks.
        """
        parts = []
        for counts, first, classes in zip(self.counts, self.first, self.classes, strict=True):
            weights = weighting.weights(counts)
            check_weights(counts, weights)
            parts.append(gradient_shares(counts, weights)[first] * classes)
        return np.concatenate(parts)

    def distances(self, shares: FloatArray, others: FloatArray) -> FloatArray:
        """Return the total variations between (F,) and each of (N, F), (N,): the largest of all."""
        gaps = np.add.reduceat(np.abs(others - shares), self.starts, axis=1)
        return np.asarray(0.5 * gaps.max(axis=1))

    def features(self, shares: FloatArray) -> FloatArray:
        """Return the features (M, F) of shares (M, F)."""
        scale = [np.sqrt(c / c.sum() / len(self.classes)) for c in self.classes]
        return np.asarray(np.log(shares / np.concatenate(self.classes)) * np.concatenate(scale))

    def plain(self, shares: FloatArray) -> FloatArray:
        """Return shares (M, F) in the scale of ``Candidates.plain``, (M, F)."""
        return np.asarray(shares / np.sqrt(np.concatenate(self.classes) * len(self.classes)))


def cover(
    space: Space, counts: Sequence[npt.ArrayLike], named: Sequence[Weighting], most: int = MOST
) -> Candidates:
    """Return candidates that cover a space, on the class counts (C_b,) of its benchmarks.

    Args:
        named: weightings that are candidates in any case; the guards must let them through.
        most: candidates at most, if not more are named.

    Raises:
        WeightingError: the guards refuse a named weighting.
        ValueError: a point of the space is no class weighting.
    """
    classes, chosen = Counts(counts), _Chosen()
    of_named = [chosen.add(w, None, classes.shares(w), classes) for w in named]
    for params in _powers(space):
        _try(space, params, classes, chosen)
    for params in _points(space):
        if len(chosen.weightings) >= most:
            break
        _try(space, params, classes, chosen)
    shares = np.stack(chosen.shares)
    return Candidates(
        weightings=tuple(chosen.weightings),
        params=tuple(chosen.params),
        shares=shares,
        features=classes.features(shares),
        plain=classes.plain(shares),
        named=tuple(of_named),
    )


class _Chosen:
    """The candidates so far."""

    def __init__(self) -> None:
        self.weightings: list[Weighting] = []
        self.params: list[dict[str, ParameterValue] | None] = []
        self.shares: list[FloatArray] = []
        self.rows = np.empty((0, 0))

    def add(
        self,
        weighting: Weighting,
        params: dict[str, ParameterValue] | None,
        shares: FloatArray,
        classes: Counts,
    ) -> int:
        """Return the number of the candidate that the weighting is, or becomes."""
        number = len(self.shares)
        if number:
            distances = classes.distances(shares, self.rows[:number])
            if distances.min() < DISTANCE:
                return int(distances.argmin())
        if number >= len(self.rows):
            grown = np.empty((max(64, number), len(shares)))
            self.rows = np.concatenate([self.rows, grown]) if number else grown
        self.rows[number] = shares
        self.weightings.append(weighting)
        self.params.append(params)
        self.shares.append(shares)
        return number


def _try(space: Space, params: dict[str, ParameterValue], classes: Counts, chosen: _Chosen) -> None:
    """Make a candidate of what the parameters give, unless the guards refuse it or one is near."""
    strategy = space.strategy(params)
    weighting = strategy.weighting
    if strategy != Strategy.of(weighting):
        raise ValueError(f"space {space.name!r}: has strategies beside class weights; must not")
    try:
        shares = classes.shares(weighting)
    except WeightingError:
        return
    chosen.add(weighting, params, shares, classes)


def _powers(space: Space) -> list[dict[str, ParameterValue]]:
    """The parameters of ``POWERS``: all other parameters at the first or lowest of their values."""
    domains = {domain.name: domain for domain in space.searched(SCALE_FREE_LOSS)}
    exponent = domains.get("exponent")
    if not isinstance(exponent, Float):
        return []
    plain: dict[str, ParameterValue] = {}
    for domain in domains.values():
        if space.active(domain, plain):
            plain[domain.name] = domain.low if isinstance(domain, Float) else domain.choices[0]
    return [plain | {"exponent": p} for p in POWERS if exponent.low <= p <= exponent.high]


def _points(space: Space) -> list[dict[str, ParameterValue]]:
    """The parameters of ``POINTS`` points of low discrepancy, active ones only."""
    from scipy.stats import qmc  # half a second, which looking at a run need not cost

    domains = space.searched(SCALE_FREE_LOSS)
    found = []
    for row in qmc.Sobol(len(domains), scramble=False).random(POINTS).tolist():
        params: dict[str, ParameterValue] = {}
        for domain, x in zip(domains, row, strict=True):
            if not space.active(domain, params):
                continue
            if not isinstance(domain, Float):
                params[domain.name] = domain.choices[int(x * len(domain.choices))]
            elif domain.log:
                value = domain.low * (domain.high / domain.low) ** x
                params[domain.name] = float(f"{min(value, domain.high):.6g}")
            else:
                params[domain.name] = float(f"{domain.low + x * (domain.high - domain.low):.6g}")
        found.append(params)
    return found


def spread_points(candidates: Candidates, first: Sequence[int], number: int) -> list[int]:
    """Return candidates far from ``first`` and from each other, by square roots of their shares.

    Each is the farthest from all before it; there are fewer where the candidates end.
    """
    roots = np.sqrt(candidates.shares)
    nearest = np.full(len(roots), np.inf)
    for index in first:
        nearest = np.minimum(nearest, ((roots - roots[index]) ** 2).sum(axis=1))
    found: list[int] = []
    while len(found) < number and len(found) + len(set(first)) < len(roots):
        index = int(nearest.argmax())
        found.append(index)
        nearest = np.minimum(nearest, ((roots - roots[index]) ** 2).sum(axis=1))
    return found
