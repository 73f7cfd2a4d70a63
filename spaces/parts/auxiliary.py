"""An auxiliary task trains the feature extractor beside the classification, on regular images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from spaces.errors import WeightingError
from spaces.schedule import Ramp
from spaces.weighting.fields import Interval, check_keys, check_numbers, check_word, differing

AuxiliaryTask: TypeAlias = Literal["none", "regular", "rotation"]
Forwards: TypeAlias = Literal["separate", "joint"]
TASKS: tuple[AuxiliaryTask, ...] = ("none", "regular", "rotation")
FORWARDS: tuple[Forwards, ...] = ("separate", "joint")

_RANGES = {"weight": Interval(0, 100), "alone_until": Interval(0, 1, high_open=True)}


@dataclass(frozen=True)
class Auxiliary:
    """A second classifier on the features of the network; the default is none.

    Each step takes a second batch of as many images, each of which an epoch shows once, as
    training without sampling does. The loss is that of the first batch plus `weight` times the
    cross entropy of the second classifier on the second batch. So the extractor learns from both
    ways of sampling, and the classifier that is tested from the first alone: two branches ("To
    Balance or Not to Balance", 2019; its abstract names the parts, and leaves the weight open).

    Attributes:
        task: "regular": the classes of the images; "rotation": by which of four quarter turns each
            image was rotated (Gidaris et al., ICLR 2018), which needs no labels.
        weight: in [0, 100], of the task's loss.
        alone_until: progress in [0, 1) before which the task trains alone, with weight 1:
            pretraining within the epochs.
        forwards: "separate": the batches go through the network one after the other, and only the
            first counts for the batch-norm statistics of the test; "joint": at once, normalised
            together.

    Raises:
        WeightingError: a field is out of its range, or inert.
    """

    task: AuxiliaryTask = "none"
    weight: float = 1.0
    alone_until: float = 0.0
    forwards: Forwards = "separate"

    def __post_init__(self) -> None:
        check_word("task", self.task, TASKS)
        check_word("forwards", self.forwards, FORWARDS)
        check_numbers(self, _RANGES)
        given = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        if self.task == "none" and given:
            raise WeightingError(
                f"task: got 'none' beside {', '.join(given)}; must be regular or rotation"
            )

    @property
    def ramp(self) -> Ramp:
        """The share of the main loss by the progress of training: 0 while the task is alone."""
        return Ramp(self.alone_until, self.alone_until)

    def shares(self, epoch: int, epochs: int) -> tuple[float, float]:
        """The factors of the main loss and of the task's in an epoch, from 1."""
        main = self.ramp.at(epoch, epochs)
        return main, self.weight if main else 1.0

    def to_dict(self) -> dict[str, Any]:
        """The fields that differ from the default, JSON-able."""
        return differing(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Auxiliary:
        """What `to_dict` wrote; WeightingError for an unknown key or a bad value."""
        check_keys(values, "auxiliary task", [field.name for field in fields(cls)])
        return cls(**values)

    def describe(self) -> str:
        """One short line, such as "auxiliary rotation auxiliary_weight=1"; "" for none."""
        if self.task == "none":
            return ""
        text = f"auxiliary {self.task} auxiliary_weight={self.weight:.4g}"
        text += f" alone_until={self.alone_until:.4g}" if self.alone_until else ""
        return text + (" joint" if self.forwards == "joint" else "")

    def in_words(self) -> list[str]:
        """What the task does, in sentences without a full stop."""
        if self.task == "none":
            return []
        learns = {
            "regular": "classifies images shown once each",
            "rotation": "tells by how many quarter turns images shown once each were rotated",
        }[self.task]
        text = f"a second classifier on the same features {learns}, with weight {self.weight:.3g}"
        alone = 100 * self.alone_until
        return [text + (f", and alone for {alone:.3g} % of training" if alone else "")]
