"""One trial as a run has it on record: its study and number, its seed, and how it ended."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le, MaxLen
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as TrialState

from search.config.fields import (
    LARGEST_NUMBER,
    MOST_CLASSES,
    Epochs,
    Label,
    LongText,
    Number,
    Percent,
    Seed,
    Text,
)
from search.store.validation import json_of, printable, read_known
from spaces import Weighting, present_name
from spaces.errors import UserError
from spaces.validation import OneOf, shown
from trainer.benchmarks.metrics import METRICS
from trainer.results import SHOTS, present_names

BASELINES, PROPOSALS, CONFIRMATION, HOLDOUT = "baselines", "proposals", "confirmation", "holdout"
STUDIES = {BASELINES: 0, PROPOSALS: 1, CONFIRMATION: 2, HOLDOUT: 3}
"""Name of a study -> its number in the seeds of its trials."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        state: COMPLETE (full length), PRUNED (stopped early) or FAIL.
        value: score (``Objective.score``) at the last epoch, None for FAIL.
        facts: JSON-able facts kept with the trial: its summaries, or the reason it failed.
    """

    state: TrialState
    value: float | None
    facts: dict[str, Any]

    @classmethod
    def complete(cls, value: float, facts: dict[str, Any]) -> "Outcome":
        return cls(TrialState.COMPLETE, value, facts)

    @classmethod
    def stopped(cls, value: float, facts: dict[str, Any]) -> "Outcome":
        return cls(TrialState.PRUNED, value, facts)

    @classmethod
    def failed(cls, reason: str, diverged: bool = False) -> "Outcome":
        return cls(TrialState.FAIL, None, {"reason": reason, "diverged": diverged})


@dataclass(frozen=True)
class TrialFacts:
    """What a study keeps of a trial beside its state: attributes, and ``scores`` at the rungs."""

    weighting: Text
    seed: Seed
    scores: Annotated[tuple[Number, ...], MaxLen(10_000)]
    name: Label | None = None
    stop_epoch: Epochs | None = None
    summaries: LongText = "[]"
    reason: LongText | None = None
    diverged: bool = False
    seed_index: Annotated[int, Ge(0), Le(10**6)] | None = None
    hardware: Text | None = None
    device_hours: Annotated[float, Ge(0), Le(LARGEST_NUMBER)] = 0.0


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
class Row:
    """One trial as the record has it.

    Attributes:
        key: ``STUDY-NUMBER``, unique in the run and safe as a file name.
        label: what people are shown: a baseline's name, ``#NUMBER``, or the arm of a later phase.
        value: score (``Objective.score``) of a COMPLETE or PRUNED trial: on one benchmark, the best
            percent of its metric.
        rungs: scores so far at the rungs that were reached, by epoch of the first benchmark.
        stop_epoch: where early stopping decided to end the trial, if it did.
        summaries: of each part, when the trial has ended well.
        diverged: it failed because the loss was no longer finite.
        device_hours: of training; on a GPU that K trials share, a Kth of the wall time.
        seed_index: in a later phase, the index of the training seed that its arms share.
    """

    key: str
    label: str
    state: TrialState
    weighting: Weighting
    seed: int
    value: float | None
    rungs: dict[int, float]
    stop_epoch: int | None
    summaries: tuple[Summary, ...]
    reason: str | None
    diverged: bool
    seed_index: int | None
    hardware: str | None
    device_hours: float

    @property
    def study(self) -> str:
        return self.key.rsplit("-", 1)[0]

    @property
    def number(self) -> int:
        """Its place in its study, from 0."""
        return int(self.key.rsplit("-", 1)[1])

    @property
    def is_baseline(self) -> bool:
        return self.study == BASELINES

    @property
    def in_search(self) -> bool:
        """Whether it belongs to the search itself, and not to a later phase."""
        return self.study in (BASELINES, PROPOSALS)

    @property
    def epochs(self) -> int:
        """How many epochs it trained on the first of its benchmarks, when it has ended well."""
        return self.summaries[0].epochs if self.summaries else 0


@dataclass(frozen=True)
class FreshRun:
    """A run of a later phase: an arm, and a training seed that no trial of the search had."""

    label: str
    weighting: Weighting
    seed_index: int
    seed: int


def trial_key(study: str, number: int) -> str:
    return f"{study}-{number:05d}"


def trial_seed(seed: int, study: str, number: int) -> int:
    """Return the training seed of a trial: fresh for each, the same whenever a run is repeated."""
    return int(np.random.SeedSequence([seed, STUDIES[study], number]).generate_state(1)[0])


def to_row(study: str, trial: FrozenTrial) -> Row | None:
    """Return the row of a started trial; None for one that waits or never came to be started.

    Raises:
        UserError: the record of it breaks a rule.
    """
    if trial.state == TrialState.WAITING or "seed" not in trial.user_attrs:
        return None
    rungs = trial.intermediate_values
    key = trial_key(study, trial.number)
    name = f"what study.journal has of {key}"
    scores = [*rungs.values(), *(trial.values or ())]
    facts = read_known(TrialFacts, trial.user_attrs | {"scores": scores}, name)
    value = trial.value if trial.state == TrialState.COMPLETE else None
    if trial.state == TrialState.PRUNED and rungs:
        value = rungs[max(rungs)]
    return Row(
        key=key,
        label=present_name(facts.name or f"#{trial.number}"),
        state=trial.state,
        weighting=weighting_of(facts.weighting, name),
        seed=facts.seed,
        value=value,
        rungs=dict(rungs),
        stop_epoch=facts.stop_epoch,
        summaries=summaries_of(facts.summaries, name),
        reason=None if facts.reason is None else printable(facts.reason),
        diverged=facts.diverged,
        seed_index=facts.seed_index,
        hardware=printable(facts.hardware or "") or None,
        device_hours=facts.device_hours,
    )


def weighting_of(text: str, name: str) -> Weighting:
    """Return the weighting that a JSON text holds.

    Raises:
        UserError: it is no object of JSON.
        WeightingError: it is no weighting.
    """
    content = json_of(text, name)
    if not isinstance(content, dict):
        raise UserError(f"{name} cannot be used: its weighting is {shown(content)}; restore it.")
    return Weighting.from_dict(content)


def summaries_of(text: str, name: str) -> tuple[Summary, ...]:
    """Return the summaries of a trial's parts, none before its end.

    Raises:
        UserError: they break a rule.
    """
    content = json_of(text, name)
    if not isinstance(content, list):
        raise UserError(f"{name} cannot be used: summaries is {shown(content)}; restore it.")
    rows = [present_names(row) if isinstance(row, dict) else row for row in content]
    return tuple(read_known(Summary, row, f"{name}, part {part}") for part, row in enumerate(rows))
