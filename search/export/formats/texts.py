"""Texts of class weights for people's tools: Python for torch, numpy and Keras, and JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping

from search.export.formats.registry import SCALES
from search.export.formats.scaled import Exported
from search.export.formats.ultralytics import ultralytics_text
from search.export.strategy_facts import requirements
from search.export.winner import ExportError
from search.store.validation import printable
from spaces.parts.words import number_of


def torch_text(exported: Exported) -> str:
    """Python that makes a tensor and its loss."""
    return (
        f"{beginning(exported)}\nimport torch\n\nCLASS_WEIGHTS = torch.tensor(\n    [\n"
        f"{''.join(rows(exported, 8))}    ],\n    dtype=torch.float32,\n)\n"
        "loss = torch.nn.CrossEntropyLoss(weight=CLASS_WEIGHTS)\n"
    )


def numpy_text(exported: Exported) -> str:
    """Python that makes an array."""
    return (
        f"{beginning(exported)}\nimport numpy as np\n\nCLASS_WEIGHTS = np.array(\n    [\n"
        f"{''.join(rows(exported, 8))}    ],\n    dtype=np.float32,\n)\n"
    )


def keras_text(exported: Exported) -> str:
    """Python that makes the dictionary for `model.fit(class_weight=...)`."""
    return (
        f"{beginning(exported)}# model.fit(images, labels, class_weight=CLASS_WEIGHT)\n"
        f"\nCLASS_WEIGHT = {{\n{''.join(rows(exported, 4, numbered=True))}}}\n"
    )


def names_text(exported: Exported) -> str:
    """A JSON object of class name to weight.

    Raises:
        ExportError: the classes have no names.
    """
    names = exported.found.classes.class_names
    if names is None:
        raise ExportError(
            "--format names needs the names of the classes, which the counts do not have; give "
            "--counts FILE with lines 'name,count', or --labels FILE with names."
        )
    weights = (float(f"{weight:.9g}") for weight in exported.found.weights)
    return json.dumps(dict(zip(names, weights, strict=True)), indent=2) + "\n"


def sample_weights_text(exported: Exported) -> str:
    """The weight of each training image, a line each, beside its name if there is one.

    Raises:
        ExportError: there are no labels.
    """
    labels = exported.labels
    if labels is None:
        raise ExportError(
            "--format sample-weights needs the labels of your training images; give --labels FILE, "
            "a label on each line."
        )
    of_class = [f"{weight:.9g}" for weight in exported.found.weights]
    weights = [of_class[index] for index in labels.indices]
    if labels.images is None:
        return "\n".join(weights) + "\n"
    pairs = zip(labels.images, weights, strict=True)
    return "".join(f"{quoted(image)},{weight}\n" for image, weight in pairs)


def beginning(exported: Exported) -> str:
    """Comments that say what the weights are."""
    needed = requirements(exported.strategy)
    said = [
        f"Class weights of {len(exported.found.weights)} classes; {SCALES[exported.scale]}.",
        f"{exported.strategy.describe()}, found by the run {exported.run}.",
    ]
    if needed:
        said.append(f"They alone are not the strategy, which needs {'; '.join(needed)}.")
    return "".join(
        textwrap.fill(printable(line), 98, initial_indent="# ", subsequent_indent="# ") + "\n"
        for line in said
    )


def rows(exported: Exported, indent: int, numbered: bool = False) -> Iterator[str]:
    """A line of Python for each weight, with its class in a comment."""
    classes = exported.found.classes
    for index, (count, weight) in enumerate(
        zip(classes.counts, exported.found.weights, strict=True)
    ):
        name = json.dumps(classes.class_names[index]) if classes.class_names else str(index)
        key = f"{index}: " if numbered else ""
        yield f"{' ' * indent}{key}{weight:.9g},  # {name}: {number_of(count, 'image')}\n"


def quoted(cell: str) -> str:
    """A cell of CSV."""
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\n') else cell


TEXTS: Mapping[str, Callable[[Exported], str]] = {
    "torch": torch_text,
    "numpy": numpy_text,
    "keras": keras_text,
    "names": names_text,
    "ultralytics": ultralytics_text,
    "sample-weights": sample_weights_text,
}
"""The text of each of `search.export.formats.registry.FORMATS`."""
