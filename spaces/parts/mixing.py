"""Mixing pastes a box of one training image into another; augmentation is stronger in the tail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spaces.counts import FloatArray
from spaces.errors import WeightingError
from spaces.weighting.fields import Interval, check_keys, check_numbers, differing

_MIXING = {"probability": Interval(0, 1), "off": Interval(0, 0.5)}
_AUGMENTATION = {"shift": Interval(0, 0.5), "flip": Interval(0, 1), "cutout": Interval(0, 1)}


@dataclass(frozen=True)
class Mixing:
    """Boxes of images of all classes alike, pasted into images of training; the default is none.

    CMO (Park et al., CVPR 2022): the partner is of each class with the same probability, so that
    tail images appear on backgrounds of common ones. The box covers a uniform share of the image,
    as CutMix (Yun et al., ICCV 2019) with alpha 1, and the loss counts both labels by area.

    Attributes:
        probability: in [0, 1], with which an image is mixed.
        off: progress in [0, .5] from the beginning, and to the end, without mixing; of 200 epochs
            .015 are the first and the last three.

    Raises:
        WeightingError: a field is out of its range, or inert.
    """

    probability: float = 0.0
    off: float = 0.015

    def __post_init__(self) -> None:
        check_numbers(self, _MIXING)
        if self.probability == 0.0 and self.off != 0.015:
            raise WeightingError(f"off: got {self.off!r}; needs a probability above 0")

    def probability_at(self, epoch: int, epochs: int) -> float:
        """The probability in an epoch, from 1, of a training of so many epochs."""
        nearest_end = min(epoch - 1, epochs - epoch) / max(epochs - 1, 1)
        return self.probability if nearest_end >= self.off else 0.0

    def to_dict(self) -> dict[str, float]:
        """The fields that differ from the default, JSON-able."""
        return differing(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Mixing:
        """What `to_dict` wrote; WeightingError for an unknown key or a bad value."""
        check_keys(values, "mixing", _MIXING)
        return cls(**values)

    def describe(self) -> str:
        """One short line, such as "mixing_probability=0.5"; "" for none."""
        if not self.probability:
            return ""
        text = f"mixing_probability={self.probability:.4g}"
        return text + (f" mixing_off={self.off:.4g}" if self.off != 0.015 else "")

    def in_words(self) -> list[str]:
        """What mixing does, in sentences without a full stop."""
        if not self.probability:
            return []
        return [
            f"{100 * self.probability:.3g} % of the images get a box of another one, of each class "
            "alike often"
        ]


@dataclass(frozen=True)
class Augmentation:
    """Augmentation beyond the protocol's, of the rarest class in full; the default is none.

    That of class c is `ln(n_max / n_c) / ln(n_max / n_min)` of it, and so that of the commonest is
    none.

    Attributes:
        shift: in [0, .5], the largest shift beyond the protocol's crop, as a share of the side.
        flip: in [0, 1], probability to be mirrored; where the protocol mirrors half of the images,
            it changes nothing.
        cutout: in [0, 1], side of a square that is erased at random, as a share of that of the
            image (DeVries and Taylor, 2017).

    Raises:
        WeightingError: a field is out of its range.
    """

    shift: float = 0.0
    flip: float = 0.0
    cutout: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, _AUGMENTATION)

    def strengths(self, counts: npt.ArrayLike) -> FloatArray:
        """The share of it that each class has, float64 (C,) in [0, 1], for counts (C,)."""
        numbers = np.asarray(counts, dtype=np.float64)
        gaps = np.log(numbers.max() / numbers)
        return np.asarray(gaps / max(float(gaps.max()), 1e-12))

    def to_dict(self) -> dict[str, float]:
        """The fields that differ from the default, JSON-able."""
        return differing(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Augmentation:
        """What `to_dict` wrote; WeightingError for an unknown key or a bad value."""
        check_keys(values, "augmentation", _AUGMENTATION)
        return cls(**values)

    def describe(self) -> str:
        """The fields that act, such as "tail_cutout=0.5"; "" for none."""
        return " ".join(f"tail_{name}={value:.4g}" for name, value in self.to_dict().items())

    def in_words(self) -> list[str]:
        """What the augmentation does, in sentences without a full stop."""
        acts = {
            "shift": f"shifted by up to {100 * self.shift:.3g} % of their side more",
            "flip": f"mirrored with a probability of {self.flip:.3g} more",
            "cutout": f"cleared in a square of {100 * self.cutout:.3g} % of their side",
        }
        words = [acts[name] for name in self.to_dict()]
        return [f"images of the rarest class are {', '.join(words)}"] if words else []
