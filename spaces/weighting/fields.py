"""Fields of a frozen dataclass are checked against ranges, and written and read as JSON values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from spaces.counts import as_number
from spaces.errors import WeightingError, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True)
class Interval:
    """A range of numbers; an infinite end is open."""

    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"a finite number {'>' if self.low_open else '>='} {self.low:g}"
        left, right = "[("[self.low_open], "])"[self.high_open]
        return f"a number in {left}{self.low:g}, {self.high:g}{right}"


def check_numbers(instance: Any, ranges: Mapping[str, Interval]) -> None:
    """Make the named fields of a frozen dataclass floats; WeightingError out of their ranges."""
    for name, interval in ranges.items():
        value = getattr(instance, name)
        number = as_number(value)
        if number not in interval:
            raise WeightingError(f"{name}: got {value!r}; must be {interval}")
        object.__setattr__(instance, name, number)


def check_word(name: str, value: object, words: Iterable[str]) -> None:
    """Refuse a value that is none of the words with a WeightingError."""
    if not isinstance(value, str) or value not in words:
        raise WeightingError(
            f"{name}: got {value!r}; must be one of {', '.join(words)}{did_you_mean(value, words)}"
        )


def differing(instance: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from those of its default instance."""
    default = type(instance)()
    values = {field.name: getattr(instance, field.name) for field in fields(instance)}
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def check_keys(values: object, whose: str, known: Iterable[str]) -> None:
    """Refuse what is no mapping, or has an unknown key, with a WeightingError."""
    if not isinstance(values, Mapping):
        raise WeightingError(f"{whose}: got {values!r}; must be a mapping of field to value")
    for name in values:
        if name not in known:
            raise WeightingError(
                f"{name}: got {values[name]!r}; is not a field of a {whose}"
                f"{did_you_mean(name, known)}; known: {', '.join(known)}"
            )


def read_part(name: str, values: object, read: Callable[[Mapping[str, Any]], T]) -> T:
    """What `read` makes of the mapping under a name, whose errors then begin with the name."""
    if not isinstance(values, Mapping):
        raise WeightingError(f"{name}: got {values!r}; must be a mapping of field to value")
    try:
        return read(values)
    except WeightingError as error:
        raise WeightingError(f"{name}.{error}") from error
