"""A strategy on other class counts than those of its benchmark."""

import json
from typing import Any

from search.export.formats.scaled import ClassWeights
from search.export.strategy_facts import requirements
from spaces import Recipe, Strategy, WeightingError, check_recipe


def apply_to_counts(strategy: Strategy, found: ClassWeights) -> dict[str, Any]:
    """A strategy on class counts, as a JSON-able dictionary.

    Its `classes` have a row each: the name or the index, the count, the weight in the last epoch
    and, where images are drawn, how many that epoch shows. `also_needed` is what there is beside
    constant class weights. `warning` is None, or says why training would go badly.
    """
    names, counts = found.classes.class_names, found.classes.counts
    weights, images = found.weights, found.images
    columns = {"class": names or range(len(counts)), "count": counts, "weight": weights.tolist()}
    if found.recipe.sampling is not None:
        columns["images"] = images.tolist()
    return {
        "kind": strategy.kind,
        "strategy": strategy.to_dict(),
        "description": strategy.describe(),
        "strategy_key": strategy.key(found.recipe.counts),
        "also_needed": requirements(strategy),
        "effective_sample_fraction": effective_sample_fraction(found),
        "warning": training_problem_of(found.recipe),
        "classes": [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ],
    }


def effective_sample_fraction(found: ClassWeights) -> float:
    """Kish's effective sample size of the images shown, as a fraction of them."""
    scaled = found.weights / found.weights.max()
    return float((found.images @ scaled) ** 2 / (found.images.sum() * (found.images @ scaled**2)))


def applied_json(applied: dict[str, Any]) -> str:
    """The JSON of what `apply_to_counts` returns, with a line for each class."""
    rows = ",\n".join(f"    {json.dumps(row)}" for row in applied["classes"])
    empty = json.dumps(applied | {"classes": []}, indent=2)
    return empty.replace('"classes": []', f'"classes": [\n{rows}\n  ]')


def training_problem_of(recipe: Recipe) -> str | None:
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
