"""The winner of a run, as it is exported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.results.conclusion import Conclusion
from spaces import Weighting, WeightingError, canonical_weights, check_counts, weighting_key
from spaces.errors import UserError

SCHEMA_VERSION = 1


class ExportError(UserError):
    """An export that cannot be written, read or trusted: one sentence says which and why."""


@dataclass(frozen=True)
class Winner:
    """The best weighting of a run, on the class counts (C,) of the benchmark it was found on.

    Attributes:
        weighting: the point of the family.
        class_counts: C positive integers.
        class_names: C names, or None.
        benchmark: what it was found on, JSON-able.
        result: what it reached and how that was measured, JSON-able.

    Raises:
        ExportError: the counts or names are not valid.
    """

    weighting: Weighting
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
    def weights(self) -> list[float]:
        """The canonical weights, C numbers that sum to C."""
        return [float(weight) for weight in canonical_weights(self._raw_weights())]

    @property
    def weighting_key(self) -> str:
        return weighting_key(self._raw_weights())

    def to_dict(self) -> dict[str, Any]:
        """The content of `best.json`."""
        names = None if self.class_names is None else list(self.class_names)
        return {
            "schema_version": SCHEMA_VERSION,
            "weighting": self.weighting.to_dict(),
            "weights": self.weights,
            "class_counts": list(self.class_counts),
            "class_names": names,
            "benchmark": dict(self.benchmark),
            "result": dict(self.result),
            "weighting_key": self.weighting_key,
            "description": self.weighting.describe(),
        }

    def _raw_weights(self) -> list[float]:
        return [float(weight) for weight in self.weighting.weights(self.class_counts)]


def winner_of(run: Conclusion) -> Winner | None:
    """Return the winner on the run's first benchmark; None if no trial has finished yet."""
    if run.winner is None:
        return None
    first = run.manifest.benchmarks[0]
    return Winner(
        run.winner[1],
        run.objective.benchmarks[0].counts,
        first.class_names,
        first.benchmark.to_dict(),
        run.story(),
    )
