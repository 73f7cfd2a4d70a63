"""A curriculum opens the images of each class by and by, in an order of their difficulty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from spaces.errors import WeightingError
from spaces.schedule import Ramp
from spaces.weighting.fields import Interval, check_keys, check_numbers, check_word, differing

Order: TypeAlias = Literal["none", "easy", "hard", "random"]
Difficulty: TypeAlias = Literal["texture", "contrast", "loss", "column"]
ORDERS: tuple[Order, ...] = ("none", "easy", "hard", "random")
MEASURED: tuple[Difficulty, ...] = ("texture", "contrast", "loss")
"""Difficulties that any images have; "column" is one that a user's table gives."""
DIFFICULTIES: tuple[Difficulty, ...] = (*MEASURED, "column")

_RANGES = {
    "first": Interval(0, 1, low_open=True, high_open=True),
    "begin": Interval(0, 1, high_open=True),
    "full_at": Interval(0, 1, low_open=True),
    "power": Interval(0, 100, low_open=True),
}
PACES = tuple(_RANGES)
"""Fields that are numbers."""


@dataclass(frozen=True)
class Curriculum:
    """The pace at which the images of each class are opened to training; the default is none.

    In an epoch at progress x (`spaces.schedule.Ramp`) the share
    `first + (1 - first) clip((x - begin) / (full_at - begin), 0, 1)^power` of each class is open,
    one image or more: the first ones in the order. An epoch shows as many images of a class as it
    would without a curriculum; closed images are replaced by open ones, evenly. The ranks are
    within a class, because a tail class as a whole may be harder. Bengio et al. (ICML 2009); that
    a random order may do as well: Wu et al. (ICLR 2021).

    Attributes:
        order: "none"; "easy" or "hard" images first; "random", the control of equal pace.
        difficulty: of an image, which a random order does not use. "texture": its gradient
            energy; "contrast": the standard deviation of its values, where low contrast is hard;
            "loss": the moving average of its training loss (`spaces.parts.feedback`), where an
            image that was not shown yet is the hardest, as in self-paced learning (Kumar et al.,
            NeurIPS 2010); "column": that of a user's own table, such as occlusion.
        first: open share in (0, 1) at the beginning.
        begin: progress in [0, full_at) from which the share grows.
        full_at: progress in (begin, 1] from which all images are open.
        power: in (0, 100], 1 is linear; below 1 the share grows early, above 1 late.

    Raises:
        WeightingError: a field is out of its range, or inert.
    """

    order: Order = "none"
    difficulty: Difficulty = "texture"
    first: float = 0.4
    begin: float = 0.0
    full_at: float = 0.5
    power: float = 1.0

    def __post_init__(self) -> None:
        check_word("order", self.order, ORDERS)
        check_word("difficulty", self.difficulty, DIFFICULTIES)
        check_numbers(self, _RANGES)
        if self.full_at <= self.begin:
            raise WeightingError(
                f"full_at: got {self.full_at!r}; must be above begin {self.begin!r}, so that the "
                "open share grows without a jump"
            )
        given = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        if self.order == "none" and given:
            raise WeightingError(
                f"order: got 'none' beside {', '.join(given)}; must be easy, hard or random"
            )
        if self.order == "random" and self.difficulty != "texture":
            raise WeightingError(
                f"difficulty: got {self.difficulty!r}; must be left out for a random order, which "
                "does not use it"
            )

    @property
    def follows_losses(self) -> bool:
        """Whether the order changes with the losses of the training."""
        return self.difficulty == "loss"

    @property
    def pacing(self) -> Ramp:
        """The open share of each class by the progress of training; 1 throughout for "none"."""
        if self.order == "none":
            return Ramp()
        return Ramp(self.begin, self.full_at, self.power, start=self.first)

    def to_dict(self) -> dict[str, Any]:
        """The fields that differ from the default, JSON-able."""
        return differing(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Curriculum:
        """What `to_dict` wrote; WeightingError for an unknown key or a bad value."""
        check_keys(values, "curriculum", ("order", "difficulty", *_RANGES))
        return cls(**values)

    def describe(self) -> str:
        """One short line, such as "easy texture first=0.4 full_at=0.5"; "" for none."""
        if self.order == "none":
            return ""
        words = self.order if self.order == "random" else f"{self.order} {self.difficulty}"
        text = f"curriculum {words} first={self.first:.4g}"
        text += f" begin={self.begin:.4g}" if self.begin else ""
        text += f" full_at={self.full_at:.4g}"
        return text + (f" pace_power={self.power:.4g}" if self.power != 1.0 else "")

    def in_words(self) -> list[str]:
        """What the curriculum does, in a sentence without a full stop; nothing for none."""
        if self.order == "none":
            return []
        first = {
            "easy": f"those easiest by {self.difficulty} first",
            "hard": f"those hardest by {self.difficulty} first",
            "random": "in a random order",
        }[self.order]
        left = (1 + math.cos(math.pi * self.full_at)) / 2
        return [
            f"each class begins with {100 * self.first:.3g} % of its images, {first}, and has all "
            f"from {100 * self.full_at:.3g} % of training on, where a cosine has "
            f"{100 * left:.2g} % of its learning rate left"
        ]
