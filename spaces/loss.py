"""Logits are changed by the terms of a loss in training, and by an adjustment after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spaces.counts import FloatArray
from spaces.errors import WeightingError
from spaces.weighting.fields import Interval, check_keys, check_numbers, differing

_LOGITS = {
    "additive": Interval(0, 10),
    "multiplicative": Interval(0, 10),
    "margin": Interval(0, 100),
    "margin_power": Interval(0, 10),
    "scale": Interval(0, 1000, low_open=True),
}
_SMOOTHING = {"head": Interval(0, 1, high_open=True), "tail": Interval(0, 1, high_open=True)}


@dataclass(frozen=True)
class Logits:
    """What a loss makes of the logits z of an image of class y, of C classes; default: nothing.

    `z'_j = scale (delta_j z_j - [j = y] m_y) + iota_j`, with the counts n and their shares pi.

    Attributes:
        additive: in [0, 10]; `iota_c = additive ln(pi_c)`: logit adjustment (Menon et al.,
            ICLR 2021), at 1 balanced softmax (Ren et al., NeurIPS 2020).
        multiplicative: in [0, 10]; `delta_c = (n_c / n_max)^multiplicative`: class-dependent
            temperature (Ye et al., 2020), with additive vector scaling (Kini et al., NeurIPS 2021).
        margin: in [0, 100]; `m_c = margin (n_min / n_c)^margin_power`, of the rarest class
            (LDAM; Cao et al., NeurIPS 2019).
        margin_power: in [0, 10]; needs a margin.
        scale: in (0, 1000].

    Raises:
        WeightingError: a field is out of its range, or margin_power is given without a margin.
    """

    additive: float = 0.0
    multiplicative: float = 0.0
    margin: float = 0.0
    margin_power: float = 0.25
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self, _LOGITS)
        if self.margin == 0.0 and self.margin_power != 0.25:
            raise WeightingError(
                f"margin_power: got {self.margin_power!r}; must be 0.25 unless a margin is given"
            )

    def iota(self, counts: npt.NDArray[np.int64]) -> FloatArray:
        """What is added to the logits, float64 (C,), for counts (C,)."""
        return np.asarray(self.additive * np.log(counts / counts.sum()) + 0.0)

    def delta(self, counts: npt.NDArray[np.int64]) -> FloatArray:
        """The factors of the logits, float64 (C,), for counts (C,)."""
        return np.asarray((counts / counts.max()) ** self.multiplicative)

    def margins(self, counts: npt.NDArray[np.int64]) -> FloatArray:
        """The margins of the classes, float64 (C,), for counts (C,)."""
        return self.margin * np.asarray((counts.min() / counts) ** self.margin_power)

    def to_dict(self) -> dict[str, float]:
        """The fields that differ from the default, JSON-able."""
        return differing(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Logits:
        """What `to_dict` wrote; WeightingError for an unknown key or a bad value."""
        check_keys(values, "loss's logits", _LOGITS)
        return cls(**values)

    def describe(self) -> str:
        """The fields that act, such as "additive=1"; "" for the default."""
        return " ".join(f"{name}={value:.4g}" for name, value in self.to_dict().items())


@dataclass(frozen=True)
class Smoothing:
    """Label smoothing by class; the default is none.

    `eps_c = tail + (head - tail) sin(pi / 2 (n_c - n_min) / (n_max - n_min))`: the concave form of
    label-aware smoothing (Zhong et al., MiSLAS, CVPR 2021); head = tail is plain label smoothing.

    Attributes:
        head: in [0, 1), of the commonest class.
        tail: in [0, 1), of the rarest class.

    Raises:
        WeightingError: a field is out of its range.
    """

    head: float = 0.0
    tail: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, _SMOOTHING)

    def epsilons(self, counts: npt.NDArray[np.int64]) -> FloatArray:
        """The smoothing of each class, float64 (C,), for counts (C,); head where all are alike."""
        spread = int(counts.max() - counts.min())
        place = (counts - counts.min()) / spread if spread else np.ones(counts.shape)
        risen = np.sin(math.pi / 2 * place)
        return np.asarray(self.head * risen + self.tail * (1.0 - risen))

    def to_dict(self) -> dict[str, float]:
        """The fields that differ from the default, JSON-able."""
        return differing(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Smoothing:
        """What `to_dict` wrote; WeightingError for an unknown key or a bad value."""
        check_keys(values, "smoothing", _SMOOTHING)
        return cls(**values)

    def describe(self) -> str:
        """The fields, such as "smoothing_head=0.4 smoothing_tail=0.1"; "" for the default."""
        if self == Smoothing():
            return ""
        return f"smoothing_head={self.head:.4g} smoothing_tail={self.tail:.4g}"


@dataclass(frozen=True)
class PostHoc:
    """An adjustment of a trained network's logits, before the largest is chosen; default: none.

    Attributes:
        adjustment: t; `z_c - t ln(pi_c)` is compared (Menon et al., ICLR 2021).
        tau_norm: tau; the logits of a classifier whose row c is divided by its norm^tau are
            compared (Kang et al., ICLR 2020).
    """

    adjustment: float = 0.0
    tau_norm: float = 0.0


POSTHOC: tuple[PostHoc, ...] = (
    *(PostHoc(adjustment=quarters / 4) for quarters in range(9)),
    *(PostHoc(tau_norm=tau) for tau in (0.5, 1.0)),
)
"""The adjustments that every test measures, none the first, and that a strategy may name."""
