"""Setting of Ultralytics for weights that are a power of the class counts, its `cls_pw`.

As in version 8.4.190: `DetectionTrainer.set_class_weights` weighs each class's output in the
classification loss by (1 / n)^cls_pw, n the class's objects, scaled to a mean of 1, with cls_pw
from 0 to 1. The trainers of segmentation, pose and oriented boxes inherit it. That of
classification does not, and that of semantic segmentation has another formula.
"""

from __future__ import annotations

import numpy as np

from search.export.formats.scaled import Exported
from search.export.strategy_facts import requirements
from search.export.winner import ExportError
from search.store.validation import printable
from spaces import Weighting

LARGEST_POWER = 1.0
_COUNTS = ((1, 2, 7, 40, 300, 5000), (3, 10, 11, 77))
"""Class counts on which a power is the same power, and a weighting of another shape is none."""
_TOLERANCE = 1e-6


def ultralytics_text(exported: Exported) -> str:
    """A line for a YAML file of settings, or for the command line, as `cls_pw=P`.

    Raises:
        ExportError: the strategy is more than class weights, or they are no such power.
    """
    refused = "--format ultralytics is for weights that are a power of the class counts, as cls_pw"
    strategy = exported.strategy
    if not strategy.is_static:
        raise ExportError(
            f"{refused}; {strategy.describe()} needs more ({'; '.join(requirements(strategy))})."
        )
    power = power_of(strategy.weighting)
    if power is None:
        raise ExportError(f"{refused}; {strategy.describe()} is none.")
    if not -_TOLERANCE <= power <= LARGEST_POWER + _TOLERANCE:
        raise ExportError(
            f"{refused}, from 0 to 1; {strategy.describe()} is the power {power:.6g}."
        )
    return (
        f"# {strategy.describe()}, found by the run {printable(exported.run)}.\n"
        "# For detect, segment, pose and obb, which count objects. In Ultralytics 8.4.190,\n"
        "# classify ignores it, and semantic has another formula.\n"
        f"cls_pw: {abs(round(power, 9)):.9g}\n"
    )


def power_of(weighting: Weighting) -> float | None:
    """Return p of weights c n^-p on all class counts, None where they are no power."""
    found = []
    for counts in _COUNTS:
        logs = np.log(counts)
        slope, offset = np.polyfit(logs, np.log(weighting.weights(counts)), 1)
        if np.abs(slope * logs + offset - np.log(weighting.weights(counts))).max() > _TOLERANCE:
            return None
        found.append(-float(slope))
    return found[0] if abs(found[0] - found[1]) <= _TOLERANCE else None
