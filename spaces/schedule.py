"""A schedule gives the share, in each epoch, with which a weighting acts on a training run.

A weighting acts in one of two ways: on the loss, where it multiplies the loss of an image, or on
the sampling, where it is the weight with which an image is drawn: `P(c) ~ n_c v_c`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, TypeAlias

from spaces.errors import WeightingError
from spaces.weighting.family import Weighting
from spaces.weighting.fields import (
    Interval,
    check_keys,
    check_numbers,
    check_word,
    differing,
    read_part,
)

Mix: TypeAlias = Literal["power", "mixture"]
Draw: TypeAlias = Literal["independent", "cycled"]
MIXES: tuple[Mix, ...] = ("power", "mixture")
DRAWS: tuple[Draw, ...] = ("independent", "cycled")

_UNIT = Interval(0, 1)
_RANGES = {
    "begin": _UNIT,
    "end": _UNIT,
    "power": Interval(0, 100, low_open=True),
    "start": _UNIT,
    "stop": _UNIT,
}


@dataclass(frozen=True)
class Ramp:
    """A share tau in [0, 1] of each epoch; the default is 1 in every epoch.

    `tau = start + (stop - start) clip((x - begin) / (end - begin), 0, 1)^power`, where
    `x = (epoch - 1) / (epochs - 1)` is the progress of training; `begin = end` is a step, with
    tau = stop from x = begin on. A step at .8 of 200 epochs first acts in epoch 161, as the
    deferred re-weighting of Cao et al. (NeurIPS 2019) does.

    Attributes:
        begin: progress in [0, 1] up to which tau is start.
        end: progress in [begin, 1] from which tau is stop.
        power: in (0, 100], 1 is linear; below 1 tau rises early, above 1 late.
        start: tau in [0, 1] before begin.
        stop: tau in [0, 1] after end.

    Raises:
        WeightingError: a field is out of its range, or the ramp ends before it begins.
    """

    begin: float = 0.0
    end: float = 0.0
    power: float = 1.0
    start: float = 0.0
    stop: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self, _RANGES)
        if self.end < self.begin:
            raise WeightingError(
                f"end: got {self.end!r}; must be at least begin {self.begin!r}; a step has both "
                "alike"
            )
        if self.begin == self.end and self.power != 1.0:
            raise WeightingError(
                f"power: got {self.power!r}; must be 1 for a step, whose begin and end are alike"
            )
        if self.end == 0.0 and self.start != 0.0:
            raise WeightingError(
                f"start: got {self.start!r}; must be 0 for a ramp that ends at 0, where stop alone "
                "acts"
            )

    def tau(self, progress: float) -> float:
        """The share at a progress x in [0, 1] of training."""
        if self.begin == self.end:
            risen = float(progress >= self.begin)
        else:
            risen = (progress - self.begin) / (self.end - self.begin)
            risen = min(max(risen, 0.0), 1.0) ** self.power
        # So written, both ends are exact.
        return self.start * (1.0 - risen) + self.stop * risen

    def at(self, epoch: int, epochs: int) -> float:
        """The share in an epoch, from 1, of a training of so many epochs."""
        return self.tau((epoch - 1) / (epochs - 1) if epochs > 1 else 0.0)

    def first_constant_epoch(self, epochs: int) -> int:
        """The first epoch, from 1, from which the share no longer changes; 1 if it never does."""
        last = self.at(epochs, epochs)
        moving = (e for e in range(epochs - 1, 0, -1) if self.at(e, epochs) != last)
        return next(moving, 0) + 1

    def to_dict(self) -> dict[str, float]:
        """The fields that differ from the default ramp, JSON-able."""
        return differing(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Ramp:
        """The ramp that `to_dict` wrote; WeightingError for an unknown key or a bad value."""
        check_keys(values, "ramp", _RANGES)
        return cls(**values)

    def describe(self) -> str:
        """When the ramp acts, in words, such as "from 80 %"; "" for the default."""
        words = []
        if self.end > 0.0:
            words.append(f"from {100 * self.begin:.4g} %")
        if self.end > self.begin:
            words.append(f"to {100 * self.end:.4g} %")
        if self.power != 1.0:
            words.append(f"power {self.power:.4g}")
        if (self.start, self.stop) != (0.0, 1.0):
            words.append(f"share {self.start:.4g} to {self.stop:.4g}")
        return " ".join(words)


@dataclass(frozen=True)
class Schedule:
    """A weighting with the ramp by which it comes into force; the default is uniform weights.

    Attributes:
        weighting: a point of the family, whose weights are v.
        ramp: the share tau of each epoch.
        mix: "power": v^tau acts; "mixture": (1 - tau) of what acts without v, and tau of what acts
            with v, as class probabilities for sampling, as weights of mean sample weight 1 in the
            loss.

    Raises:
        WeightingError: an unknown mix, or a ramp of a weighting that is uniform anyway.
    """

    weighting: Weighting = field(default_factory=Weighting)
    ramp: Ramp = field(default_factory=Ramp)
    mix: Mix = "power"

    def __post_init__(self) -> None:
        check_word("mix", self.mix, MIXES)
        if self.weighting.is_uniform and self.ramp != Ramp():
            raise WeightingError(
                f"ramp: got {self.ramp.to_dict()}; needs a weighting with an exponent > 0, because "
                "a uniform one stays uniform"
            )
        if self.ramp == Ramp() and self.mix != "power":
            raise WeightingError(f"mix: got {self.mix!r}; needs a ramp, without which it is inert")

    @property
    def is_constant(self) -> bool:
        """Whether the weighting acts in full from the first epoch to the last."""
        return self.ramp == Ramp()

    def to_dict(self) -> dict[str, Any]:
        """The fields that differ from the default, JSON-able, those of the weighting among them."""
        own = {name: value for name, value in differing(self).items() if name != "weighting"}
        if "ramp" in own:
            own["ramp"] = self.ramp.to_dict()
        return {**self.weighting.to_dict(), **own}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The schedule that `to_dict` wrote; WeightingError for an unknown key or a bad value."""
        own = [name.name for name in fields(cls) if name.name != "weighting"]
        of_weighting = [name.name for name in fields(Weighting)]
        check_keys(values, cls.__name__.lower(), [*of_weighting, *own])
        parts = {name: value for name, value in values.items() if name in own}
        if "ramp" in parts:
            parts["ramp"] = read_part("ramp", parts["ramp"], Ramp.from_dict)
        flat = {name: value for name, value in values.items() if name in of_weighting}
        return cls(weighting=Weighting.from_dict(flat), **parts)

    def describe(self) -> str:
        """One short line for people, such as "p=1 from 80 %"."""
        words = (self.weighting.describe(), self.ramp.describe(), self.mix)
        return " ".join(word for word in words if word not in ("", "power"))


@dataclass(frozen=True)
class Sampling(Schedule):
    """A schedule of image weights; the default shows each image once in every epoch.

    Attributes:
        draw: "independent": each image of an epoch is drawn with replacement, as by torch's
            WeightedRandomSampler; "cycled": a class shows all of its images before one is repeated.

    Raises:
        WeightingError: as `Schedule`, or a draw that is unknown or has nothing to draw by.
    """

    draw: Draw = "independent"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_word("draw", self.draw, DRAWS)
        if self.weighting.is_uniform and self.draw != "independent":
            raise WeightingError(
                f"draw: got {self.draw!r}; needs a weighting with an exponent > 0, because uniform "
                "sampling shows each image once"
            )

    def describe(self) -> str:
        """One short line for people, such as "p=1 from 80 % cycled"."""
        return super().describe() + (" cycled" if self.draw == "cycled" else "")
