"""Searchers of a replay: what proposes and stops trials, of this project and of plain Ray Tune."""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Container, Mapping
from types import SimpleNamespace
from typing import Any

import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search.samplers.registry import OPTUNA_SAMPLERS, draw, make_sampler
from search.stats.priors import NoisePrior
from search.stats.ranking import rank
from search.stats.replicates import Groups
from search.stopping.rules import EarlyStopping
from search.store.trials import PROPOSALS, trial_key
from spaces import Domain, Float, Space, Weighting
from trainer.trial import SCALE_FREE_LOSS

METRIC = "value"


class Searcher(ABC):
    """Proposes weightings under keys and hears what becomes of them.

    Attributes:
        rungs: the epochs whose values it wants to hear.
        believes_stopped: the value of a stopped trial is as good to it as a final one.
    """

    rungs: tuple[int, ...]
    believes_stopped = False

    @abstractmethod
    def ask(self) -> tuple[str, Weighting]:
        """Return the key and the weighting of a new trial."""

    @abstractmethod
    def refuse(self, key: str) -> None:
        """Take note that the guards refuse the trial."""

    @abstractmethod
    def observe(self, key: str, epoch: int, value: float) -> bool:
        """Take a value at a rung; return True where the trial ends there."""

    @abstractmethod
    def complete(self, key: str, value: float) -> None:
        """Take the final value of a full-length trial."""

    def starts(self, key: str, weights: npt.ArrayLike) -> None:  # noqa: B027
        """Take note of the weights (C,) of a trial that starts."""


class StudySearcher(Searcher):
    """The sampler and the early stopping of a search of this project, told as it tells them."""

    def __init__(
        self,
        sampler: str,
        early_stopping: EarlyStopping,
        space: Space,
        seed: int,
        pooled: Pooled | None,
    ) -> None:
        """``pooled`` keeps the study and shows it posterior means; None shows raw values."""
        self.conditional = OPTUNA_SAMPLERS[sampler].conditional
        self.early_stopping, self.space = early_stopping, space
        self.rungs = early_stopping.rungs
        self.domains = space.searched(SCALE_FREE_LOSS)
        self.pooled = pooled
        self.study = optuna.create_study(
            storage=pooled or InMemoryStorage(),
            direction="maximize",
            sampler=make_sampler(sampler, seed, 1),
        )
        self.trials: dict[str, optuna.Trial] = {}

    def ask(self) -> tuple[str, Weighting]:
        trial = self.study.ask()
        key = trial_key(PROPOSALS, trial.number)
        self.trials[key] = trial
        params = draw(trial, self.space, self.domains, self.conditional)
        return key, self.space.strategy(params).weighting

    def refuse(self, key: str) -> None:
        self.study.tell(self.trials.pop(key), state=TrialState.FAIL)

    def starts(self, key: str, weights: npt.ArrayLike) -> None:
        if self.pooled is not None:
            number = self.trials[key].number if key in self.trials else None
            self.pooled.start(key, number, weights)

    def observe(self, key: str, epoch: int, value: float) -> bool:
        worse = self.early_stopping.observe(key, epoch, value)
        trial = self.trials.get(key)
        if trial is None:  # a baseline
            return False
        trial.report(value, epoch)
        if not worse or self.early_stopping.is_immune(trial.number):
            return False
        self.study.tell(trial, state=TrialState.PRUNED)
        return True

    def complete(self, key: str, value: float) -> None:
        self.early_stopping.complete(key, value)
        if self.pooled is not None:
            self.pooled.end(key, value)
        if key in self.trials:
            self.study.tell(self.trials[key], value)


class Pooled(InMemoryStorage):
    """A storage that shows the posterior mean of its weighting as a full-length trial's value."""

    def __init__(self, counts: npt.ArrayLike, noise: NoisePrior) -> None:
        super().__init__()
        self.noise = noise
        self.groups = Groups([counts])
        self.group: dict[str, int] = {}
        self.numbers: dict[int, str] = {}
        self.values: dict[str, float] = {}
        self.means: dict[int, float] = {}

    def start(self, key: str, number: int | None, weights: npt.ArrayLike) -> None:
        """Take the weights (C,) of a trial: a proposal's, with its number, or a baseline's."""
        self.group[key] = self.groups.add([weights])
        if number is not None:
            self.numbers[number] = key

    def end(self, key: str, value: float) -> None:
        """Take the final value of a full-length trial."""
        self.values[key] = value
        groups = [self.group[k] for k in self.values]
        ranking = rank(groups, list(self.values.values()), self.noise)
        self.means = {posterior.group: posterior.mean for posterior in ranking.groups}

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        trials = super().get_all_trials(study_id, deepcopy, states)
        return [self._shown(t) if t.state == TrialState.COMPLETE else t for t in trials]

    def _shown(self, trial: FrozenTrial) -> FrozenTrial:
        shown = copy.copy(trial)
        shown.value = self.means[self.group[self.numbers[trial.number]]]
        return shown


class RayTuneSearcher(Searcher):
    """Ray Tune's own ``OptunaSearch`` and ``ASHAScheduler`` with their documented defaults.

    They are called as the controller of Ray Tune 2.60 calls them, without a cluster: the report
    that stops a trial reaches the search as its completion.
    """

    believes_stopped = True

    def __init__(self, space: Space, epochs: int, seed: int) -> None:
        from ray.tune.schedulers import ASHAScheduler  # Ray takes seconds to import
        from ray.tune.search.optuna import OptunaSearch

        self.space = space
        domains = {d.name: _distribution(d) for d in space.searched(SCALE_FREE_LOSS)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.search = OptunaSearch(domains, metric=METRIC, mode="max", seed=seed)
        self.scheduler = ASHAScheduler(
            metric=METRIC, mode="max", max_t=epochs, grace_period=1, reduction_factor=4
        )
        self.rungs = tuple(4**k for k in range(epochs) if 4**k < epochs)
        self.epochs = epochs
        self.trials: dict[str, SimpleNamespace] = {}

    def ask(self) -> tuple[str, Weighting]:
        key = f"ray-{len(self.trials):05d}"
        params: Mapping[str, Any] = self.search.suggest(key)
        self.trials[key] = SimpleNamespace(trial_id=key)
        self.scheduler.on_trial_add(None, self.trials[key])
        return key, self.space.strategy(params).weighting

    def refuse(self, key: str) -> None:
        self.scheduler.on_trial_error(None, self.trials[key])
        self.search.on_trial_complete(key, error=True)

    def observe(self, key: str, epoch: int, value: float) -> bool:
        result = {METRIC: value, "training_iteration": epoch}
        if self.scheduler.on_trial_result(None, self.trials[key], result) == "STOP":
            self.search.on_trial_complete(key, result)
            return True
        self.search.on_trial_result(key, result)
        return False

    def complete(self, key: str, value: float) -> None:
        self.observe(key, self.epochs, value)  # the scheduler stops at its max_t


def _distribution(domain: Domain) -> BaseDistribution:
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log)
    return CategoricalDistribution(domain.choices)
