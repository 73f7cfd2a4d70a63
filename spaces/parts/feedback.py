"""Feedback lets the losses of a training decide what its next epochs weigh and show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from spaces.errors import WeightingError
from spaces.schedule import Ramp
from spaces.weighting.fields import (
    Interval,
    check_keys,
    check_numbers,
    check_word,
    differing,
    read_part,
)

Onto: TypeAlias = Literal["none", "weights", "sampling"]
ONTO: tuple[Onto, ...] = ("none", "weights", "sampling")

_RANGES = {
    "strength": Interval(0, 4, low_open=True),
    "memory": Interval(0, 1, high_open=True),
    "limit": Interval(1, 6, low_open=True),
    "spared": Interval(0, 0.5),
}
FEEDBACK_NUMBERS = tuple(_RANGES)
"""Fields that are plain numbers."""


@dataclass(frozen=True)
class Feedback:
    """What follows from the training losses of the epochs before; the default is nothing.

    The loss of an image is its cross entropy in the training step, without any weights. Moving
    averages `memory m + (1 - memory) loss` are kept of the mean loss of each class, from where the
    ramp begins (so that early confusion does not count, and errors that persist do), and of the
    loss of each image, in the epochs that show it. Class c then has the factor `u_c^tau`,
    `u_c = clip((m_c / mean m)^strength, 1 / limit, limit)`, tau the share of the ramp: harder
    classes count more (after Sinha et al., ACCV 2020, who use validation accuracy). Of each class
    the share `tau spared` of the images, those of the highest losses, is not shown: labels that
    are wrong are learned last (Han et al., NeurIPS 2018).

    Attributes:
        onto: what the factors multiply: "none"; "weights" of the loss; "sampling", the
            probabilities with which classes are drawn.
        strength: in (0, 4], how far classes follow their losses.
        memory: in [0, 1) of the moving averages; 0 is the last epoch alone.
        limit: in (1, 6] of the factors.
        spared: in [0, .5], share of images of each class that are taken for noise.
        ramp: the share of each epoch with which all this acts.

    Raises:
        WeightingError: a field is out of its range, or inert.
    """

    onto: Onto = "none"
    strength: float = 1.0
    memory: float = 0.8
    limit: float = 4.0
    spared: float = 0.0
    ramp: Ramp = field(default_factory=Ramp)

    def __post_init__(self) -> None:
        check_word("onto", self.onto, ONTO)
        check_numbers(self, _RANGES)
        given = [name for name in ("strength", "limit") if getattr(self, name) != _usual(name)]
        if self.onto == "none" and given:
            raise WeightingError(
                f"onto: got 'none' beside {', '.join(given)}; must be weights or sampling"
            )
        if not self.acts and self.ramp != Ramp():
            raise WeightingError(
                f"ramp: got {self.ramp.to_dict()}; needs onto weights or sampling, or images that "
                "are spared"
            )

    @property
    def acts(self) -> bool:
        """Whether factors or spared images follow from the losses."""
        return self.onto != "none" or self.spared > 0.0

    def to_dict(self) -> dict[str, Any]:
        """The fields that differ from the default, JSON-able."""
        values = differing(self)
        return values | ({"ramp": self.ramp.to_dict()} if "ramp" in values else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Feedback:
        """What `to_dict` wrote; WeightingError for an unknown key or a bad value."""
        check_keys(values, "feedback", [one.name for one in fields(cls)])
        parts = dict(values)
        if "ramp" in parts:
            parts["ramp"] = read_part("ramp", parts["ramp"], Ramp.from_dict)
        return cls(**parts)

    def describe(self) -> str:
        """One short line, such as "feedback weights strength=1 memory=0.8"; "" for none."""
        if not self.acts:
            return "" if self == Feedback() else f"memory={self.memory:.4g}"
        words = ["feedback"]
        if self.onto != "none":
            words += [self.onto, f"strength={self.strength:.4g}", f"limit={self.limit:.4g}"]
        words += [f"spared={self.spared:.4g}"] if self.spared else []
        return " ".join(filter(None, (*words, f"memory={self.memory:.4g}", self.ramp.describe())))

    def in_words(self) -> list[str]:
        """What the feedback does, in sentences without a full stop."""
        onto = {"weights": "weighs", "sampling": "is drawn"}.get(self.onto)
        power = "" if self.strength == 1.0 else f"^{self.strength:.3g}"
        parts = (
            (
                onto,
                f"a class {onto} (its training loss over the mean of all){power} times as much, "
                f"{self.limit:.3g} times at most",
            ),
            (
                self.spared,
                f"the {100 * self.spared:.3g} % of each class's images with the highest losses "
                "are not shown",
            ),
        )
        return [text for acts, text in parts if acts]


def _usual(name: str) -> Any:
    return next(one.default for one in fields(Feedback) if one.name == name)
