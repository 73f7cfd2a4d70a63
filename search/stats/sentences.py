"""Sentences that say estimates in plain English, in percent and in noise SDs."""

from __future__ import annotations

from collections.abc import Sequence

from search.stats.estimate import Arm, Difference, Unit
from spaces.parts.words import number_of

NOISE_SD_MEANING = (
    "A noise SD is the standard deviation between runs of one weighting that differ in the seed "
    "alone, on each benchmark its own."
)


def accuracy_sentence(winner: Arm, given: bool, scored: str) -> str:
    """Say what the winner scores, percent, by its name where it was given.

    ``scored`` is what that is, such as "test accuracy".
    """
    subject = f"The {scored} of {winner.name}" if given else f"Its {scored}"
    caution = "" if given else ", not corrected for the choice,"
    seeds, accuracy = number_of(winner.seeds, "seed"), winner.accuracy
    return (
        f"{subject} with a fresh seed is {accuracy.mean:.2f} % on average "
        f"(95 % interval {accuracy.low:.2f} to {accuracy.high:.2f}; the plain mean "
        f"of its {seeds}{caution} is {winner.raw_mean:.2f})."
    )


def difference_sentence(difference: Difference, unit: Unit) -> str:
    """Say by how much the winner is better or worse than a control, or that it cannot be told."""
    points, control = difference.points, difference.control
    interval = (
        f"(95 % interval {points.low:+z.2f} to {points.high:+z.2f}; it is better with a "
        f"probability {probability(difference.probability)})"
    )
    known = points.low > 0 or points.high < 0
    doubt = f"The data cannot tell whether it is better than {control}: "
    if unit == Unit.NOISE_SDS:
        size = f"averaged over the benchmarks, is {points.mean:+z.2f} {unit} {interval}."
        return f"Its gain over {control}, {size}" if known else f"{doubt}its gain, {size}"
    if known:
        better = "better" if points.mean > 0 else "worse"
        return f"It is {abs(points.mean):.2f} points {better} than {control} {interval}."
    return f"{doubt}the difference is {points.mean:+z.2f} points {interval}."


def ties_sentence(winner: str, ties: Sequence[str], loss: float, unit: Unit) -> str:
    """Say which arms cannot be separated from the winner, and what the choice may cost."""
    units = unit.of_differences
    return (
        f"The data cannot separate {listed(ties)} from it. Choosing {winner} "
        f"costs {loss:.2f} {units} on average against the truly best of them."
    )


def use_sentence(
    winner: Arm,
    difference: Difference | None,
    controls: Sequence[str],
    unit: Unit,
    images: str = "",
    alone: bool = False,
) -> str:
    """Say which weighting to use and what it gains over a control, or that nothing was found.

    Args:
        difference: to uniform, or else to the control that is left; None without any.
        controls: their names, uniform first.
        images: where it gains that, if it is to be said, such as "on the test images".
        alone: whether no other arm is left.
    """
    if winner.name == controls[0]:
        return f"Use {winner.name}: nothing that was found could be shown to be better."
    gain = "it is the only weighting left"
    if difference:
        gain = gain_text(difference, unit, images)
    elif not alone:
        other = "other " if winner.name in controls else ""
        gain = f"no {other}control is left to compare it with"
    if winner.name in controls:
        gain += "; nothing that was searched could be shown to be better than this control"
    return f"Use {winner.name}: {gain}."


def gain_text(difference: Difference, unit: Unit, images: str = "") -> str:
    points, units = difference.points, unit.of_differences
    mean = "" if unit == Unit.PERCENT else ", mean over the benchmarks"
    where = f"{difference.control} {images}".strip()
    text = (
        f"{abs(points.mean):.2f} {units} {'over' if points.mean >= 0 else 'below'} "
        f"{where} (95 % interval {points.low:+z.2f} to {points.high:+z.2f}{mean})"
    )
    if points.low > 0 or points.high < 0:
        return text
    chance = probability(difference.probability)
    return f"{text}, which may be none: it is better with a probability {chance}"


def winner_sentence(winner: Arm, arms: str, tied: bool) -> str:
    """Say which of the ``arms``, such as "3 weightings", won, and how surely."""
    chance = f"a probability {probability(winner.probability_best)}"
    if tied:
        return (
            f"The data cannot tell which of {arms} is the best: "
            f"{winner.name} leads, and is the best with {chance}."
        )
    return f"{winner.name} is the best of {arms} with {chance}."


def alike_sentence(winner: Arm, arms: str, unit: Unit) -> str:
    """Say that all ``arms`` reached the same, so that nothing was found."""
    reached = f", {winner.raw_mean:.2f} % on average" if unit == Unit.PERCENT else ""
    return f"Use {winner.name}: nothing was found, as all {arms} reached the same{reached}."


def probability(value: float) -> str:
    """Two digits; never 0 or 1, which no posterior draws can show."""
    return "above 0.99" if value > 0.99 else "below 0.01" if value < 0.01 else f"of {value:.2f}"


def listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
