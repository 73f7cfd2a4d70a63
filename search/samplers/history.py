"""History that a sampler is shown: all trials, or in a long search the best and the latest."""

import bisect
import copy
from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

BEST, LATEST = 100, 500
"""How many ended trials samplers are shown in any case: the best, and those that ended last."""


def merit(trial: FrozenTrial) -> tuple[int, float, float, int]:
    """Return a key that sorts ended trials as TPE ranks them, the best first.

    COMPLETE trials come first, by value; then PRUNED ones, by how far they came, then by value.
    """
    if trial.state == TrialState.COMPLETE:
        return 0, -(trial.value or 0.0), 0.0, trial.number
    step, value = max(trial.intermediate_values.items(), default=(0, 0.0))
    return 1, -step, -value, trial.number


@dataclass
class Shown:
    """The ended trials of one study that samplers are shown; refused and failed ones apart."""

    best: list[FrozenTrial] = field(default_factory=list)
    latest: deque[FrozenTrial] = field(default_factory=lambda: deque(maxlen=LATEST))
    failed: deque[FrozenTrial] = field(default_factory=lambda: deque(maxlen=LATEST))

    def add(self, trial: FrozenTrial) -> None:
        """Take a trial that has just ended."""
        if trial.state == TrialState.FAIL:
            self.failed.append(trial)
            return
        self.latest.append(trial)
        bisect.insort(self.best, trial, key=merit)
        del self.best[BEST:]

    def trials(self) -> list[FrozenTrial]:
        return list({t.number: t for t in (*self.best, *self.latest, *self.failed)}.values())


class BoundedStorage(JournalStorage):
    """A journal whose studies show their samplers a bounded history.

    Samplers read all trials several times for each proposal, so that a proposal would cost more
    and more. A study of up to ``LATEST`` ended trials is shown whole. From then on, it shows the
    ``BEST`` best and the ``LATEST`` that ended last, besides all that have not ended: TPE models
    its best 25 trials against the others, and weighs older ones less anyway. What is shown
    follows from the journal alone, and the journal itself keeps every trial.

    It is right in the one process that writes to the journal, and reads only what that wrote: in
    another process it stays as it was opened.
    """

    def __init__(self, backend: BaseJournalBackend) -> None:
        self.stale = True
        super().__init__(backend)
        self.shown: dict[int, Shown] = {}
        self.open: dict[int, set[int]] = {}
        """Ids of the trials that have not ended, by study id."""
        self.shown_values: dict[int, float] = {}
        """What samplers are shown in place of the recorded value of a COMPLETE trial, by id."""

    def _write_log(self, op_code: int, extra_fields: dict[str, Any]) -> None:
        self.stale = True
        super()._write_log(op_code, extra_fields)

    def _sync_with_backend(self) -> None:
        """Read what was written; Optuna would open the file whenever it looks at a trial."""
        if self.stale:
            super()._sync_with_backend()
            self.stale = False

    def set_trial_user_attrs(self, trial_id: int, attributes: dict[str, Any]) -> None:
        """Set several attributes in one write, for each write waits for the disk."""
        self.check_trial_is_updatable(trial_id, self.get_trial(trial_id).state)
        worker = self._replay_result.worker_id
        head = {"op_code": JournalOperation.SET_TRIAL_USER_ATTR, "worker_id": worker}
        facts = [{name: value} for name, value in attributes.items()]
        with self._thread_lock:
            self.stale = True
            logs = [{**head, "trial_id": trial_id, "user_attr": fact} for fact in facts]
            self._backend.append_logs(logs)
            self._sync_with_backend()

    def every_trial(self, study: Study) -> list[FrozenTrial]:
        """Return all trials, in the order of their numbers; they must not be changed."""
        return super().get_all_trials(study._study_id, deepcopy=False)

    def _load(self, study_id: int) -> None:
        """Build what is shown of a study from all of its trials, unless that was done before."""
        if study_id in self.shown:
            return
        trials = super().get_all_trials(study_id, deepcopy=False)
        self.open[study_id] = {t._trial_id for t in trials if not t.state.is_finished()}
        self.shown[study_id] = Shown()
        ended = [t for t in trials if t.datetime_complete is not None]
        for trial in sorted(ended, key=lambda t: (t.datetime_complete, t.number)):
            self.shown[study_id].add(trial)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self._load(study_id)
        trial_id = super().create_new_trial(study_id, template_trial)
        self.open[study_id].add(trial_id)
        return trial_id

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        done = super().set_trial_state_values(trial_id, state, values)
        for study_id, waiting in self.open.items():
            if state.is_finished() and trial_id in waiting:
                waiting.remove(trial_id)
                self.shown[study_id].add(self.get_trial(trial_id))
        return done

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials that samplers are shown, in the order of their numbers."""
        self._load(study_id)
        trials = self.shown[study_id].trials() + [self.get_trial(i) for i in self.open[study_id]]
        found = [trial for trial in trials if states is None or trial.state in states]
        found.sort(key=lambda trial: trial.number)
        found = [self._as_shown(trial) for trial in found]
        return copy.deepcopy(found) if deepcopy else found

    def _as_shown(self, trial: FrozenTrial) -> FrozenTrial:
        value = self.shown_values.get(trial._trial_id)
        if value is None or trial.state != TrialState.COMPLETE:
            return trial
        shown = copy.copy(trial)
        shown.values = [value]
        return shown
