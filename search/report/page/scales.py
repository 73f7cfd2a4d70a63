"""Scales place values of a chart along an axis, linear or logarithmic, with round ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MOST_TICKS = 7
FEW_EPOCHS = 10
"""Of which each has a tick."""
OUTLIER_SHARE = 0.02
"""Of values, the worst, that may lie beyond a chart, which they would flatten."""


@dataclass(frozen=True)
class Scale:
    """Place of values between two ends of an axis.

    Attributes:
        low, high: values at its ends, low < high; above 0 on a logarithmic one.
        start, end: where those are, in units of the drawing.
        log: whether equal ratios take equal space.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value is; one outside of the ends is drawn at the end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values between the ends, at most ``MOST_TICKS``."""
        return _log_ticks(self.low, self.high) if self.log else _ticks(self.low, self.high)


def around(values: Iterable[float], start: float, end: float, zero: bool = False) -> Scale:
    """Return a linear scale with some room around values; ``zero`` is shown in any case."""
    known = [*values, *([0.0] if zero else [])] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = 0.05 * (high - low) or max(abs(high) * 0.05, 0.5)
    return Scale(low - room, high + room, start, end)


def around_log(values: Iterable[float], start: float, end: float) -> Scale:
    """Return a logarithmic scale with some room around values above 0."""
    known = list(values)
    low, high = min(known), max(known)
    room = (high / low) ** 0.05 if high > low else 1.5
    return Scale(low / room, high * room, start, end, log=True)


def beyond(values: Iterable[float], scale: Scale) -> str:
    """Return the end of a note: how many values lie beyond a chart; empty for none."""
    outside = sum(value < scale.low or value > scale.high for value in values)
    return f" Values beyond the chart, drawn at its edge: {outside}." if outside else ""


def number(value: float) -> str:
    """Return a tick's label: a number as short as it can be."""
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.6g}"


def _ticks(low: float, high: float) -> list[float]:
    magnitude = 10.0 ** math.floor(math.log10((high - low) / MOST_TICKS))
    step = next(
        step
        for step in (magnitude * factor for factor in (1, 2, 5, 10, 20))
        if (high - low) / step < MOST_TICKS
    )
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [f * 10.0**k for k in exponents for f in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= MOST_TICKS:
            return inside
    return inside[:: math.ceil(len(inside) / MOST_TICKS)]


def epoch_ticks(epochs: int) -> list[tuple[float, str]] | None:
    """Return a tick for each of a few epochs; None for more, which have round numbers."""
    return [(float(e), str(e)) for e in range(1, epochs + 1)] if epochs <= FEW_EPOCHS else None
