"""Diagnoses in words and tables: calibration, precision and recall, and failure modes by class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spaces.parts.words import number_of
from trainer.diagnosis.examination import calibration_error, together
from trainer.diagnosis.records import Confusion, Examined
from trainer.diagnosis.scenarios import FEW_IMAGES, Scenario

SHOWN_MODES = 3
"""Failure modes that are told after a training."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FailureMode:
    """The class that images of a class are most often taken for.

    Attributes:
        true, taken_for: numbers of the classes.
        images: of the true class taken for the other.
        of: all images of the true class.
    """

    true: int
    taken_for: int
    images: int
    of: int

    @property
    def share(self) -> float:
        return self.images / self.of

    def sentence(self, names: Sequence[str] | None) -> str:
        """The failure mode, such as "class 3 is taken for class 8 (12 of 60 images)"."""
        named = (names[c] if names else str(c) for c in (self.true, self.taken_for))
        true, other = (f"class {name}" if name.isdigit() else name for name in named)
        return f"{true} is taken for {other} ({self.images} of {number_of(self.of, 'image')})"


def matrix(confusion: Confusion, classes: int) -> Integers:
    """Return the confusion as numbers of images, (C, C): true class, predicted class."""
    cells = np.zeros((classes, classes), dtype=np.int64)
    for true, predicted, images in confusion:
        cells[true, predicted] = images
    return cells


def failure_modes(confusion: Confusion) -> list[FailureMode]:
    """Return the failure mode of each class that has one, the largest share first."""
    sizes: dict[int, int] = {}
    worst: dict[int, tuple[int, int]] = {}
    for true, predicted, images in confusion:
        sizes[true] = sizes.get(true, 0) + images
        if predicted != true and images > worst.get(true, (0, 0))[1]:
            worst[true] = (predicted, images)
    modes = [FailureMode(true, other, n, sizes[true]) for true, (other, n) in worst.items()]
    return sorted(modes, key=lambda mode: (-mode.share, mode.true))


def calibration_sentence(found: Examined, groups: Sequence[str]) -> str:
    """Say how far confidence is from accuracy, over all images and in each shot group."""
    whole = calibration_error(together(found.reliability))
    parts = [
        f"{name} {100 * error:.1f}"
        for name, bins in zip(groups, found.reliability, strict=True)
        if (error := calibration_error(bins)) is not None
    ]
    return f"expected calibration error {100 * (whole or 0.0):.1f} % ({', '.join(parts)})"


def scenario_sentence(found: Examined, scenarios: Sequence[Scenario], held_out: bool) -> str:
    """Say how accurate the network was in each scenario, on the images that choose."""
    parts = []
    for scenario, correct in zip(scenarios, found.scenarios or (), strict=False):
        right, images = (n[0] if held_out else sum(n) for n in (correct, scenario.evaluated))
        if images:
            few = ", few" if images < FEW_IMAGES else ""
            of = number_of(images, "image", ",")
            parts.append(f"{scenario.name} {100 * right / images:.1f} % ({of}{few})")
    return f"accuracy by scenario: {'; '.join(parts)}" if parts else ""


def diagnosis_sentences(
    found: Examined,
    groups: Sequence[str],
    names: Sequence[str] | None,
    scenarios: Sequence[Scenario],
    held_out: bool,
) -> list[str]:
    """Say how sure the network was at its best epoch, and what it confused most.

    Args:
        groups: names of the shot groups, as in ``found.reliability``.
        names: of the classes; None if they have numbers alone.
        scenarios: those of ``found.scenarios``; empty if the images have none.
        held_out: whether validation images choose, so that test images are not told of.
    """
    modes = failure_modes(found.confusion or ())[:SHOWN_MODES]
    sentences = (
        f"epoch {found.epoch}, the best: {calibration_sentence(found, groups)}",
        "; ".join(mode.sentence(names) for mode in modes),
        scenario_sentence(found, scenarios, held_out),
    )
    return [sentence for sentence in sentences if sentence]
