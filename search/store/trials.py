"""One trial as a run has it on record: its study and number, its seed, and how it ended."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as TrialState

from search.store.schemas import OBJECTS, POINT, SUMMARIES, TRIAL
from search.store.validation import check, printable, read_json
from spaces import Weighting, present_name
from trainer.results import present_names

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
class Row:
    """One trial as the record has it.

    Attributes:
        key: ``STUDY-NUMBER``, unique in the run and safe as a file name.
        label: what people are shown: a baseline's name, ``#NUMBER``, or the arm of a later phase.
        value: score (``Objective.score``) of a COMPLETE or PRUNED trial: on one benchmark, the best
            percent of its metric.
        rungs: scores so far at the rungs that were reached, by epoch of the first benchmark.
        stop_epoch: where early stopping decided to end the trial, if it did.
        summaries: ``trainer.results.summary`` of each part, when the trial has ended well.
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
    summaries: tuple[dict[str, Any], ...]
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
        return int(self.summaries[0]["epochs"]) if self.summaries else 0


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
    attributes = trial.user_attrs
    if trial.state == TrialState.WAITING or "seed" not in attributes:
        return None
    values = trial.intermediate_values
    key = trial_key(study, trial.number)
    name = f"what study.journal has of {key}"
    check(attributes | {"scores": [*values.values(), *(trial.values or ())]}, TRIAL, name)
    value = trial.value if trial.state == TrialState.COMPLETE else None
    if trial.state == TrialState.PRUNED and values:
        value = values[max(values)]
    return Row(
        key=key,
        label=present_name(attributes.get("name", f"#{trial.number}")),
        state=trial.state,
        weighting=Weighting.from_dict(read_json(attributes["weighting"], POINT, name)),
        seed=attributes["seed"],
        value=value,
        rungs=dict(values),
        stop_epoch=attributes.get("stop_epoch"),
        summaries=summaries_of(attributes, name),
        reason=printable(attributes["reason"]) if "reason" in attributes else None,
        diverged=attributes.get("diverged", False),
        seed_index=attributes.get("seed_index"),
        hardware=printable(attributes.get("hardware") or "") or None,
        device_hours=attributes.get("device_hours", 0.0),
    )


def summaries_of(attributes: dict[str, Any], name: str) -> tuple[dict[str, Any], ...]:
    """Return the summaries of a trial's parts, none before its end.

    Raises:
        UserError: they break a rule.
    """
    text = attributes.get("summaries", "[]")
    rows = [present_names(row) for row in read_json(text, OBJECTS, name)]
    check(rows, SUMMARIES, name)
    return tuple(rows)
