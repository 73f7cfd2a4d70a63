"""State of a run: its trials, as far as the facts of its record tell of them."""

from search.store.facts import Asked, Begun, Ended, Fact, Refused, Rung
from search.store.plan import ConfirmationPlan, StoredPlan
from search.store.trials import STUDIES, RecordedTrial, Row, TrialState
from search.store.validation import read_strategy
from spaces import present_name
from spaces.errors import UserError


class RunState:
    """The state of a run after the facts that it has taken.

    Attributes:
        trials: by study, in the order of their numbers; they must not be changed.
        ended: those that have ended or were refused, in the order in which they did.
        begun: the first fact; None before it was taken.
        lines: facts that were taken.
    """

    def __init__(self) -> None:
        self.trials: dict[str, list[RecordedTrial]] = {name: [] for name in STUDIES}
        self.ended: list[RecordedTrial] = []
        self.begun: Begun | None = None
        self._plan: ConfirmationPlan | None = None
        self.lines = 0

    def take(self, fact: Fact, where: str) -> None:
        """Take the next fact; ``where`` names its line.

        Raises:
            UserError: as ``check``, a strategy is none, or a trial begins out of turn.
        """
        self.check(fact, where)
        match fact:
            case Begun():
                for waiting in (*fact.controls, *fact.named):
                    read_strategy(waiting.weighting, where)
                self.begun = fact
            case StoredPlan():
                self._plan = ConfirmationPlan.of(fact, where)
            case Asked() | Refused():
                self._add(RecordedTrial.of(fact, where), where)
            case Rung(key, epoch, score, stop):
                trial = self.trial(key)
                if score is not None:
                    trial.rungs.setdefault(epoch, score)
                trial.stop_epoch = epoch if stop else trial.stop_epoch
            case Ended():
                trial = self.trial(fact.trial)
                trial.end(fact)
                self.ended.append(trial)
        self.lines += 1

    def _add(self, trial: RecordedTrial, where: str) -> None:
        study = self.trials[trial.study]
        if trial.number != len(study):
            raise UserError(f"{where} begins {trial.key} out of turn; restore the file.")
        study.append(trial)
        if trial.refused:
            self.ended.append(trial)

    def check(self, fact: Fact, where: str) -> None:
        """Raise UserError unless a fact can follow those that are known; ``where`` names it."""
        if isinstance(fact, Begun) is not (self.begun is None):
            raise UserError(f"{where} is not where a record begins; restore the file.")
        if isinstance(fact, Rung | Ended):
            try:
                running = self.trial(fact.trial).state == TrialState.RUNNING
            except IndexError:
                running = False
            if not running:
                raise UserError(
                    f"{where} tells of {fact.trial}, which does not run; restore the file."
                )
        if isinstance(fact, Rung) and fact.epoch in self.trial(fact.trial).rungs:
            raise UserError(
                f"{where} tells of epoch {fact.epoch} of {fact.trial} again; restore the file."
            )

    def trial(self, key: str) -> RecordedTrial:
        """Return what is on record of a trial, which must not be changed.

        Raises:
            IndexError: it was not asked for.
        """
        study, number = key.rsplit("-", 1)
        return self.trials[study][int(number)]

    def rows(self) -> list[Row]:
        """Return all asked trials: study by study, in the order they were asked."""
        return [t.row() for study in self.trials.values() for t in study if not t.refused]

    def row(self, key: str) -> Row:
        """Return the row of a started trial."""
        return self.trial(key).row()

    def controls(self) -> list[str]:
        """Return the names of all controls, begun or not."""
        assert self.begun is not None
        return [present_name(control.name) for control in self.begun.controls]

    def named(self) -> list[str]:
        """Return the names of the other strategies that run first, begun or not."""
        assert self.begun is not None
        return [strategy.name for strategy in self.begun.named]

    def plan(self) -> ConfirmationPlan | None:
        """Return the plan of the confirmation, the last one; None before there is one."""
        return self._plan
