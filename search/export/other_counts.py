"""A weighting on other class counts than those of its benchmark."""

import json
from collections.abc import Sequence
from typing import Any

from search.export.class_counts import ClassCounts
from search.export.winner import ExportError
from spaces import (
    Weighting,
    WeightingError,
    check_weights,
    effective_sample_fraction,
    weighting_key,
)


def apply_to_counts(
    weighting: Weighting, class_names: Sequence[str] | None, given: ClassCounts
) -> dict[str, Any]:
    """A weighting on other class counts than its benchmark's, as a JSON-able dictionary.

    Its `classes` have a row each, with the name or the index, the count and the weight in the
    normalization of the weighting: in the order of the benchmark's `class_names` if they
    have the same names, else as given. `warning` is None, or says why training would go badly.

    Raises:
        ExportError: the weighting is too steep for the counts.
    """
    names, counts = given.class_names, given.counts
    if names and class_names and sorted(names) == sorted(class_names):
        by_name = dict(zip(names, counts, strict=True))
        names, counts = tuple(class_names), tuple(by_name[name] for name in class_names)
    try:
        weights = weighting.weights(counts).tolist()
    except WeightingError as error:
        raise ExportError(f"{error}.") from error
    rows = zip(names or range(len(counts)), counts, weights, strict=True)
    return {
        "weighting": weighting.to_dict(),
        "description": weighting.describe(),
        "weighting_key": weighting_key(weights),
        "effective_sample_fraction": effective_sample_fraction(counts, weights),
        "warning": _problem(counts, weights),
        "classes": [{"class": name, "count": n, "weight": weight} for name, n, weight in rows],
    }


def applied_json(applied: dict[str, Any]) -> str:
    """The JSON of what `apply_to_counts` returns, with a line for each class."""
    rows = ",\n".join(f"    {json.dumps(row)}" for row in applied["classes"])
    empty = json.dumps(applied | {"classes": []}, indent=2)
    return empty.replace('"classes": []', f'"classes": [\n{rows}\n  ]')


def _problem(counts: Sequence[int], weights: Sequence[float]) -> str | None:
    """Why training would go badly, in the words of the exported module, or None."""
    try:
        check_weights(counts, weights)
    except WeightingError:
        import torch  # takes seconds

        from search.export.best_weighting import training_problem

        return training_problem(
            torch.tensor(counts, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)
        )
    return None
