"""An attempt at a run, as attempts.jsonl has it: how it was started, with what, at what cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, MaxLen

from search.config.fields import LARGEST_NUMBER, CommandWord, Phrase, Word
from search.store.files.jsonl import read_lines
from search.store.validation import read_known
from spaces.errors import UserError

Seconds: TypeAlias = Annotated[float, Ge(0), Le(LARGEST_NUMBER)]


@dataclass(frozen=True)
class Cost:
    """What all that was left was to cost when an attempt began, if no trial is stopped early.

    Attributes:
        epoch_seconds: of an epoch of each benchmark, the hold-out's last, as measured.
        concurrency: trials at a time.
        seconds: of all; None without a limit in trials.
        gpu_hours: of all; None on CPUs.
    """

    epoch_seconds: Annotated[tuple[Seconds, ...], MaxLen(101)]
    concurrency: Annotated[int, Ge(1), Le(10**6)]
    seconds: Seconds | None = None
    gpu_hours: Seconds | None = None


@dataclass(frozen=True)
class Attempt:
    """What is read of the facts of a start; later versions may add to them.

    Attributes:
        attempt: number of the start, from 1.
        arguments: of the search command, for ``confirm``.
        budget, resources: as they were asked for; nothing acts on them.
        time, versions, cpu, revision: ``trainer.provenance``.
        cost: None where it was not known yet when the attempt ended.
        device_share: part of a GPU that each trial held, 1 on CPUs; None where it was not known.
    """

    attempt: Annotated[int, Ge(1), Le(10**6)]
    device: Literal["cpu", "cuda"] | None = None
    arguments: Annotated[tuple[CommandWord, ...], MaxLen(1000)] = ()
    budget: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] | None = None
    time: Phrase | None = None
    versions: dict[str, Word] | None = None
    cpu: Annotated[str, MaxLen(1000)] | None = None
    revision: Word | None = None
    cost: Cost | None = None
    device_share: Annotated[float, Gt(0), Le(1)] | None = None

    @property
    def provenance(self) -> dict[str, Any]:
        """When and with what it was started, JSON-able."""
        return {k: getattr(self, k) for k in ("time", "versions", "cpu", "revision")}


def read_attempts(path: Path) -> list[Attempt]:
    """Return all starts of a run, the first one first.

    Raises:
        UserError: none is on record, or one breaks a rule.
    """
    starts = attempt_lines(path)
    if not starts:
        raise UserError(f"{path} does not say how the run was started; restore it.")
    return [read_known(Attempt, facts, f"line {number} of {path}") for number, facts in starts]


def last_share(attempts: Sequence[Attempt]) -> float:
    """Return the part of a device that trials held in the last attempt of which that is known."""
    known = [attempt.device_share for attempt in attempts if attempt.device_share is not None]
    return known[-1] if known else 1.0


def attempt_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return the number of each start's first line, and the facts on all of its lines."""
    starts: list[tuple[int, dict[str, Any]]] = []
    for number, facts in enumerate(read_lines(path), 1):
        if starts and "attempt" in facts and facts["attempt"] == starts[-1][1].get("attempt"):
            starts[-1][1].update(facts)
        else:
            starts.append((number, facts))
    return starts
