"""Replicates: strategies that train nearly alike, such as weightings of nearly equal shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spaces import CLASS_WEIGHTS, Recipe, Strategy
from spaces.counts import FloatArray
from spaces.measures import numbers_alike, schedule_shares, shares_distance
from spaces.weighting.measures import gradient_shares

SAME_WEIGHTING = 0.01
"""Total variation under which two weightings train as replicates of each other (protocol)."""


class Groups:
    """Which weightings are the same, told as they come, for a search on one or more benchmarks.

    A weighting joins the first group whose first member is within a total variation of .01 on
    every benchmark; else it founds the next group. Members are compared with the first member and
    not with each other, so that a chain of small steps cannot join distant weightings.

    Args:
        counts: class counts of each of the B benchmarks, (C_b,).

    Raises:
        ValueError: no benchmark.
    """

    def __init__(self, counts: Sequence[npt.ArrayLike]) -> None:
        if not counts:
            raise ValueError("counts: got no benchmark; there must be one or more")
        self._counts = [np.asarray(numbers) for numbers in counts]
        sizes = [numbers.size for numbers in self._counts]
        self._starts = np.cumsum([0, *sizes[:-1]])
        self._half = (sizes[0] + 1) // 2
        # Grown by doubling; the first len(self) rows are in use.
        self._founders = np.empty((64, sum(sizes)))
        self._halves = np.empty(64)
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def add(self, weights: Sequence[npt.ArrayLike]) -> int:
        """Return the group, from 0, of a weighting with these weights (C_b,) on each benchmark.

        Raises:
            ValueError: not one vector per benchmark.
            WeightingError: as ``spaces.weighting.measures.gradient_shares``.
        """
        pairs = zip(self._counts, weights, strict=True)
        shares = np.concatenate([gradient_shares(numbers, values) for numbers, values in pairs])
        near = self._near(shares)
        return int(near[0]) if near.size else self._found(shares)

    def _near(self, shares: FloatArray) -> npt.NDArray[np.intp]:
        """The groups that shares (sum of C_b,) belong to, ascending."""
        # No set of classes differs in its share by more than the total variation: one number per
        # founder spares most of the comparisons.
        halves = self._halves[: len(self)] - shares[: self._half].sum()
        possible = np.flatnonzero(np.abs(halves) < SAME_WEIGHTING)
        gaps = np.abs(self._founders[possible] - shares)
        distances = 0.5 * np.add.reduceat(gaps, self._starts, axis=1)
        return possible[(distances < SAME_WEIGHTING).all(axis=1)]

    def _found(self, shares: FloatArray) -> int:
        group = len(self)
        if group == len(self._founders):
            self._founders = np.concatenate([self._founders, np.empty_like(self._founders)])
            self._halves = np.concatenate([self._halves, np.empty_like(self._halves)])
        self._founders[group] = shares
        self._halves[group] = shares[: self._half].sum()
        self._number += 1
        return group


class StrategyGroups:
    """Which strategies are the same: class weights as ``Groups`` has them, others within a kind.

    A strategy of another kind joins the first group of its kind whose first member is within
    ``SAME_WEIGHTING`` by ``spaces.strategy_distance`` on every benchmark; else it founds the next.

    Args:
        counts: class counts of each of the B benchmarks, (C_b,).
    """

    def __init__(self, counts: Sequence[npt.ArrayLike]) -> None:
        self._counts = counts
        self._weightings = Groups(counts)
        self._of_weightings: list[int] = []
        self._founders: dict[str, list[Founder]] = {}
        self._number = 0

    def add(self, strategy: Strategy) -> int:
        """Return the group, from 0, of a strategy.

        Raises:
            WeightingError: it is too steep for the counts.
        """
        if strategy.kind == CLASS_WEIGHTS:
            group = self._weightings.add([strategy.weighting.weights(n) for n in self._counts])
            if group == len(self._of_weightings):
                self._of_weightings.append(self._found())
            return self._of_weightings[group]
        recipes = [strategy.recipe(numbers) for numbers in self._counts]
        here = Founder(self._number, recipes, [schedule_shares(recipe) for recipe in recipes])
        founders = self._founders.setdefault(strategy.kind, [])
        for founder in founders:
            if founder.is_alike(here):
                return founder.group
        founders.append(here)
        return self._found()

    def _found(self) -> int:
        self._number += 1
        return self._number - 1


@dataclass(frozen=True)
class Founder:
    """The first strategy of a group: what it trains by on each benchmark, and its shares."""

    group: int
    recipes: Sequence[Recipe]
    shares: Sequence[FloatArray]

    def is_alike(self, other: Founder) -> bool:
        """Whether the two are within ``SAME_WEIGHTING`` of each other on every benchmark."""
        return all(map(numbers_alike, self.recipes, other.recipes)) and all(
            shares_distance(*pair) < SAME_WEIGHTING
            for pair in zip(self.shares, other.shares, strict=True)
        )
