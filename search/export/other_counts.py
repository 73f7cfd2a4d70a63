"""A strategy on other class counts than those of its benchmark."""

import json
from collections.abc import Sequence
from typing import Any

from search.export.class_counts import ClassCounts
from search.export.strategy_facts import final_images, final_weights, requirements
from search.export.winner import ExportError
from spaces import Recipe, Strategy, WeightingError, check_recipe


def apply_to_counts(
    strategy: Strategy, class_names: Sequence[str] | None, given: ClassCounts
) -> dict[str, Any]:
    """A strategy on other class counts than its benchmark's, as a JSON-able dictionary.

    Its `classes` have a row each: the name or the index, the count, the weight in the last epoch
    and, where images are drawn, how many that epoch shows. Class weights alone are in the
    normalization of their weighting. The rows are in the order of the benchmark's `class_names` if
    they have the same names, else as given. `also_needed` is what there is beside constant class
    weights. `warning` is None, or says why training would go badly.

    Raises:
        ExportError: the strategy is too steep for the counts.
    """
    names, counts = given.class_names, given.counts
    if names and class_names and sorted(names) == sorted(class_names):
        by_name = dict(zip(names, counts, strict=True))
        names, counts = tuple(class_names), tuple(by_name[name] for name in class_names)
    try:
        recipe = strategy.recipe(counts)
        final, images = final_weights(recipe), final_images(recipe)
        weights = strategy.weighting.weights(counts) if recipe.is_static else final
    except WeightingError as error:
        raise ExportError(f"{error}.") from error
    columns = {"class": names or range(len(counts)), "count": counts, "weight": weights.tolist()}
    if recipe.sampling is not None:
        columns["images"] = images.tolist()
    return {
        "kind": strategy.kind,
        "strategy": strategy.to_dict(),
        "description": strategy.describe(),
        "strategy_key": strategy.key(counts),
        "also_needed": requirements(strategy),
        "effective_sample_fraction": float(
            (images @ final) ** 2 / (images.sum() * (images @ final**2))
        ),
        "warning": _problem(recipe),
        "classes": [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ],
    }


def applied_json(applied: dict[str, Any]) -> str:
    """The JSON of what `apply_to_counts` returns, with a line for each class."""
    rows = ",\n".join(f"    {json.dumps(row)}" for row in applied["classes"])
    empty = json.dumps(applied | {"classes": []}, indent=2)
    return empty.replace('"classes": []', f'"classes": [\n{rows}\n  ]')


def _problem(recipe: Recipe) -> str | None:
    """Why training would go badly, or None; of class weights in the exported module's words."""
    try:
        check_recipe(recipe)
    except WeightingError as error:
        if not recipe.is_static:
            return f"Training with this strategy would go badly: {error}."
        import torch  # takes seconds

        from search.export.best_weighting import training_problem

        counts, weights = (
            torch.tensor(numbers, dtype=torch.float64)
            for numbers in (recipe.counts, recipe.weights)
        )
        return training_problem(counts, weights)
    return None
