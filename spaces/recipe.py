"""A recipe is a training strategy resolved on class counts: the numbers that a training uses.

The loss of a batch, with the probabilities p' of the changed logits z' (`spaces/loss.py`), is

    l_i = (1 - eps_y) (-ln p'_y) - eps_y mean_j ln p'_j
    L   = sum_i w_y (1 - p'_y)^focusing l_i / sum_i w_y

so that the scale of the weights is inert; at neutral values it is weighted cross-entropy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from spaces.counts import FloatArray
from spaces.parts.auxiliary import Auxiliary, AuxiliaryTask, Forwards
from spaces.parts.curriculum import Curriculum
from spaces.parts.feedback import Feedback
from spaces.parts.mixing import Augmentation, Mixing
from spaces.schedule import Draw, Mix, Ramp

Loss: TypeAlias = Literal["plain", "general"]
Head: TypeAlias = Literal["linear", "cosine"]
HEADS: tuple[Head, ...] = ("linear", "cosine")

_NEUTRAL = {"additive": 0.0, "multiplicative": 1.0, "margin": 0.0, "smoothing": 0.0}
"""Vector of the loss -> the value at which it does nothing."""
_PARTS: dict[str, Any] = {
    "curriculum": Curriculum,
    "feedback": Feedback,
    "auxiliary": Auxiliary,
    "mixing": Mixing,
    "augmentation": Augmentation,
}


@dataclass(frozen=True)
class Variant:
    """The structure of a training step, on which a captured graph depends.

    Attributes:
        loss: "plain": weighted cross-entropy; "general": the loss of `spaces/recipe.py`.
        head: the classifier, as `spaces.strategy.Strategy`.
        auxiliary, forwards: the task of a second batch, as `spaces.parts.auxiliary.Auxiliary`.
        mixed: images have boxes of others, or are shifted and cut.
        frozen: only the classifier is trained.
    """

    loss: Loss = "plain"
    head: Head = "linear"
    auxiliary: AuxiliaryTask = "none"
    forwards: Forwards = "separate"
    mixed: bool = False
    frozen: bool = False

    def __str__(self) -> str:
        """The parts that act, such as "general+cosine"."""
        parts = (
            (self.head != "linear", self.head),
            (self.auxiliary != "none", self.auxiliary),
            (self.forwards != "separate", self.forwards),
            (self.mixed, "mixed"),
            (self.frozen, "frozen"),
        )
        return "+".join([self.loss, *(word for acts, word in parts if acts)])


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training strategy on given class counts; vectors are (C,).

    Attributes:
        counts: images of each class, n.
        weights: of the loss in full force, non-negative, summing to C for a strategy's recipe.
        weights_ramp: the share of each epoch with which they act.
        weights_mix: as `spaces.schedule.Schedule`.
        sampling: image weights v by class in full force; None: each image once in every epoch.
        sampling_ramp, sampling_mix, draw: as `spaces.schedule.Sampling`.
        additive: iota, added to the logits; () for none.
        multiplicative: delta, the factors of the logits; () for none.
        margin: m, taken from the logit of an image's own class; () for none.
        scale: s of the logits.
        smoothing: eps in [0, 1); () for none.
        focusing: gamma of the focal loss.
        curriculum: as `spaces.parts.curriculum.Curriculum`.
        feedback: as `spaces.parts.feedback.Feedback`.
        head: as `spaces.strategy.Strategy`.
        auxiliary: as `spaces.parts.auxiliary.Auxiliary`.
        mixing, augmentation: as `spaces.parts.mixing`.
        retrain_from: as `spaces.strategy.Strategy`.
        adjustment, tau_norm: as `spaces.loss.PostHoc`.

    Raises:
        ValueError: a vector that has not C entries, or an entry that is not finite.
    """

    counts: tuple[int, ...]
    weights: tuple[float, ...]
    weights_ramp: Ramp = field(default_factory=Ramp)
    weights_mix: Mix = "power"
    sampling: tuple[float, ...] | None = None
    sampling_ramp: Ramp = field(default_factory=Ramp)
    sampling_mix: Mix = "power"
    draw: Draw = "independent"
    additive: tuple[float, ...] = ()
    multiplicative: tuple[float, ...] = ()
    margin: tuple[float, ...] = ()
    scale: float = 1.0
    smoothing: tuple[float, ...] = ()
    focusing: float = 0.0
    curriculum: Curriculum = field(default_factory=Curriculum)
    feedback: Feedback = field(default_factory=Feedback)
    head: Head = "linear"
    auxiliary: Auxiliary = field(default_factory=Auxiliary)
    mixing: Mixing = field(default_factory=Mixing)
    augmentation: Augmentation = field(default_factory=Augmentation)
    retrain_from: float = 0.0
    adjustment: float = 0.0
    tau_norm: float = 0.0

    def __post_init__(self) -> None:
        for name, value in _NEUTRAL.items():
            vector = getattr(self, name) or (value,) * len(self.counts)
            object.__setattr__(self, name, vector)
        for name in ("weights", "sampling", *_NEUTRAL):
            vector = getattr(self, name)
            if vector is None:
                continue
            if len(vector) != len(self.counts):
                raise ValueError(
                    f"{name} has {len(vector)} entries for {len(self.counts)} classes."
                )
            if not all(map(math.isfinite, vector)):
                raise ValueError(f"{name} must be finite, got {vector}.")
        if min(self.weights) < 0 or not any(self.weights):
            raise ValueError(f"weights must be non-negative and not all zero, got {self.weights}.")

    @cached_property
    def variant(self) -> Variant:
        """The structure of a training step."""
        neutral = all(set(getattr(self, name)) == {value} for name, value in _NEUTRAL.items())
        plain = neutral and self.scale == 1.0 and self.focusing == 0.0 and self.head == "linear"
        mixed = (self.mixing, self.augmentation) != (Mixing(), Augmentation())
        loss: Loss = "general" if mixed or self.follows_losses or not plain else "plain"
        return Variant(loss, self.head, self.auxiliary.task, self.auxiliary.forwards, mixed)

    @property
    def follows_losses(self) -> bool:
        """Whether the losses of an epoch's images change the epochs behind it."""
        return self.feedback.acts or self.curriculum.follows_losses

    @cached_property
    def variants(self) -> frozenset[Variant]:
        """The structures of all training steps."""
        return frozenset({self.variant, *([self._retraining] if self.retrain_from else [])})

    @cached_property
    def _retraining(self) -> Variant:
        return replace(self.variant, auxiliary="none", forwards="separate", frozen=True)

    def variant_at(self, epoch: int, epochs: int) -> Variant:
        """The structure of a training step in an epoch, from 1."""
        if self.retrain_from and self.retraining.at(epoch, epochs) == 1.0:
            return self._retraining
        return self.variant

    def first_retraining_epoch(self, epochs: int) -> int | None:
        """The first epoch, from 1, that trains the classifier alone; None without any."""
        if not self.retrain_from or epochs == 1:
            return None
        return self.retraining.first_constant_epoch(epochs)

    @property
    def retraining(self) -> Ramp:
        """1 from where the classifier alone is trained; constant where that is never."""
        return Ramp(self.retrain_from, self.retrain_from)

    @cached_property
    def is_static(self) -> bool:
        """Whether constant class weights are all that differs from plain cross-entropy."""
        return self == Recipe(self.counts, self.weights)

    def loss_weights(self, epoch: int, epochs: int) -> FloatArray:
        """The class weights of an epoch, from 1; float64 (C,), summing to C."""
        return self.loss_weights_at(self.weights_ramp.at(epoch, epochs))

    def loss_weights_at(self, tau: float) -> FloatArray:
        """The class weights at a share in [0, 1]; float64 (C,), summing to C."""
        full = np.asarray(self.weights, dtype=np.float64)
        if tau == 1.0:
            return full
        if tau == 0.0:
            return np.ones_like(full)
        if self.weights_mix == "power":
            mixed = full**tau
        else:
            mixed = (1.0 - tau) + tau * full / np.average(full, weights=self.counts)
        return mixed / float(mixed.mean())

    def class_probabilities(self, epoch: int, epochs: int) -> FloatArray | None:
        """The probability of each class in a draw of an epoch, from 1; float64 (C,), summing to 1.

        None where nothing is drawn, because each image is shown once.
        """
        if self.sampling is None:
            return None
        tau = self.sampling_ramp.at(epoch, epochs)
        return self.class_probabilities_at(tau) if tau > 0.0 else None

    def class_probabilities_at(self, tau: float) -> FloatArray:
        """The share of each class among the images shown at a share in [0, 1]; float64 (C,)."""
        numbers = np.asarray(self.counts, dtype=np.float64)
        regular = numbers / float(numbers.sum())
        if self.sampling is None or tau == 0.0:
            return regular
        full = np.asarray(self.sampling, dtype=np.float64)
        drawn = numbers * (full if self.sampling_mix == "mixture" else full**tau)
        drawn /= float(drawn.sum())
        return (1.0 - tau) * regular + tau * drawn if self.sampling_mix == "mixture" else drawn

    def to_dict(self) -> dict[str, Any]:
        """The fields that differ from a recipe of uniform weights, JSON-able."""
        plain = Recipe(self.counts, self.weights)
        values = {name.name: getattr(self, name.name) for name in fields(self)}
        return {
            name: _plain(value)
            for name, value in values.items()
            if name in ("counts", "weights") or value != getattr(plain, name)
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that `to_dict` wrote."""
        return cls(**{name: _read(name, value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return list(value) if isinstance(value, tuple) else value


def _read(name: str, value: Any) -> Any:
    if name.endswith("_ramp"):
        return Ramp.from_dict(value)
    if name in _PARTS:
        return _PARTS[name].from_dict(value)
    return tuple(value) if isinstance(value, list) else value
