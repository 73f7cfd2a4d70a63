"""Registry of the samplers: Optuna's, by name, and how each draws from a space."""

import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.samplers import BaseSampler

from spaces import Choice, Domain, Float, ParameterValue, Space

optuna.logging.set_verbosity(optuna.logging.WARNING)  # that a study was made is no news

STARTUP_TRIALS = 10
"""Proposals drawn at random before a model of the space is used."""


def tpe(seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=STARTUP_TRIALS, group=True, constant_liar=True
    )


def gp(seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(
        seed=seed, n_startup_trials=STARTUP_TRIALS, deterministic_objective=False
    )


def cmaes(seed: int) -> BaseSampler:
    return optuna.samplers.CmaEsSampler(
        seed=seed, n_startup_trials=STARTUP_TRIALS, warn_independent_sampling=False
    )


def random(seed: int) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


def qmc(seed: int) -> BaseSampler:
    return optuna.samplers.QMCSampler(
        seed=seed, scramble=True, warn_asynchronous_seeding=False, warn_independent_sampling=False
    )


@dataclass(frozen=True)
class Sampler:
    """An Optuna sampler under a name.

    Attributes:
        make: seed -> sampler.
        summary: how it proposes, in a line.
        conditional: it models conditional parameters; otherwise every parameter is drawn for
            every trial, and the inactive ones are ignored, so that its space never changes.
        learns_from_stopped: stopping trials early does not keep results from it.
        fresh_seed: each attempt of a run takes a new seed, or the start-up draws would repeat.
            A low-discrepancy sequence must keep its seed: its position is in the study.
        models_noise: it takes results for noisy by itself, and is told them as they are. The
            others are shown posterior means instead.
    """

    make: Callable[[int], BaseSampler]
    summary: str
    conditional: bool
    learns_from_stopped: bool
    fresh_seed: bool = True
    models_noise: bool = False


SAMPLERS: dict[str, Sampler] = {
    "tpe": Sampler(
        tpe,
        "by a tree-structured Parzen estimator: where good trials are dense and others are not",
        conditional=True,
        learns_from_stopped=True,
    ),
    "gp": Sampler(
        gp,
        "by a Gaussian process of the results, with their noise",
        conditional=False,
        learns_from_stopped=False,
        models_noise=True,
    ),
    "cmaes": Sampler(
        cmaes,
        "by CMA-ES, an evolution strategy that adapts its covariance",
        conditional=False,
        learns_from_stopped=False,
    ),
    "random": Sampler(random, "at random", conditional=True, learns_from_stopped=True),
    "qmc": Sampler(
        qmc,
        "evenly, from a low-discrepancy sequence (Sobol, scrambled)",
        conditional=False,
        learns_from_stopped=True,
        fresh_seed=False,
    ),
}


def make_sampler(name: str, seed: int, attempt: int) -> BaseSampler:
    """Return sampler ``name`` for the run's ``seed`` and the number of this attempt (from 1)."""
    words = [seed, attempt if SAMPLERS[name].fresh_seed else 0]
    derived = int(np.random.SeedSequence(words).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return SAMPLERS[name].make(derived)


def default_sampler(early_stopping: str, domains: Iterable[Domain]) -> str:
    """Return ``tpe`` where trials are stopped early or parameters are conditional, else ``gp``.

    TPE learns from stopped trials, which the Gaussian process ignores, and knows conditions.
    """
    conditional = any(domain.when for domain in domains)
    return "tpe" if early_stopping != "none" or conditional else "gp"


def draw(
    trial: optuna.Trial, space: Space, domains: Iterable[Domain], conditional: bool
) -> dict[str, ParameterValue]:
    """Return the trial's value for every domain (for the active ones only, if ``conditional``)."""
    params: dict[str, ParameterValue] = {}
    for domain in domains:
        if conditional and not space.active(domain, params):
            continue
        match domain:
            case Float(name, low, high, log):
                params[name] = trial.suggest_float(name, low, high, log=log)
            case Choice(name, choices):
                params[name] = str(trial.suggest_categorical(name, choices))
    return params


def distributions(
    domains: Iterable[Domain], params: Collection[str]
) -> dict[str, BaseDistribution]:
    """Return the distributions from which ``draw`` draws these parameters, in their order.

    Raises:
        KeyError: there is no such parameter.
    """
    known: dict[str, BaseDistribution] = {}
    for domain in domains:
        match domain:
            case Float(name, low, high, log):
                known[name] = FloatDistribution(low, high, log=log)
            case Choice(name, choices):
                known[name] = CategoricalDistribution(choices)
    return {name: known[name] for name in params}
