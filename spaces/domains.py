"""A space maps flat parameters, each drawn from its domain, to weightings.

A parameter that bears the name of a field of `Weighting` sets that field while it is active; any
other parameter is a switch that decides which of the others are active.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TypeAlias

from spaces.counts import as_number
from spaces.errors import WeightingError, did_you_mean
from spaces.weighting.family import Weighting

ParameterValue: TypeAlias = float | str
_FIELDS = frozenset(field.name for field in fields(Weighting))


@dataclass(frozen=True)
class Float:
    """A number in [low, high], drawn uniformly or log-uniformly.

    `when=(name, value)` makes the parameter active only where the switch `name` has that value.
    """

    name: str
    low: float
    high: float
    log: bool = False
    when: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise WeightingError(
                f"{self.name}: got [{self.low}, {self.high}]; must be finite with low < high"
            )
        if self.log and self.low <= 0:
            raise WeightingError(f"{self.name}: got low={self.low} with log=True; low must be > 0")

    def check(self, value: object) -> float:
        """The value as a float; WeightingError outside [low, high]."""
        number = as_number(value)
        if self.low <= number <= self.high:
            return number
        raise WeightingError(
            f"{self.name}: got {value!r}; must be a number in [{self.low:g}, {self.high:g}]"
        )


@dataclass(frozen=True)
class Choice:
    """One of several words; `when` as for `Float`.

    `inert_when_scale_free` marks a parameter that only scales all weights by one factor: under a
    loss that divides by the sum of the sample weights its values are re-rolls of one trial.
    """

    name: str
    choices: tuple[str, ...]
    when: tuple[str, str] | None = None
    inert_when_scale_free: bool = False

    def __post_init__(self) -> None:
        if len(self.choices) < 2 or len(set(self.choices)) != len(self.choices):
            raise WeightingError(
                f"{self.name}: got choices {self.choices!r}; must be two or more different words"
            )

    def check(self, value: object) -> str:
        """The value; WeightingError when it is not one of the choices."""
        if not isinstance(value, str) or value not in self.choices:
            raise WeightingError(
                f"{self.name}: got {value!r}; must be one of {', '.join(self.choices)}"
                f"{did_you_mean(value, self.choices)}"
            )
        return value


Domain: TypeAlias = Float | Choice


@dataclass(frozen=True)
class Space:
    """A named, ordered set of domains; switches stand before the parameters they switch."""

    name: str
    domains: tuple[Domain, ...]
    description: str

    def __post_init__(self) -> None:
        seen: dict[str, Domain] = {}
        for domain in self.domains:
            if domain.name in seen:
                raise WeightingError(f"{self.name}: parameter {domain.name!r} is declared twice")
            if domain.when is not None:
                _check_condition(domain.name, domain.when, seen)
            seen[domain.name] = domain
        switches = {domain.when[0] for domain in self.domains if domain.when}
        for name in seen:
            if name not in _FIELDS | switches:
                raise WeightingError(
                    f"{self.name}: parameter {name!r} neither sets a field of Weighting nor "
                    "switches another parameter"
                )

    def searched(self, scale_free: bool) -> tuple[Domain, ...]:
        """The domains worth trials: all, less the inert ones where the loss is scale-free."""
        return tuple(d for d in self.domains if not (scale_free and _inert(d)))

    def collapsed(self, scale_free: bool) -> tuple[str, ...]:
        """The names that `searched` leaves out."""
        return tuple(d.name for d in self.domains if scale_free and _inert(d))

    def active(self, domain: Domain, params: Mapping[str, ParameterValue]) -> bool:
        """Whether the parameter acts, given the switches in `params`."""
        if domain.when is None:
            return True
        switch, value = domain.when
        return params.get(switch) == value and self.active(self._domain(switch), params)

    def weighting(self, params: Mapping[str, ParameterValue]) -> Weighting:
        """The point of the family that a flat set of parameters means.

        Inactive parameters may be present, because some samplers draw all of them each time; they
        are ignored. A parameter that only scales the weights may be absent.

        Raises:
            WeightingError: an unknown name, an active one missing, or a value outside its domain.
        """
        names = [domain.name for domain in self.domains]
        for name in params:
            if name not in names:
                raise WeightingError(
                    f"{name}: got {params[name]!r}; is not a parameter of space {self.name!r}"
                    f"{did_you_mean(name, names)}; known: {', '.join(names)}"
                )
        values: dict[str, ParameterValue] = {}
        for domain in self.domains:
            if not self.active(domain, params) or (_inert(domain) and domain.name not in params):
                continue
            if domain.name not in params:
                raise WeightingError(
                    f"{domain.name}: is missing; space {self.name!r} needs it"
                    + (f" where {domain.when[0]}={domain.when[1]}" if domain.when else "")
                )
            value = domain.check(params[domain.name])
            if domain.name in _FIELDS:
                values[domain.name] = value
        return Weighting.from_dict(values)

    def fingerprint(self) -> str:
        """16 hexadecimal digits of the declaration, the description aside: equal spaces only."""
        declared = [[type(domain).__name__, asdict(domain)] for domain in self.domains]
        text = json.dumps([self.name, declared], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _domain(self, name: str) -> Domain:
        return next(domain for domain in self.domains if domain.name == name)


def _inert(domain: Domain) -> bool:
    return isinstance(domain, Choice) and domain.inert_when_scale_free


def _check_condition(name: str, when: tuple[str, str], earlier: Mapping[str, Domain]) -> None:
    switch = earlier.get(when[0])
    if not isinstance(switch, Choice) or when[1] not in switch.choices:
        raise WeightingError(
            f"{name}: got when={when!r}; must be (name, value) of a Choice declared before it"
        )
