"""Controls of a search: the named weightings that run on given class counts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy.typing as npt

from search.config.settings import UNIFORM
from search.stats.replicates import SAME_WEIGHTING
from spaces import BASELINES, NAMED, WeightingError, check_weights, total_variation
from spaces.errors import FieldError


@dataclass(frozen=True)
class Controls:
    """The controls of a search.

    Attributes:
        names: of those that run, in their order.
        left_out: name -> why it does not run, in a sentence.
        refused: those of ``left_out`` that cannot train on these counts.
    """

    names: tuple[str, ...]
    left_out: dict[str, str]
    refused: tuple[str, ...]


def controls_for(names: Sequence[str], counts: Sequence[npt.ArrayLike]) -> Controls:
    """Return which named weightings run on benchmarks with these class counts, each (C_b,).

    One within a total variation of .01 of an earlier one, or of uniform, on every benchmark is a
    replicate of it: running both would be two runs of one control.
    """
    kept: list[str] = []
    left_out: dict[str, str] = {}
    reasons = {name: refusal(name, counts) for name in names}
    for name, reason in reasons.items():
        if reason:
            left_out[name] = f"{name} is no control: it cannot train on these counts ({reason})"
            continue
        earlier = [UNIFORM, *kept] if UNIFORM in names and name != UNIFORM else kept
        gaps = {other: distance(name, other, counts) for other in earlier}
        nearest = min(gaps, key=lambda other: gaps[other], default=None)
        if nearest is None or gaps[nearest] >= SAME_WEIGHTING:
            kept.append(name)
        else:
            left_out[name] = (
                f"{name} is the same weighting as {nearest} on these counts (total variation "
                f"{gaps[nearest]:.4f}): trained once"
            )
    return Controls(tuple(kept), left_out, tuple(name for name in names if reasons[name]))


def checked_controls(names: Sequence[str], counts: Sequence[npt.ArrayLike]) -> Controls:
    """Return the controls, after checking that none that was asked for is left out as refused.

    Raises:
        FieldError: one cannot train on these counts, and ``names`` are not the default.
    """
    found = controls_for(names, counts)
    if found.refused and tuple(names) != BASELINES:
        raise FieldError(f"baselines: {found.left_out[found.refused[0]]}; leave it out.")
    return found


def sentences_on(
    names: Iterable[str], recorded: Collection[str], counts: Sequence[npt.ArrayLike]
) -> list[str]:
    """Return why each of the controls ``names`` is not among those ``recorded`` of a run."""
    left_out = controls_for(tuple(names), counts).left_out
    return [sentence for name, sentence in left_out.items() if name not in recorded]


def refusal(name: str, counts: Iterable[npt.ArrayLike]) -> str | None:
    """Return why a named weighting cannot train on one of these counts, None if it can."""
    for numbers in counts:
        try:
            check_weights(numbers, NAMED[name].weighting.weights(numbers))
        except WeightingError as error:
            return str(error).rsplit("; ", 1)[0]  # without the advice, which is for parameters
    return None


def distance(a: str, b: str, counts: Iterable[npt.ArrayLike]) -> float:
    """Return the largest total variation, in [0, 1], between two named weightings."""
    pair = NAMED[a].weighting, NAMED[b].weighting
    return max(total_variation(n, *(point.weights(n) for point in pair)) for n in counts)
