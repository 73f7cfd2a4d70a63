"""An attempt at a run, as a line of attempts.jsonl: how it was started, and with what."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen

from search.config.fields import Phrase, ShownText, Word


@dataclass(frozen=True)
class Attempt:
    """What is read of the facts of a start; later versions may add to them.

    Attributes:
        attempt: number of the start, from 1.
        arguments: of the search command, for ``confirm``.
        budget, resources: as they were asked for; nothing acts on them.
        time, versions, cpu, revision: ``trainer.provenance``.
    """

    attempt: Annotated[int, Ge(1), Le(10**6)]
    device: Literal["cpu", "cuda"] | None = None
    arguments: Annotated[tuple[ShownText, ...], MaxLen(1000)] = ()
    budget: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] | None = None
    time: Phrase | None = None
    versions: dict[str, Word] | None = None
    cpu: Annotated[str, MaxLen(1000)] | None = None
    revision: Word | None = None

    @property
    def provenance(self) -> dict[str, Any]:
        """When and with what it was started, JSON-able."""
        return {k: getattr(self, k) for k in ("time", "versions", "cpu", "revision")}
