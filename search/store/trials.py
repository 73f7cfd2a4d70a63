"""One trial as a run has it on record: its study and number, its seed, and how it ended."""

from dataclasses import dataclass, field

import numpy as np
from optuna.trial import TrialState as TrialState

from search.store.facts import Asked, Drawn, Ended, EndWord, Refused, Summary
from search.store.validation import printable, read_strategy
from spaces import Strategy, present_name

BASELINES, NAMED_FIRST, PROPOSALS = "baselines", "named", "proposals"
CONFIRMATION, HOLDOUT = "confirmation", "holdout"
STUDIES = {BASELINES: 0, NAMED_FIRST: 4, PROPOSALS: 1, CONFIRMATION: 2, HOLDOUT: 3}
"""Name of a study -> its number in the seeds of its trials."""
ENDS: dict[EndWord, TrialState] = {
    "complete": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
"""How the record says that a trial ended -> the state that it then has."""


class Keyed:
    """What has the key of a trial, ``STUDY-NUMBER``."""

    key: str

    @property
    def study(self) -> str:
        return self.key.rsplit("-", 1)[0]

    @property
    def number(self) -> int:
        """Its place in its study, from 0."""
        return int(self.key.rsplit("-", 1)[1])

    @property
    def in_search(self) -> bool:
        """Whether it belongs to the search itself, and not to a later phase."""
        return self.study in (BASELINES, NAMED_FIRST, PROPOSALS)

    @property
    def diagnosed(self) -> bool:
        """Whether the confusion of classes and their losses are kept of it."""
        return self.study not in (NAMED_FIRST, PROPOSALS)


@dataclass(frozen=True)
class Row(Keyed):
    """One trial as the record has it.

    Attributes:
        key: ``STUDY-NUMBER``, unique in the run and safe as a file name.
        label: what people are shown: a strategy's name, ``#NUMBER``, or the arm of a later phase.
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
    strategy: Strategy
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
    def is_baseline(self) -> bool:
        return self.study == BASELINES

    @property
    def is_proposal(self) -> bool:
        return self.study == PROPOSALS

    @property
    def epochs(self) -> int:
        """How many epochs it trained on the first of its benchmarks, when it has ended well."""
        return self.summaries[0].epochs if self.summaries else 0


@dataclass(frozen=True)
class FreshRun:
    """A run of a later phase: an arm, and a training seed that no trial of the search had."""

    label: str
    strategy: Strategy
    seed_index: int
    seed: int


def trial_key(study: str, number: int) -> str:
    return f"{study}-{number:05d}"


def trial_seed(seed: int, study: str, number: int) -> int:
    """Return the training seed of a trial: fresh for each, the same whenever a run is repeated."""
    return int(np.random.SeedSequence([seed, STUDIES[study], number]).generate_state(1)[0])


@dataclass
class RecordedTrial(Keyed):
    """A trial as the lines of the record tell of it so far.

    Attributes:
        refused: why the guards refused it; it was not started then.
        rungs: scores by epoch, the last one included.
        ended: how it ended; None while it runs.
    """

    key: str
    asked: Asked | None
    strategy: Strategy | None
    drawn: Drawn | None
    refused: str | None = None
    rungs: dict[int, float] = field(default_factory=dict)
    stop_epoch: int | None = None
    ended: Ended | None = None

    @classmethod
    def of(cls, fact: Asked | Refused, where: str) -> "RecordedTrial":
        """Return a trial that begins; ``where`` names its line.

        Raises:
            UserError: its strategy is none.
        """
        if isinstance(fact, Refused):
            return cls(fact.trial, None, None, fact.drawn, refused=fact.reason)
        return cls(fact.trial, fact, read_strategy(fact.weighting, where), fact.drawn)

    @property
    def state(self) -> TrialState:
        if self.refused:
            return TrialState.FAIL
        return ENDS[self.ended.state] if self.ended else TrialState.RUNNING

    @property
    def value(self) -> float | None:
        """The score of a trial that has ended well."""
        return self.ended.score if self.ended else None

    def end(self, ended: Ended) -> None:
        """Take how it ended."""
        self.ended = ended
        if ended.epoch is not None and ended.score is not None:
            self.rungs.setdefault(ended.epoch, ended.score)

    def row(self) -> Row:
        """Return the row of a trial that was started."""
        assert self.asked is not None
        assert self.strategy is not None
        ended = self.ended or Ended(self.key, "failed")  # of which nothing is known yet
        return Row(
            key=self.key,
            label=present_name(self.asked.name or f"#{self.number}"),
            state=self.state,
            strategy=self.strategy,
            seed=self.asked.seed,
            value=self.value,
            rungs=dict(self.rungs),
            stop_epoch=self.stop_epoch,
            summaries=ended.summaries,
            reason=None if ended.reason is None else printable(ended.reason),
            diverged=ended.diverged,
            seed_index=self.asked.seed_index,
            hardware=printable(ended.hardware or "") or None,
            device_hours=ended.device_hours,
        )
