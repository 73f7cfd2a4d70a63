"""History that a sampler is shown: all trials, or in a long search the best and the latest."""

import bisect
import copy
from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search.samplers.cmaes import STATE, Told, has_state, retold, told_of

BEST, LATEST = 100, 500
"""How many ended trials samplers are shown in any case: the best, and those that ended last."""
NAME = "proposals"


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


class History(InMemoryStorage):
    """Storage in memory of one study that shows its sampler a bounded history.

    Samplers read all trials several times for each proposal, so that a proposal would cost more
    and more. A study of up to ``LATEST`` ended trials is shown whole. From then on, it shows the
    ``BEST`` best and the ``LATEST`` that ended last, besides all that have not ended: TPE models
    its best 25 trials against the others, and weighs older ones less anyway.

    Attributes:
        open: of the trials that have not ended, number -> id.
        shown_values: by number, what samplers are shown in place of a COMPLETE trial's value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[int, int] = {}
        self.shown = Shown()
        self.shown_values: dict[int, float] = {}
        self._known: dict[str, Any] = {}

    def study(self, sampler: BaseSampler) -> optuna.Study:
        """Make the one study."""
        self._made = optuna.create_study(
            study_name=NAME, storage=self, sampler=sampler, direction="maximize"
        )
        return self._made

    @property
    def study_id(self) -> int:
        return self.get_study_id_from_name(NAME)

    def trial(self, number: int) -> FrozenTrial:
        """Return a trial as it is now."""
        return self.get_trial(self.id_of(number))

    def id_of(self, number: int) -> int:
        return self.get_trial_id_from_study_id_trial_number(self.study_id, number)

    def add(
        self,
        state: TrialState,
        value: float | None,
        params: dict[str, Any],
        distributions: dict[str, BaseDistribution],
        attrs: dict[str, Any],
        rungs: dict[int, float],
        study_attrs: dict[str, Any],
        told: Told | None,
    ) -> None:
        """Add the next trial of the record.

        Raises:
            ValueError: a parameter is outside of its distribution, or CMA-ES was not told so.
            KeyError: there is no trial of a number that is told of.
        """
        if has_state(attrs):
            raise ValueError("it holds a state of CMA-ES, which no search writes")
        if told:
            base = None if told.base is None else self.trial(told.base)
            results = [(self.trial(number), told_value) for number, told_value in told.results]
            attrs = attrs | retold(base, results, distributions)
        trial = optuna.trial.create_trial(
            state=state,
            value=value,
            params=params,
            distributions=distributions,
            system_attrs=attrs,
            intermediate_values=rungs,
        )
        self._made.add_trial(trial)
        for name, content in study_attrs.items():
            self.set_study_system_attr(self.study_id, name, content)
        self._known = dict(self.get_study_system_attrs(self.study_id))

    def show(self, numbers: Iterable[int]) -> None:
        """Show trials that had ended when they were added, in the order of their ends."""
        for number in numbers:
            self.shown.add(self.trial(number))

    def end(
        self,
        number: int,
        state: TrialState,
        value: float | None = None,
        rungs: Mapping[int, float] | None = None,
    ) -> None:
        """End an open trial, with its scores by epoch."""
        trial_id = self.open[number]
        for epoch, score in (rungs or {}).items():
            self.set_trial_intermediate_value(trial_id, epoch, score)
        self.set_trial_state_values(trial_id, state, None if value is None else [value])

    def kept(self, number: int) -> dict[str, Any]:
        """Return what must be kept of a trial just drawn, for ``add`` to make it again.

        These are the sampler's attributes of the trial, those of the study that have changed, and
        what CMA-ES was told.
        """
        of_study = dict(self.get_study_system_attrs(self.study_id))
        changed = {k: v for k, v in of_study.items() if self._known.get(k) != v}
        self._known = of_study
        attrs = dict(self.trial(number).system_attrs)
        if not has_state(attrs):
            return {"attrs": attrs, "study": changed}
        shown = self.get_all_trials(self.study_id, False, (TrialState.COMPLETE,))
        rest = {k: v for k, v in attrs.items() if not k.startswith(STATE)}
        return {"attrs": rest, "study": changed, "told": told_of(shown)}

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        trial = self.get_trial(trial_id)
        if not trial.state.is_finished():
            self.open[trial.number] = trial_id
        return trial_id

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        done = super().set_trial_state_values(trial_id, state, values)
        if state.is_finished():
            trial = self.get_trial(trial_id)
            del self.open[trial.number]
            self.shown.add(trial)
        return done

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return the trials that samplers are shown, in the order of their numbers."""
        trials = self.shown.trials() + [self.get_trial(i) for i in self.open.values()]
        found = [trial for trial in trials if states is None or trial.state in states]
        found.sort(key=lambda trial: trial.number)
        found = [self._as_shown(trial) for trial in found]
        return copy.deepcopy(found) if deepcopy else found

    def _as_shown(self, trial: FrozenTrial) -> FrozenTrial:
        value = self.shown_values.get(trial.number)
        if value is None or trial.state != TrialState.COMPLETE:
            return trial
        shown = copy.copy(trial)
        shown.values = [value]
        return shown
