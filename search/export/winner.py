"""The winner of a run, as it is exported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.export.strategy_facts import final_images, final_weights
from search.results.conclusion import Conclusion
from spaces import Recipe, Strategy, WeightingError, check_counts
from spaces.errors import UserError

SCHEMA_VERSION = 2


class ExportError(UserError):
    """An export that cannot be written, read or trusted: one sentence says which and why."""


@dataclass(frozen=True)
class Winner:
    """The best strategy of a run, on the class counts (C,) of the benchmark it was found on.

    Attributes:
        strategy: of one or more parts, or class weights alone.
        class_counts: C positive integers.
        class_names: C names, or None.
        benchmark: what it was found on, JSON-able.
        result: what it reached and how that was measured, JSON-able.

    Raises:
        ExportError: the counts or names are not valid.
    """

    strategy: Strategy
    class_counts: tuple[int, ...]
    class_names: tuple[str, ...] | None
    benchmark: Mapping[str, Any]
    result: Mapping[str, Any]

    def __post_init__(self) -> None:
        try:
            counts = check_counts(self.class_counts)
        except WeightingError as error:
            raise ExportError(f"{error}.") from error
        object.__setattr__(self, "class_counts", tuple(counts.tolist()))
        if self.class_names is None:
            return
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if len(self.class_names) != len(counts):
            raise ExportError(
                f"class_names: got {len(self.class_names)} names for {len(counts)} class counts; "
                "give one name per class, or none."
            )

    @property
    def recipe(self) -> Recipe:
        """The strategy on the class counts."""
        return self.strategy.recipe(self.class_counts)

    @property
    def key(self) -> str:
        """The key of the strategy on the class counts."""
        return self.strategy.key(self.class_counts)

    def to_dict(self) -> dict[str, Any]:
        """The content of `best.json`; `weights` and `images_per_epoch` are of the last epoch.

        `images_per_epoch` are the images of each class that are shown where they are drawn.
        """
        strategy, recipe = self.strategy, self.recipe
        drawn = (
            {} if recipe.sampling is None else {"images_per_epoch": final_images(recipe).tolist()}
        )
        names = None if self.class_names is None else list(self.class_names)
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": strategy.kind,
            "strategy": strategy.to_dict(),
            "weights": final_weights(recipe).tolist(),
            **drawn,
            "class_counts": list(self.class_counts),
            "class_names": names,
            "benchmark": dict(self.benchmark),
            "result": dict(self.result),
            "strategy_key": self.key,
            "description": strategy.describe(),
        }


def winner_of(run: Conclusion) -> Winner | None:
    """Return the winner on the run's first benchmark; None if no trial has finished yet."""
    if run.winner is None:
        return None
    first = run.manifest.benchmarks[0]
    return Winner(
        run.winner[1],
        run.objective.benchmarks[0].counts,
        first.class_names,
        first.definition.to_dict(),
        run.story(),
    )
