"""Search by SMAC3, replayed: a random forest and expected improvement on the parameters of a space.

`HyperparameterOptimizationFacade` with its defaults, told 100 less the accuracy. It takes results
for noisy by running a configuration with up to three seeds, which all configurations share, and
names the incumbent: the lowest mean over those.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.replay.choosing import Choice
from benchmarks.replay.full_length.peer_search import Asked, Params, PeerSearch
from benchmarks.replay.world import Candidate, World
from spaces import Float, Space, WeightingError
from trainer.trial import SCALE_FREE_LOSS

CONTROLS_SEED = 0
"""The seed of controls; SMAC takes it as the first that it may use."""


class SmacSearch(PeerSearch):
    """A search under way."""

    def __init__(
        self, world: World, trials: int, workers: int, repetition: tuple[int, ...]
    ) -> None:
        super().__init__(world, trials, workers, repetition)
        seed = int(np.random.SeedSequence(repetition).generate_state(1)[0] // 2)
        self.space = configuration_space(world.space, seed)
        self.smac = self._facade(seed)
        self.candidates: dict[Any, Candidate] = {}

    def _facade(self, seed: int) -> Any:
        from smac import HyperparameterOptimizationFacade as Facade
        from smac import Scenario

        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scenario = Scenario(
                self.space, output_directory=Path(folder), n_trials=self.trials, seed=seed
            )
            return Facade(
                scenario,
                lambda config, seed: 0.0,  # is asked and told, never called
                logging_level=False,
            )

    def handle(self, params: Params) -> Any:
        from ConfigSpace import Configuration
        from smac.runhistory import TrialInfo

        return TrialInfo(Configuration(self.space, values=params), seed=CONTROLS_SEED)

    def ask(self, number: int) -> list[Asked]:
        """Return the trials of the next round; those that the guards refuse cost nothing."""
        asked: list[Asked] = []
        while len(asked) < number:
            info = self.smac.ask()
            try:
                asked.append(Asked(self._candidate(info.config), int(info.seed), info))
            except WeightingError:
                self._told(info, 0.0)
        return asked

    def _candidate(self, config: Any) -> Candidate:
        if config not in self.candidates:
            params = {n: v if isinstance(v, float) else str(v) for n, v in config.items()}
            weighting = self.world.space.strategy(params).weighting
            self.candidates[config] = self.world.candidate(weighting)
        return self.candidates[config]

    def tell(self, trial: Asked, value: float) -> None:
        self.candidates.setdefault(trial.handle.config, trial.candidate)
        self._told(trial.handle, value)

    def _told(self, info: Any, value: float) -> None:
        from smac.runhistory import TrialValue

        self.smac.tell(info, TrialValue(cost=100 - value), save=False)

    def named(self) -> Choice:
        """Name the incumbent, with its mean."""
        config = self.smac.intensifier.get_incumbent()
        mean = 100 - float(self.smac.runhistory.average_cost(config))
        return Choice(self.candidates[config].truth, mean)


def configuration_space(space: Space, seed: int) -> Any:
    """Return the space of ConfigSpace that has the domains and conditions of a space."""
    import ConfigSpace

    made, known = ConfigSpace.ConfigurationSpace(seed=seed), {}
    for domain in space.searched(SCALE_FREE_LOSS):
        if isinstance(domain, Float):
            bounds = (domain.low, domain.high)
            parameter = ConfigSpace.Float(domain.name, bounds, log=domain.log)
        else:
            parameter = ConfigSpace.Categorical(domain.name, list(domain.choices))
        known[domain.name] = parameter
        made.add(parameter)
        if domain.when is not None:
            name, choice = domain.when
            made.add(ConfigSpace.EqualsCondition(parameter, known[name], choice))
    return made
