"""Effects of a space's parameters on the score, as the trials of a search show them.

The full-length proposals are split by one parameter at a time: into its words, or into quarters of
the trials by its number. What the others do is not taken out; a sampler that has found a good
region draws the parameters there together.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from search.stats.estimate import LEVEL, Estimate
from spaces import ParameterValue
from spaces.counts import FloatArray

QUARTERS = 4
FEWEST_TRIALS = 12
"""For effects to be told."""
PERMUTATIONS = 400


@dataclass(frozen=True)
class Level:
    """Trials of about one value of a parameter.

    Attributes:
        name: the word, the range of the number, or that the parameter does not act.
        trials: how many.
        score: their mean, with a t interval by the scatter within all levels.
    """

    name: str
    trials: int
    score: Estimate


@dataclass(frozen=True)
class Effect:
    """What a parameter does to the score.

    Attributes:
        name: of the parameter.
        levels: in the order of the values.
        explained: share of the variance between trials that the levels explain, 0 to 1.
        by_luck: what shuffled scores stay below in 95 % of cases.
    """

    name: str
    levels: tuple[Level, ...]
    explained: float
    by_luck: float

    @property
    def is_known(self) -> bool:
        """Whether the levels explain more than luck would."""
        return self.explained > self.by_luck


def effects(
    params: Sequence[Mapping[str, ParameterValue]], scores: Sequence[float]
) -> list[Effect]:
    """Return the effects of all parameters that vary, the one that explains most first.

    Args:
        params: of each trial, those that act in it alone.
        scores: of each trial, at full length.

    Returns:
        Nothing for fewer than ``FEWEST_TRIALS`` trials, or where all scores are equal.
    """
    values = np.asarray(scores, dtype=np.float64)
    if len(values) < FEWEST_TRIALS or values.min() == values.max():
        return []
    names = list(dict.fromkeys(name for trial in params for name in trial))
    found = (_effect(name, [trial.get(name) for trial in params], values) for name in names)
    return sorted((e for e in found if e), key=lambda effect: -effect.explained)


def _effect(name: str, drawn: Sequence[ParameterValue | None], values: FloatArray) -> Effect | None:
    names, level = _levels(drawn)
    counts = np.bincount(level, minlength=len(names))
    if (counts > 0).sum() < 2:
        return None
    means = np.bincount(level, values, minlength=len(names)) / np.maximum(counts, 1)
    freedom = len(values) - int((counts > 0).sum())
    within = float(((values - means[level]) ** 2).sum())
    sd = (within / max(freedom, 1)) ** 0.5
    width = float(special.stdtrit(max(freedom, 1), (1 + LEVEL) / 2)) * sd
    levels = []
    for index, text in enumerate(names):
        if counts[index]:
            half, mean = width / counts[index] ** 0.5, float(means[index])
            score = Estimate(mean, mean - half, mean + half)
            levels.append(Level(text, int(counts[index]), score))
    shuffled = np.random.default_rng(0).permuted(np.tile(values, (PERMUTATIONS, 1)), axis=1)
    explained, *luck = _explained(level, np.vstack([values, shuffled])).tolist()
    return Effect(name, tuple(levels), explained, float(np.quantile(luck, LEVEL)))


def _levels(drawn: Sequence[ParameterValue | None]) -> tuple[list[str], np.ndarray]:
    """Names of the levels, and the level of each trial."""
    numbers = sorted(float(v) for v in drawn if isinstance(v, float | int))
    words = sorted({v for v in drawn if isinstance(v, str)})
    cuts = np.unique(np.quantile(numbers, np.linspace(0, 1, QUARTERS + 1))) if numbers else None
    names, places = [], {}
    if cuts is not None:
        ends = list(itertools.pairwise(cuts.tolist())) or [(numbers[0], numbers[0])]
        names += [f"{low:.3g} to {high:.3g}" for low, high in ends]
    for word in (*words, None):
        if word is None and all(v is not None for v in drawn):
            continue
        places[word] = len(names)
        names.append("not in use" if word is None else word)
    level = [
        places[v] if v is None or isinstance(v, str) else _quarter(float(v), cuts) for v in drawn
    ]
    return names, np.array(level)


def _quarter(value: float, cuts: FloatArray | None) -> int:
    assert cuts is not None
    return int(np.clip(np.searchsorted(cuts, value, side="right") - 1, 0, max(len(cuts) - 2, 0)))


def _explained(level: np.ndarray, values: FloatArray) -> FloatArray:
    """Share of the variance that the levels (T,) explain, of each row of values (P, T): (P,)."""
    members = np.eye(int(level.max()) + 1)[:, level]
    counts = np.maximum(members.sum(axis=1), 1)
    centred = values - values.mean(axis=1, keepdims=True)
    between = ((centred @ members.T) ** 2 / counts).sum(axis=1)
    return np.asarray(between / (centred**2).sum(axis=1))
