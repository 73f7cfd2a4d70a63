"""Strategies that a search runs first on given class counts: controls, and those of its space."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy.typing as npt

from search.config.settings import UNIFORM, Settings
from search.stats.replicates import SAME_WEIGHTING
from spaces import (
    CLASS_WEIGHTS,
    SPACES,
    STRATEGIES,
    WeightingError,
    check_recipe,
    strategy_distance,
)
from spaces.errors import FieldError


@dataclass(frozen=True)
class Controls:
    """The strategies that run first.

    Attributes:
        names: of the controls, in their order.
        named: of the further strategies of the space, which run once like proposals.
        left_out: name -> why it does not run, in a sentence.
        refused: the controls of ``left_out`` that cannot train on these counts.
    """

    names: tuple[str, ...]
    named: tuple[str, ...]
    left_out: dict[str, str]
    refused: tuple[str, ...]


def default_baselines(space: str) -> tuple[str, ...]:
    """Return the controls of a search of a space: the class weights that it names."""
    named = SPACES[space].named if space in SPACES else ()
    return tuple(name for name in named if STRATEGIES[name].strategy.kind == CLASS_WEIGHTS)


def controls_for(
    names: Sequence[str], counts: Sequence[npt.ArrayLike], named: Iterable[str] = ()
) -> Controls:
    """Return which named strategies run on benchmarks with these class counts, each (C_b,).

    One within ``SAME_WEIGHTING`` of an earlier one, or of uniform, on every benchmark is a
    replicate of it: running both would be two runs of one strategy.

    Args:
        names: of the controls.
        named: of the space's strategies, the controls among them or not.
    """
    kept: list[str] = []
    left_out: dict[str, str] = {}
    every = dict.fromkeys((*names, *further(named)))
    reasons = {name: refusal(name, counts) for name in every}
    for name, reason in reasons.items():
        if reason:
            what = "is no control" if name in names else "does not run"
            left_out[name] = f"{name} {what}: it cannot train on these counts ({reason})"
            continue
        earlier = [UNIFORM, *kept] if UNIFORM in names and name != UNIFORM else kept
        gaps = {other: distance(name, other, counts) for other in earlier}
        nearest = min(gaps, key=lambda other: gaps[other], default=None)
        if nearest is None or gaps[nearest] >= SAME_WEIGHTING:
            kept.append(name)
        else:
            what = "weighting" if STRATEGIES[name].strategy.kind == CLASS_WEIGHTS else "strategy"
            left_out[name] = (
                f"{name} is the same {what} as {nearest} on these counts (total variation "
                f"{gaps[nearest]:.4f}): trained once"
            )
    return Controls(
        names=tuple(name for name in kept if name in names),
        named=tuple(name for name in kept if name not in names),
        left_out=left_out,
        refused=tuple(name for name in names if reasons[name]),
    )


def checked_controls(settings: Settings, counts: Sequence[npt.ArrayLike]) -> Controls:
    """Return what runs first, after checking that no control that was asked for is refused.

    Raises:
        FieldError: one cannot train on these counts, and the controls are not the default.
    """
    names = settings.baselines
    found = controls_for(names, counts, SPACES[settings.space].named)
    if found.refused and names != default_baselines(settings.space):
        raise FieldError(f"baselines: {found.left_out[found.refused[0]]}; leave it out.")
    return found


def sentences_on(
    settings: Settings, recorded: Collection[str], counts: Sequence[npt.ArrayLike]
) -> list[str]:
    """Return why each of those that would run first is not among those ``recorded`` of a run."""
    left_out = controls_for(settings.baselines, counts, SPACES[settings.space].named).left_out
    return [sentence for name, sentence in left_out.items() if name not in recorded]


def further(named: Iterable[str]) -> tuple[str, ...]:
    """Return the strategies of a space that are more than class weights."""
    return tuple(name for name in named if STRATEGIES[name].strategy.kind != CLASS_WEIGHTS)


def refusal(name: str, counts: Iterable[npt.ArrayLike]) -> str | None:
    """Return why a named strategy cannot train on one of these counts, None if it can."""
    for numbers in counts:
        try:
            check_recipe(STRATEGIES[name].strategy.recipe(numbers))
        except WeightingError as error:
            return str(error).rsplit("; ", 1)[0]  # without the advice, which is for parameters
    return None


def distance(a: str, b: str, counts: Iterable[npt.ArrayLike]) -> float:
    """Return the largest distance, in [0, 1], between two named strategies."""
    pair = STRATEGIES[a].strategy, STRATEGIES[b].strategy
    return max(strategy_distance(*(strategy.recipe(n) for strategy in pair)) for n in counts)
