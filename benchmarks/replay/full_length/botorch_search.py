"""Search by BoTorch, replayed: q-log noisy expected improvement on the parameters of a space.

A Gaussian process of BoTorch's defaults (`SingleTaskGP`) learns from the proposals' parameters, in
[0, 1] each, with the noise that it finds; `qLogNoisyExpectedImprovement` (Ament et al., NeurIPS
2023) picks the next among the points that also cover the space for ``knowledge-gradient``. Named
weightings are no points of the space, and are not run.
"""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np
import torch

from benchmarks.replay.choosing import POINTS, Choice
from benchmarks.replay.full_length.shares_search import model_of
from benchmarks.replay.world import Candidate, World
from spaces import Float, ParameterValue, Space
from spaces.counts import FloatArray
from trainer.trial import SCALE_FREE_LOSS

STARTUP = 10
"""Trials at random before the process is asked."""
SAMPLES = 64
"""Of the posterior, for an expectation."""


class BotorchSearch:
    """A search under way.

    Attributes:
        asking: seconds that were spent on proposals.
    """

    def __init__(self, world: World, workers: int, repetition: tuple[int, ...]) -> None:
        self.world, self.workers, self.repetition = world, workers, repetition
        names = tuple(sorted(world.controls, key=lambda name: name != "uniform"))
        cover = model_of(world.space, tuple(world.counts.tolist()), names, "spread").candidates
        drawn = [(w, p) for w, p in zip(cover.weightings, cover.params, strict=True) if p]
        self.weightings = [weighting for weighting, _ in drawn]
        self.points = torch.tensor(np.stack([encoded(world.space, p) for _, p in drawn]))
        self.random = np.random.default_rng(repetition)
        self.tried: list[int] = []
        self.values: list[float] = []
        self.chosen: list[int] = []
        """The best after each trial, by the process."""
        self.asking = 0.0

    def search(self, trials: int) -> None:
        """Search until there are so many trials."""
        while len(self.tried) < trials:
            room = min(self.workers, trials - len(self.tried))
            began = time.perf_counter()
            picks = self.next(room)
            self.asking += time.perf_counter() - began
            for pick in picks:
                seed = len(self.tried)
                value = self.world.confirmation_run(
                    self.candidate(pick), self.repetition, pick, seed
                )
                self.tried.append(pick)
                self.values.append(value)
            self.chosen += [self.best()] * room

    def candidate(self, number: int) -> Candidate:
        return self.world.candidate(self.weightings[number])

    def next(self, number: int) -> list[int]:
        """Return the points of the next trials."""
        if len(self.tried) < STARTUP:
            return [int(i) for i in self.random.choice(len(self.points), number, replace=False)]
        from botorch.acquisition.logei import qLogNoisyExpectedImprovement
        from botorch.optim import optimize_acqf_discrete
        from botorch.sampling import SobolQMCNormalSampler

        sampler = SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=len(self.tried))
        wanted = qLogNoisyExpectedImprovement(
            self.fitted(), self.points[self.tried], sampler=sampler, prune_baseline=True
        )
        found, _ = optimize_acqf_discrete(wanted, number, self.points, unique=True)
        gaps = torch.cdist(found, self.points)
        return [int(i) for i in gaps.argmin(dim=1)]

    def fitted(self) -> Any:
        """Return a process that was fitted to the results."""
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.transforms import Standardize
        from gpytorch.mlls import ExactMarginalLogLikelihood

        results = torch.tensor(self.values, dtype=torch.float64)[:, None]
        model = SingleTaskGP(self.points[self.tried], results, outcome_transform=Standardize(1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fit that was tried again
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model

    def best(self) -> int:
        """Return the highest posterior mean among what was tried."""
        if len(self.tried) < STARTUP:
            return self.tried[int(np.argmax(self.values))]
        self.mean = self.fitted().posterior(self.points[self.tried]).mean[:, 0].detach().numpy()
        return self.tried[int(self.mean.argmax())]

    def choice(self) -> Choice:
        """Name the best of what was tried, with its posterior mean."""
        return Choice(self.candidate(self.best()).truth, float(self.mean.max()))

    def truths(self, budget_trials: int) -> list[float]:
        """Return the truth of the choice at even parts of the budget."""
        known = [max(1, budget_trials * part // POINTS) for part in range(1, POINTS + 1)]
        return [self.candidate(self.chosen[n - 1]).truth for n in known]


def encoded(space: Space, params: dict[str, ParameterValue]) -> FloatArray:
    """Return parameters as numbers in [0, 1]: a number its place, a word 0 and 1 for each choice.

    An inactive number is in the middle of its domain.
    """
    numbers: list[float] = []
    for domain in space.searched(SCALE_FREE_LOSS):
        value = params.get(domain.name)
        if not isinstance(domain, Float):
            numbers += [float(value == choice) for choice in domain.choices]
        elif value is None:
            numbers.append(0.5)
        elif domain.log:
            whole = math.log(domain.high / domain.low)
            numbers.append(math.log(float(value) / domain.low) / whole)
        else:
            numbers.append((float(value) - domain.low) / (domain.high - domain.low))
    return np.array(numbers)
