"""An own training is declared from what a user gives: a function, class counts, a length."""

import re
from pathlib import Path
from typing import Any

from spaces.errors import FieldError
from spaces.validation import checked
from trainer.benchmarks.metrics import default_metric
from trainer.own.class_counts import OwnCounts, class_counts_of, is_json
from trainer.own.function import code_of, found_trainable, load_function
from trainer.own.training import OwnTraining
from trainer.results import HalfCounts

SEARCHED, HELD_OUT = "searched", "holdout"
"""What data sets are called whose class counts are in no file."""


def own_training(
    trainable: str, class_counts: str | None, epochs: int | None, held_out: bool = False
) -> OwnTraining:
    """Return the own training that a user asks for, after looking at its function.

    Args:
        trainable: MODULE:FUNCTION or FILE.py:FUNCTION.
        class_counts: a file (``read_own_counts``), or counts as JSON (``own_counts``).
        epochs: that the function reports.
        held_out: the search does not see the data; they are part of the training's name.

    Raises:
        UserError: one of them cannot be used.
    """
    if class_counts is None:
        raise FieldError("class_counts is missing; a training of your own needs them")
    if epochs is None:
        raise FieldError("epochs is missing; say how many a training of your own reports")
    function, place = found_trainable(trainable)
    load_function(function, place)
    name, dataset = function.replace(":", "."), dataset_of(class_counts, held_out)
    content = {
        "name": f"{name}-{re.sub('[^A-Za-z0-9._-]', '_', dataset)}" if held_out else name,
        "trainable": function,
        "epochs": epochs,
        "code": code_of(function),
        "place": place,
        "dataset": dataset,
    }
    images = images_of(class_counts, "holdout" if held_out else "class_counts")
    return checked(OwnTraining, content | images, error=FieldError)


def dataset_of(class_counts: str, held_out: bool) -> str:
    """Return what the data set of class counts is called: as their file, without its ending."""
    if is_json(class_counts):
        return HELD_OUT if held_out else SEARCHED
    return Path(class_counts).stem


def told_training(name: str, class_counts: str | None) -> OwnTraining:
    """Return a training elsewhere, of which the end alone is told.

    Args:
        name: what people are shown.
        class_counts: a file (``read_own_counts``), or counts as JSON (``own_counts``).

    Raises:
        UserError: the class counts cannot be used.
    """
    if class_counts is None:
        raise FieldError("class_counts is missing; a study needs them, or a benchmark")
    content = {"name": name, "trainable": "", "epochs": 1}
    return checked(OwnTraining, content | images_of(class_counts), error=FieldError)


def images_of(class_counts: str, argument: str = "class_counts") -> dict[str, Any]:
    """Return what class counts say of the images, by field; ``argument`` is what errors name."""
    counts = class_counts_of(class_counts, argument)
    halves, chosen_on = halves_of(counts)
    return {
        "train_counts": counts.train,
        "half_counts": halves,
        "class_names": counts.class_names,
        "chosen_on": chosen_on,
        "metric": default_metric(evaluated_counts(counts)),
        "test_held_out": "validation" in counts.evaluated and "test" in counts.evaluated,
    }


def halves_of(counts: OwnCounts) -> tuple[HalfCounts | None, str]:
    """Return evaluated images (2, C), those that choose first, and what these are called."""
    given = tuple(counts.evaluated.values())
    if not given:
        return None, "evaluated"
    none = (0,) * len(counts.train)
    chosen_on = "validation" if "validation" in counts.evaluated else "test"
    return (given[0], given[1] if len(given) > 1 else none), chosen_on


def evaluated_counts(counts: OwnCounts) -> tuple[int, ...]:
    """Return evaluated images by class, (C,), of all splits together; (1,) where none are known."""
    given = tuple(counts.evaluated.values())
    return tuple(map(sum, zip(*given, strict=True))) if given else (1,)
