"""A space maps flat parameters, each drawn from its domain, to training strategies.

A parameter that bears the name of a field of `Weighting` sets that field of the class weights while
it is active, one of `COMPOSED` sets what its name says of the strategy, and any other is a switch
that decides which of the others are active.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeAlias

from spaces.counts import as_number
from spaces.errors import WeightingError, did_you_mean
from spaces.loss import Logits, Smoothing
from spaces.parts.auxiliary import Auxiliary
from spaces.parts.curriculum import Curriculum
from spaces.parts.feedback import Feedback
from spaces.parts.mixing import Mixing
from spaces.recipe import Variant
from spaces.schedule import Mix, Ramp, Sampling, Schedule
from spaces.strategies import STRATEGIES
from spaces.strategy import CLASS_WEIGHTS, Strategy
from spaces.weighting.family import Weighting
from spaces.weighting.fields import check_word

ParameterValue: TypeAlias = float | str
_FIELDS = frozenset(field.name for field in fields(Weighting))
_LOGITS = ("additive", "multiplicative", "margin", "margin_power")
COMPOSED = frozenset(_LOGITS) | {
    *("focusing", "smoothing_head", "smoothing_tail"),
    *("weight_begin", "weight_span", "ramp_power"),
    *("sampling_exponent", "sampling_begin", "sampling_span", "mix", "draw"),
    *("order", "difficulty", "first", "full_at", "pace_power"),
    *("onto", "strength", "memory", "feedback_begin"),
    *("auxiliary", "auxiliary_weight", "alone_until", "mixing_probability"),
}
"""Parameters of a strategy beside the fields of its class weights."""
_STRUCTURAL = frozenset(
    {"loss", "smoothing", "curriculum", "difficulty", "feedback", "branch", "auxiliary", "mixing"}
)
"""Choices on which the structure of a training step depends."""


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

    def share(self, value: float) -> float:
        """The share of the draws that lie below a value, in [0, 1] for one of the domain."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


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
        check_word(self.name, value, self.choices)
        return str(value)


Domain: TypeAlias = Float | Choice


@dataclass(frozen=True)
class Space:
    """A named, ordered set of domains; switches stand before the parameters they switch.

    Attributes:
        name: on the command line.
        domains: in the order in which they are drawn.
        description: what is searched, in a line.
        named: the names in `STRATEGIES` of those that are run once before others are proposed.
    """

    name: str
    domains: tuple[Domain, ...]
    description: str
    named: tuple[str, ...] = ()

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
            if name not in _FIELDS | COMPOSED | switches:
                raise WeightingError(
                    f"{self.name}: parameter {name!r} neither sets a field of a strategy nor "
                    "switches another parameter"
                )
        for name in self.named:
            check_word(f"{self.name}: named", name, tuple(STRATEGIES))

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

    @property
    def class_weights_alone(self) -> bool:
        """Whether all of its strategies are constant class weights and nothing else."""
        drawn = not any(domain.name in COMPOSED for domain in self.domains)
        return drawn and all(STRATEGIES[name].strategy.kind == CLASS_WEIGHTS for name in self.named)

    @property
    def variants(self) -> frozenset[Variant]:
        """The structures of a training step that a strategy of this space may need."""
        found = {Variant()}.union(*(STRATEGIES[name].strategy.variants for name in self.named))
        values = [_shapes(domain) for domain in self.domains]
        names = [domain.name for domain in self.domains]
        for params in itertools.product(*values):
            found |= self.strategy(dict(zip(names, params, strict=True))).variants
        return frozenset(found)

    def strategy(self, params: Mapping[str, ParameterValue]) -> Strategy:
        """The training strategy that a flat set of parameters means.

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
        values: dict[str, Any] = {}
        for domain in self.domains:
            if not self.active(domain, params) or (_inert(domain) and domain.name not in params):
                continue
            if domain.name not in params:
                raise WeightingError(
                    f"{domain.name}: is missing; space {self.name!r} needs it"
                    + (f" where {domain.when[0]}={domain.when[1]}" if domain.when else "")
                )
            values[domain.name] = domain.check(params[domain.name])
        return _composed(values)

    def fingerprint(self) -> str:
        """16 hexadecimal digits of the name and the domains, on which draws depend."""
        declared = [[type(domain).__name__, asdict(domain)] for domain in self.domains]
        text = json.dumps([self.name, declared], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _domain(self, name: str) -> Domain:
        return next(domain for domain in self.domains if domain.name == name)


def _composed(values: Mapping[str, Any]) -> Strategy:
    """The strategy of the active parameters, each within its domain."""
    weighting = Weighting.from_dict({name: x for name, x in values.items() if name in _FIELDS})
    rise = _ramp(values, "weight_begin", "weight_span", values.get("ramp_power", 1.0))
    sampling = Sampling()
    if values.get("sampling_exponent"):
        ramp = _ramp(values, "sampling_begin", "sampling_span", 1.0)
        drawn = Weighting(exponent=values["sampling_exponent"])
        mix: Mix = "power" if ramp == Ramp() else values.get("mix", "power")
        sampling = Sampling(drawn, ramp, mix, values.get("draw", "independent"))
    feedback = _feedback(values)
    if feedback.onto == "sampling":
        sampling = replace(sampling, draw="independent")
    return Strategy(
        weights=Schedule(weighting, Ramp() if weighting.is_uniform else rise),
        sampling=sampling,
        logits=Logits(**{name: values[name] for name in _LOGITS if name in values}),
        smoothing=Smoothing(values.get("smoothing_head", 0.0), values.get("smoothing_tail", 0.0)),
        focusing=values.get("focusing", 0.0),
        curriculum=_curriculum(values),
        feedback=feedback,
        auxiliary=_auxiliary(values),
        mixing=Mixing(values.get("mixing_probability", 0.0)),
    )


def _feedback(values: Mapping[str, Any]) -> Feedback:
    if "onto" not in values:
        return Feedback()
    begin = values["feedback_begin"]
    return Feedback(values["onto"], values["strength"], values["memory"], ramp=Ramp(begin, begin))


def _curriculum(values: Mapping[str, Any]) -> Curriculum:
    if "order" not in values:
        return Curriculum()
    ranked = {} if values["order"] == "random" else {"difficulty": values["difficulty"]}
    numbers = {name: values[name] for name in ("first", "full_at")}
    return Curriculum(values["order"], **ranked, **numbers, power=values["pace_power"])


def _auxiliary(values: Mapping[str, Any]) -> Auxiliary:
    if "auxiliary" not in values:
        return Auxiliary()
    alone = values.get("alone_until", 0.0)
    return Auxiliary(values["auxiliary"], values["auxiliary_weight"], alone)


def _ramp(values: Mapping[str, Any], begin: str, span: str, power: float) -> Ramp:
    """The ramp that begins there and takes that share of the rest of training."""
    first = values.get(begin, 0.0)
    last = min(first + values.get(span, 0.0) * (1.0 - first), 1.0)
    return Ramp(first, last, power if last > first else 1.0)


def _shapes(domain: Domain) -> tuple[ParameterValue, ...]:
    """Values between which the structure of a training step may differ."""
    if isinstance(domain, Float):
        return (domain.high,)
    return domain.choices if domain.name in _STRUCTURAL else domain.choices[:1]


def _inert(domain: Domain) -> bool:
    return isinstance(domain, Choice) and domain.inert_when_scale_free


def _check_condition(name: str, when: tuple[str, str], earlier: Mapping[str, Domain]) -> None:
    switch = earlier.get(when[0])
    if not isinstance(switch, Choice) or when[1] not in switch.choices:
        raise WeightingError(
            f"{name}: got when={when!r}; must be (name, value) of a Choice declared before it"
        )
