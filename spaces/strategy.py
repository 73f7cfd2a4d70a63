"""A training strategy composes all that a search may vary; its default is the fixed protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy.typing as npt

from spaces.counts import FloatArray, check_counts
from spaces.errors import WeightingError
from spaces.loss import POSTHOC, Logits, PostHoc, Smoothing
from spaces.parts.auxiliary import Auxiliary
from spaces.parts.curriculum import Curriculum
from spaces.parts.feedback import Feedback
from spaces.parts.mixing import Augmentation, Mixing
from spaces.recipe import HEADS, Head, Recipe, Variant
from spaces.schedule import Ramp, Sampling, Schedule
from spaces.weighting.family import Weighting
from spaces.weighting.fields import (
    Interval,
    check_keys,
    check_numbers,
    check_word,
    differing,
    read_part,
)
from spaces.weighting.measures import canonical_weights, rounded, weighting_key

CLASS_WEIGHTS = "class weights"
"""The kind of a strategy that is constant class weights and nothing else."""

_NUMBERS = {"focusing": Interval(0, 10), "adjustment": Interval(0), "tau_norm": Interval(0)}
_UNTIL_END = Interval(0, 1, high_open=True)
_PARTS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "weights": Schedule.from_dict,
    "sampling": Sampling.from_dict,
    "logits": Logits.from_dict,
    "smoothing": Smoothing.from_dict,
    "curriculum": Curriculum.from_dict,
    "feedback": Feedback.from_dict,
    "auxiliary": Auxiliary.from_dict,
    "mixing": Mixing.from_dict,
    "augmentation": Augmentation.from_dict,
}


@dataclass(frozen=True)
class Strategy:
    """How a network is trained on long-tailed data; the default is plain cross-entropy.

    Attributes:
        weights: class weights of the loss, by epoch.
        sampling: weights with which images are drawn, by epoch.
        logits: what the loss makes of the logits.
        smoothing: label smoothing by class.
        curriculum: the pace at which the images of each class are opened.
        feedback: what follows from the losses of the epochs before.
        head: "linear": a layer with a bias; "cosine": the logits z are the cosines of the features
            with the rows of that layer, for which `logits.scale` is of the order of 30 (LDAM).
        auxiliary: a second task of the feature extractor.
        mixing: boxes of other images, pasted into those of training.
        augmentation: of rare classes, beyond the protocol's.
        retrain_from: progress in [0, 1) from which a new classifier is trained on features that
            stay as they are, with a schedule of its own (cRT; Kang et al., ICLR 2020); 0: never.
        focusing: gamma in [0, 10] of the focal loss (Lin et al., ICCV 2017); 0 for none.
        adjustment: strength t of logit adjustment after training, one of `POSTHOC`; 0 for none.
        tau_norm: tau of tau-normalisation after training, one of `POSTHOC`; 0 for none.

    Raises:
        WeightingError: a field is out of its range, or tau_norm of rows whose norm is 1 anyway.
    """

    weights: Schedule = field(default_factory=Schedule)
    sampling: Sampling = field(default_factory=Sampling)
    logits: Logits = field(default_factory=Logits)
    smoothing: Smoothing = field(default_factory=Smoothing)
    curriculum: Curriculum = field(default_factory=Curriculum)
    feedback: Feedback = field(default_factory=Feedback)
    head: Head = "linear"
    auxiliary: Auxiliary = field(default_factory=Auxiliary)
    mixing: Mixing = field(default_factory=Mixing)
    augmentation: Augmentation = field(default_factory=Augmentation)
    retrain_from: float = 0.0
    focusing: float = 0.0
    adjustment: float = 0.0
    tau_norm: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, _NUMBERS | {"retrain_from": _UNTIL_END})
        check_word("head", self.head, HEADS)
        for name in ("adjustment", "tau_norm"):
            values = sorted({getattr(one, name) for one in POSTHOC})
            if getattr(self, name) not in values:
                raise WeightingError(
                    f"{name}: got {getattr(self, name)!r}; must be one of "
                    f"{', '.join(f'{value:g}' for value in values)}, which every test measures"
                )
        if self.posthoc not in POSTHOC:
            raise WeightingError(
                f"adjustment, tau_norm: got {self.adjustment!r} and {self.tau_norm!r}; give at "
                "most one of the two"
            )
        if self.tau_norm and self.head == "cosine":
            raise WeightingError(
                f"tau_norm: got {self.tau_norm!r}; must be 0 for a cosine classifier, whose rows "
                "have the norm 1"
            )
        self._check_feedback()

    def _check_feedback(self) -> None:
        """Refuse what does not go together with feedback."""
        feedback = self.feedback
        if feedback.spared and self.curriculum != Curriculum():
            raise WeightingError(
                f"spared: got {feedback.spared!r} beside a curriculum, which orders images itself; "
                "give one of the two"
            )
        if feedback.onto == "sampling" and self.sampling.draw == "cycled":
            raise WeightingError(
                "draw: got 'cycled' beside feedback onto sampling; must be independent, because "
                "cycles are planned ahead"
            )
        if feedback.memory != Feedback().memory and not self.follows_losses:
            raise WeightingError(
                f"memory: got {feedback.memory!r}; needs feedback that acts, or a curriculum by "
                "loss"
            )

    @classmethod
    def of(cls, weighting: Weighting) -> Strategy:
        """The strategy of constant class weights."""
        return cls(weights=Schedule(weighting))

    @property
    def weighting(self) -> Weighting:
        """The weighting of the loss, in full force."""
        return self.weights.weighting

    @property
    def posthoc(self) -> PostHoc:
        """What is done to the logits of the trained network."""
        return PostHoc(self.adjustment, self.tau_norm)

    @property
    def variants(self) -> frozenset[Variant]:
        """The structures of its training steps, on any counts."""
        return self.recipe((2, 1)).variants

    @property
    def ramps(self) -> tuple[Ramp, ...]:
        """By which training changes from epoch to epoch."""
        return (
            *(self.weights.ramp, self.sampling.ramp, self.curriculum.pacing),
            *(self.feedback.ramp, self.auxiliary.ramp),
            Ramp(self.retrain_from, self.retrain_from),
        )

    @property
    def follows_losses(self) -> bool:
        """Whether an epoch depends on the losses of those before it."""
        return self.feedback.acts or self.curriculum.follows_losses

    @property
    def is_static(self) -> bool:
        """Whether constant class weights are all that differs from the default."""
        return self.weights.is_constant and self == Strategy(weights=self.weights)

    @property
    def kind(self) -> str:
        """What the strategy changes: `CLASS_WEIGHTS` if that is all, else the parts, joined."""
        if self.is_static:
            return CLASS_WEIGHTS
        parts = (
            (not self.weights.is_constant, f"scheduled {CLASS_WEIGHTS}"),
            (self.weights.is_constant and not self.weighting.is_uniform, CLASS_WEIGHTS),
            (not self.sampling.is_constant, "scheduled sampling"),
            (self.sampling.is_constant and self.sampling != Sampling(), "sampling"),
            (self.logits != Logits(), "shifted logits"),
            (self.focusing > 0.0, "focal loss"),
            (self.smoothing != Smoothing(), "label smoothing"),
            (self.curriculum != Curriculum(), "curriculum"),
            (self.feedback.acts, "feedback"),
            (self.head == "cosine", "cosine classifier"),
            (self.auxiliary != Auxiliary(), "auxiliary task"),
            (self.mixing != Mixing(), "mixing"),
            (self.augmentation != Augmentation(), "augmentation by class"),
            (self.retrain_from > 0.0, "classifier re-training"),
            (self.posthoc != PostHoc(), "adjusted after training"),
        )
        return " + ".join(words for present, words in parts if present)

    def recipe(self, counts: npt.ArrayLike) -> Recipe:
        """The strategy resolved on class counts (C,); static: the canonical weights alone.

        Raises:
            WeightingError: the counts are not valid, or a weighting is too steep for them.
        """
        numbers = check_counts(counts)
        drawn = self.sampling
        uniform = drawn.weighting.is_uniform
        return Recipe(
            counts=tuple(numbers.tolist()),
            weights=_canonical(self.weighting, numbers),
            weights_ramp=self.weights.ramp,
            weights_mix=self.weights.mix,
            sampling=None if uniform else _canonical(drawn.weighting, numbers),
            sampling_ramp=drawn.ramp,
            sampling_mix=drawn.mix,
            draw=drawn.draw,
            additive=_tuple(self.logits.iota(numbers)),
            multiplicative=_tuple(self.logits.delta(numbers)),
            margin=_tuple(self.logits.margins(numbers)),
            scale=self.logits.scale,
            smoothing=_tuple(self.smoothing.epsilons(numbers)),
            focusing=self.focusing,
            curriculum=self.curriculum,
            feedback=self.feedback,
            head=self.head,
            auxiliary=self.auxiliary,
            mixing=self.mixing,
            augmentation=self.augmentation,
            retrain_from=self.retrain_from,
            adjustment=self.adjustment,
            tau_norm=self.tau_norm,
        )

    def key(self, counts: npt.ArrayLike) -> str:
        """16 hexadecimal digits, equal for strategies that are alike on these counts (9 digits).

        That of constant class weights is their `weighting_key`.
        """
        recipe = self.recipe(counts)
        if recipe.is_static:
            return weighting_key(recipe.weights)
        text = json.dumps(rounded(recipe.to_dict()), sort_keys=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The fields that differ from the default, JSON-able.

        Constant class weights are written as their weighting alone, flat.
        """
        if self.is_static:
            return dict(self.weighting.to_dict())
        values = differing(self)
        return {name: part.to_dict() if name in _PARTS else part for name, part in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Strategy:
        """The strategy that `to_dict` or `Weighting.to_dict` wrote.

        Raises:
            WeightingError: an unknown key, or a value of the wrong type or range.
        """
        own = [name.name for name in fields(cls)]
        flat = [name.name for name in fields(Weighting)]
        check_keys(values, "strategy", [*own, *flat])
        if not any(name in own for name in values):
            return cls.of(Weighting.from_dict(values))
        for name in values:
            if name in flat:
                raise WeightingError(
                    f"{name}: got {values[name]!r}; it is a field of a weighting; put it into "
                    '"weights" for the loss, or into "sampling"'
                )
        parts = {n: read_part(n, v, _PARTS[n]) if n in _PARTS else v for n, v in values.items()}
        return cls(**parts)

    def describe(self) -> str:
        """One short line for people, such as `p=1 from 80 %; sampling p=0.5`."""
        if self.is_static:
            return self.weighting.describe()
        parts = [
            "" if self.weighting.is_uniform else self.weights.describe(),
            "" if self.sampling == Sampling() else f"sampling {self.sampling.describe()}",
            self.logits.describe(),
            f"focusing={self.focusing:.4g}" if self.focusing else "",
            *(part.describe() for part in (self.smoothing, self.curriculum, self.feedback)),
            "cosine classifier" if self.head == "cosine" else "",
            *(part.describe() for part in (self.auxiliary, self.mixing, self.augmentation)),
            f"retrain_from={self.retrain_from:.4g}" if self.retrain_from else "",
            f"adjustment={self.adjustment:.4g}" if self.adjustment else "",
            f"tau_norm={self.tau_norm:.4g}" if self.tau_norm else "",
        ]
        return "; ".join(filter(None, parts))


def _canonical(weighting: Weighting, counts: npt.ArrayLike) -> tuple[float, ...]:
    return _tuple(canonical_weights(weighting.weights(counts)))


def _tuple(vector: FloatArray) -> tuple[float, ...]:
    return tuple(vector.tolist())
