"""Search by BoTorch, replayed: q-log noisy expected improvement on the parameters of a space.

A Gaussian process of BoTorch's defaults (`SingleTaskGP`) learns from parameters, in [0, 1] each,
with the noise that it finds; `qLogNoisyExpectedImprovement` (Ament et al., NeurIPS 2023) picks the
trials of a round one after another, among the points that also cover the space for
``knowledge-gradient``. It is fitted
after every round.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import numpy as np
import torch

from benchmarks.replay.choosing import Choice
from benchmarks.replay.full_length.peer_search import Asked, Params, PeerSearch
from benchmarks.replay.full_length.shares_search import model_of
from benchmarks.replay.world import Candidate, World
from spaces import Float, Space
from spaces.counts import FloatArray
from trainer.runtime import threads
from trainer.trial import SCALE_FREE_LOSS

STARTUP = 10
"""Trials, controls included, before the process is asked; others are drawn at random."""
SAMPLES = 128
"""Of the posterior, for an expectation."""
NORMAL = 1.96
"""Standard deviations on each side of the mean that hold 95 %."""


class BotorchSearch(PeerSearch):
    """A search under way."""

    def __init__(
        self, world: World, trials: int, workers: int, repetition: tuple[int, ...]
    ) -> None:
        super().__init__(world, trials, workers, repetition)
        names = tuple(sorted(world.controls, key=lambda name: name != "uniform"))
        cover = model_of(world.space, tuple(world.counts.tolist()), names).candidates
        drawn = [(w, p) for w, p in zip(cover.weightings, cover.params, strict=True) if p]
        self.weightings = [weighting for weighting, _ in drawn]
        self.points = torch.stack([self.handle(params) for _, params in drawn])
        self.random = np.random.default_rng(repetition)
        self.tried: list[torch.Tensor] = []
        self.candidates: list[Candidate] = []
        self.values: list[float] = []
        self.model: Any = None

    def handle(self, params: Params) -> torch.Tensor:
        return torch.tensor(encoded(self.world.space, params))

    def ask(self, number: int) -> list[Asked]:
        tried = len(self.tried)
        if tried < STARTUP:
            picks = self.random.choice(len(self.points), number, replace=False).tolist()
        else:
            with threads(1):  # which is faster: the matrices are small
                picks = self._acquired(number)
        return [
            Asked(self.world.candidate(self.weightings[pick]), tried + i, self.points[pick])
            for i, pick in enumerate(picks)
        ]

    def _acquired(self, number: int) -> list[int]:
        from botorch.acquisition.logei import qLogNoisyExpectedImprovement
        from botorch.optim import optimize_acqf_discrete
        from botorch.sampling import SobolQMCNormalSampler

        wanted = qLogNoisyExpectedImprovement(
            self.model,
            torch.stack(self.tried),
            sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=len(self.tried)),
            prune_baseline=True,
        )
        found, _ = optimize_acqf_discrete(wanted, number, self.points, unique=True)
        return torch.cdist(found, self.points).argmin(dim=1).tolist()

    def tell(self, trial: Asked, value: float) -> None:
        self.tried.append(trial.handle)
        self.candidates.append(trial.candidate)
        self.values.append(value)

    def named(self) -> Choice:
        """Name the highest posterior mean among what was tried, with its 95 % interval."""
        if len(self.tried) < STARTUP:
            best = int(np.argmax(self.values))
            return Choice(self.candidates[best].truth, self.values[best])
        with threads(1):
            self.model = self._fitted()
            with torch.no_grad():
                posterior = self.model.posterior(torch.stack(self.tried))
        means = posterior.mean[:, 0]
        best = int(means.argmax())
        mean, half = float(means[best]), NORMAL * float(posterior.variance[best, 0]) ** 0.5
        truth = self.candidates[best].truth
        return Choice(truth, mean, interval=(mean - half, mean + half))

    def _fitted(self) -> Any:
        """A process that was fitted to the results."""
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.transforms import Standardize
        from gpytorch.mlls import ExactMarginalLogLikelihood

        results = torch.tensor(self.values, dtype=torch.float64)[:, None]
        model = SingleTaskGP(torch.stack(self.tried), results, outcome_transform=Standardize(1))
        likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fit that was tried again
            fit_gpytorch_mll(likelihood, closure=functools.partial(loss_of, likelihood))
        return model


def loss_of(likelihood: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the loss that a fit of BoTorch's process brings down, and its gradients.

    It is that of ``ExactMarginalLogLikelihood`` with the priors of ``SingleTaskGP``: the negative
    log posterior density per result. Written out, it takes a fifth of the time.
    """
    model, parameters = likelihood.model, list(likelihood.parameters())
    points = model.train_inputs[0] / model.covar_module.lengthscale
    rest = model.train_targets - model.mean_module.constant
    n = len(rest)
    squares = points.square().sum(dim=1)
    distances = squares[:, None] + squares - 2 * points @ points.T
    covariance = (-0.5 * distances).exp() + model.likelihood.noise * torch.eye(n).to(rest)
    factor = torch.linalg.cholesky(covariance)
    whitened = torch.linalg.solve_triangular(factor, rest[:, None], upper=False)
    density = -0.5 * whitened.square().sum() - factor.diagonal().log().sum()
    density = density - 0.5 * n * math.log(2 * math.pi)
    for _, module, prior, closure, _ in model.named_priors():
        density = density + prior.log_prob(closure(module)).sum()
    loss = -density / n
    gradients = list(torch.autograd.grad(loss, parameters))
    return loss.detach(), gradients


def encoded(space: Space, params: Params) -> FloatArray:
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
        else:
            numbers.append(domain.share(float(value)))
    return np.array(numbers)
