"""Records of a diagnosis: what a network says of the evaluated images, after two of its epochs."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from annotated_types import Ge, Le, MaxLen

BINS = 15
"""Of equal width, of a network's confidence in its prediction, a probability."""
CONFIDENCE_UNIT = 2.0**-20
"""Confidences are whole numbers of it, so that their sums are exact in any order."""
LOSS_DIGITS = 3
"""Significant digits of a loss of a class."""

Number: TypeAlias = Annotated[int, Ge(0), Le(2**53)]
Loss: TypeAlias = Annotated[float, Ge(0), Le(1e100)] | None
Bin: TypeAlias = tuple[Number, Number, Number]
"""Images in a bin, those of them that are correct, and the sum of their confidences."""
Losses: TypeAlias = Annotated[tuple[Loss, ...], MaxLen(100_000)]
"""Mean loss of each class, (C,); None for a class without images."""
Bins: TypeAlias = Annotated[tuple[Annotated[tuple[Bin, ...], MaxLen(BINS)], ...], MaxLen(10)]
ByHalf: TypeAlias = Annotated[tuple[tuple[Number, Number], ...], MaxLen(64)]
"""Correct images of each scenario in half A and in half B."""
Confusion: TypeAlias = Annotated[tuple[tuple[Number, Number, Number], ...], MaxLen(10**7)]


@dataclass(frozen=True)
class ClassLosses:
    """The mean cross entropy of each class in an epoch, without weights, (C,).

    Attributes:
        test: of the images that choose, after the epoch.
        train: of the images that it showed, as they were shown; None in records of earlier
            versions, of steps on a GPU or compiled.
    """

    test: Losses
    train: Losses | None


@dataclass(frozen=True)
class Examined:
    """What a network says of the images that choose, after an epoch.

    Attributes:
        epoch: from 1.
        reliability: for each shot group of `trainer.results.shot_groups` the bins of confidence;
            a prediction is that of the trial's post-hoc adjustment; empty where it is not kept.
        losses: mean unweighted cross entropy of each class, before such an adjustment.
        confusion: (true class, predicted class, images) where there are any, in this order; None
            where it is not kept.
        scenarios: correct images by scenario, in both halves of all evaluated images, whichever
            choose; None where the images have no scenarios.
    """

    epoch: Annotated[int, Ge(1), Le(10**6)]
    reliability: Bins = ()
    losses: Losses = ()
    confusion: Confusion | None = None
    scenarios: ByHalf | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values of what is kept."""
        return {name: value for name, value in vars(self).items() if value not in (None, ())}


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a trial at full length.

    Attributes:
        best: after its best epoch; None if that was before diagnoses were kept.
        last: after its last epoch; None where that is the best one. Of a trial that is not
            diagnosed in full it has no reliability.
    """

    best: Examined | None
    last: Examined | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values."""
        return {name: found and found.to_dict() for name, found in vars(self).items()}


def examined_of(data: dict[str, Any]) -> Examined:
    """Return what `to_dict` made of it, read back from JSON."""
    confusion, scenarios = data.get("confusion"), data.get("scenarios")
    return Examined(
        epoch=data["epoch"],
        reliability=tuple(tuple(map(tuple, bins)) for bins in data.get("reliability", ())),
        losses=tuple(data.get("losses", ())),
        confusion=None if confusion is None else tuple(map(tuple, confusion)),
        scenarios=None if scenarios is None else tuple((a, b) for a, b in scenarios),
    )


def diagnosis_of(data: dict[str, Any]) -> Diagnosis:
    """Return what `to_dict` made of it, read back from JSON."""
    return Diagnosis(*(data[name] and examined_of(data[name]) for name in ("best", "last")))


def class_losses_of(data: dict[str, Any]) -> ClassLosses:
    """Return what `asdict` made of it, read back from JSON."""
    train = data["train"]
    return ClassLosses(tuple(data["test"]), None if train is None else tuple(train))
