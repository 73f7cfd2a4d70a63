"""Facts of a run, as the lines of record.jsonl declare them: one line is one fact.

The first line is ``begun``. A proposal that the guards refuse is ``refused``; every trial that is
started is ``asked``, reaches ``rung`` after rung, and has ``ended``. ``plan`` is that of the
confirmation; the last one counts.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Le, MaxLen, MinLen

from search.config.fields import (
    LARGEST_NUMBER,
    MOST_CLASSES,
    MOST_PRIORS,
    Count,
    CountFromZero,
    Epochs,
    Label,
    LongText,
    Number,
    Seed,
    Text,
    Word,
    text_of,
)
from search.samplers.cmaes import Told
from search.samplers.registry import PRIOR_POINTS
from search.store.plan import StoredPlan
from search.store.validation import read_json
from spaces.errors import UserError
from spaces.validation import OneOf
from trainer.benchmarks.metrics import METRICS
from trainer.results import SHOTS, Percent

Key: TypeAlias = Annotated[
    str,
    text_of(
        "STUDY-NUMBER, such as proposals-00012",
        r"(baselines|named|proposals|confirmation|holdout)-[0-9]{5,9}",
    ),
]
Point: TypeAlias = Annotated[dict[str, Any], MaxLen(100)]
"""Fields of a strategy, which are those of a weighting where it is class weights alone; ``spaces``
knows what may stand in them."""
Attribute: TypeAlias = (
    Text | CountFromZero | Number | Annotated[tuple[Number, ...], MaxLen(10_000)] | None
)
Attributes: TypeAlias = Annotated[dict[Text, Attribute], MaxLen(1000)]
"""What a sampler keeps with a trial or a study, by name."""

EndWord: TypeAlias = Literal["complete", "stopped", "failed"]
"""How a trial ended: at full length, by early stopping, or without a result."""


@dataclass(frozen=True)
class Waiting:
    """A named strategy, which waits in line."""

    name: Label
    weighting: Point


InLine: TypeAlias = Annotated[tuple[Waiting, ...], MaxLen(1000)]


@dataclass(frozen=True)
class PriorRun:
    """An earlier run has told what it expects of weightings, which is all that is taken from it.

    Attributes:
        run: its name.
        results: the full-length results on which that rests.
        weightings: fields of P weightings, the first of which are uniform weights.
        means: posterior means less the average of all its candidates, in its noise SDs, (P,).
    """

    run: Word
    results: Count
    weightings: Annotated[tuple[Point, ...], MinLen(1), MaxLen(PRIOR_POINTS)]
    means: Annotated[tuple[Annotated[float, Ge(-1e6), Le(1e6)], ...], MaxLen(PRIOR_POINTS)]

    def __post_init__(self) -> None:
        if len(self.means) != len(self.weightings):
            raise UserError(
                f"prior {self.run} has {len(self.weightings)} weightings and {len(self.means)} "
                "means, not equally many"
            )

    @property
    def entry(self) -> str:
        """That of ``Settings.prior``."""
        content = json.dumps(asdict(self), sort_keys=True)
        return f"{self.run}:{hashlib.sha256(content.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Begun:
    """The run has begun, with its seed, its controls and the strategies that its space names.

    Both are in the order in which they run. ``prior`` are the earlier runs of its model's prior.
    """

    seed: Seed
    controls: InLine
    named: InLine = ()
    prior: Annotated[tuple[PriorRun, ...], MaxLen(MOST_PRIORS)] = ()


@dataclass(frozen=True)
class Drawn:
    """What a sampler drew, and what it needs to go on from there.

    Attributes:
        params: value by parameter; their distributions are those of the run's space.
        attrs: the sampler's own attributes of the trial.
        study: its attributes of the study that changed.
        told: what CMA-ES was told before the draw, if it was told something.
    """

    params: Annotated[dict[Word, Number | Text], MaxLen(1000)]
    attrs: Attributes = field(default_factory=dict)
    study: Attributes = field(default_factory=dict)
    told: Told | None = None


@dataclass(frozen=True)
class Asked:
    """A trial was asked for and runs.

    Attributes:
        name: of a named strategy, or the arm of a later phase; None for a proposal.
        seed_index: in a later phase, the index of the training seed that its arms share.
    """

    trial: Key
    weighting: Point
    seed: Seed
    name: Label | None = None
    seed_index: Annotated[int, Ge(0), Le(10**6)] | None = None
    drawn: Drawn | None = None


@dataclass(frozen=True)
class Refused:
    """The guards refused a proposal; it has a number, and is no trial."""

    trial: Key
    reason: LongText
    drawn: Drawn


@dataclass(frozen=True)
class Rung:
    """A trial has reached a rung; ``stop`` says that early stopping ends it there.

    An earlier version may have been killed between its decision to stop and the score.
    """

    trial: Key
    epoch: Epochs
    score: Number | None = None
    stop: bool = False


@dataclass(frozen=True, kw_only=True)
class Summary:
    """``trainer.results.summary`` of a part of a trial.

    Attributes:
        seconds: of all its epochs.
        metrics: every one at the best epoch, percent; None in a record of before they were kept.
        class_accuracy: percent (C,); empty in such a record.
    """

    best_score: Percent
    best_epoch: Epochs | None = None
    last_score: Percent | None = None
    last_ten_score: Percent
    epochs: Epochs
    seconds: Annotated[float, Ge(0), Le(LARGEST_NUMBER)] = 0.0
    metrics: dict[Annotated[str, OneOf(METRICS)], Percent | None] | None = None
    shots: dict[Annotated[str, OneOf(SHOTS)], Percent]
    class_accuracy: Annotated[tuple[Percent, ...], MaxLen(MOST_CLASSES)] = ()


@dataclass(frozen=True)
class Ended:
    """A trial has ended: at full length, stopped early, or failed.

    Attributes:
        score: at ``epoch``, its last; None of one that failed.
    """

    trial: Key
    state: EndWord
    score: Number | None = None
    epoch: Epochs | None = None
    summaries: Annotated[tuple[Summary, ...], MaxLen(100)] = ()
    reason: LongText | None = None
    diverged: bool = False
    hardware: Text | None = None
    device_hours: Annotated[float, Ge(0), Le(LARGEST_NUMBER)] = 0.0

    def __post_init__(self) -> None:
        if (self.score is None) is not (self.state == "failed"):
            raise UserError(f"{self.trial} ends as {self.state} with the score {self.score}")


@dataclass(frozen=True)
class Line:
    """A line: its number, from 0, one fact under the name of its kind, and the checksum."""

    n: CountFromZero
    crc: Annotated[str, MaxLen(8)]
    begun: Begun | None = None
    asked: Asked | None = None
    refused: Refused | None = None
    rung: Rung | None = None
    ended: Ended | None = None
    plan: StoredPlan | None = None

    @property
    def fact(self) -> "Fact | None":
        """The one fact of the line; None if it has none or several."""
        found = [fact for kind in KINDS if (fact := getattr(self, kind)) is not None]
        return found[0] if len(found) == 1 else None


Fact: TypeAlias = Begun | Asked | Refused | Rung | Ended | StoredPlan
KINDS = tuple(f.name for f in fields(Line) if f.name not in ("n", "crc"))


def fact_of(line: bytes, number: int, file: Path | str) -> Fact:
    """Return the fact of a line of a file, of which the checksum holds.

    Raises:
        UserError: the line has another number or breaks a rule.
    """
    where = f"line {number + 1} of {file}"
    read = read_json(Line, line, where)
    if read.n != number:
        raise UserError(f"{where} has number {read.n}, not {number}; restore the file.")
    if read.fact is None:
        raise UserError(f"{where} does not hold one fact; restore the file.")
    return read.fact
