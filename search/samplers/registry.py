"""Registry of the samplers by name; how those of Optuna draw from a space."""

import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from threadpoolctl import threadpool_limits

from spaces import Choice, Domain, Float, ParameterValue, Space

optuna.logging.set_verbosity(optuna.logging.WARNING)  # that a study was made is no news

STARTUP_TRIALS = 10
"""Proposals drawn at random before a model of the space is used."""


def tpe(seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=STARTUP_TRIALS, group=True, constant_liar=True
    )


class OneThreadGP(optuna.samplers.GPSampler):
    """Gaussian process of Optuna that computes on one thread.

    Its matrices are small, and trials train on the same CPUs: more threads wait for each other.
    """

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw parameters on one thread; torch and BLAS have as many as before after that."""
        with threadpool_limits(1):
            return super().sample_relative(study, trial, search_space)


def gp(seed: int) -> BaseSampler:
    return OneThreadGP(seed=seed, n_startup_trials=STARTUP_TRIALS, deterministic_objective=False)


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


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A sampler under a name.

    Attributes:
        summary: how it proposes, in a line.
        learns_from_stopped: stopping trials early does not keep results from it.
    """

    summary: str
    learns_from_stopped: bool


@dataclass(frozen=True, kw_only=True)
class OptunaSampler(Sampler):
    """An Optuna sampler under a name.

    Attributes:
        make: seed -> sampler.
        conditional: it models conditional parameters; otherwise every parameter is drawn for
            every trial, and the inactive ones are ignored, so that its space never changes.
        fresh_seed: each attempt of a run takes a new seed, or the start-up draws would repeat.
            A low-discrepancy sequence must keep its seed: its position is in the study.
        models_noise: it takes results for noisy by itself, and is told them as they are. The
            others are shown posterior means instead.
    """

    make: Callable[[int], BaseSampler]
    conditional: bool
    fresh_seed: bool = True
    models_noise: bool = False


OPTUNA_SAMPLERS: dict[str, OptunaSampler] = {
    "tpe": OptunaSampler(
        make=tpe,
        summary="by a tree-structured Parzen estimator: where good trials are dense and others are "
        "not",
        conditional=True,
        learns_from_stopped=True,
    ),
    "gp": OptunaSampler(
        make=gp,
        summary="by a Gaussian process of the results, with their noise",
        conditional=False,
        learns_from_stopped=False,
        models_noise=True,
    ),
    "cmaes": OptunaSampler(
        make=cmaes,
        summary="by CMA-ES, an evolution strategy that adapts its covariance",
        conditional=False,
        learns_from_stopped=False,
    ),
    "random": OptunaSampler(
        make=random, summary="at random", conditional=True, learns_from_stopped=True
    ),
    "qmc": OptunaSampler(
        make=qmc,
        summary="evenly, from a low-discrepancy sequence (Sobol, scrambled)",
        conditional=False,
        learns_from_stopped=True,
        fresh_seed=False,
    ),
}

KNOWLEDGE_GRADIENT = "knowledge-gradient"
PRIOR_POINTS = 256
"""Weightings at most by which a search is passed on (``search.samplers.transfer``)."""
SAMPLERS: dict[str, Sampler] = {
    **OPTUNA_SAMPLERS,
    KNOWLEDGE_GRADIENT: Sampler(
        summary="the trial after which the best choice is expected to be the most better, new or "
        "repeated, by a Gaussian process on gradient shares; class weights, at full length",
        learns_from_stopped=False,
    ),
}
"""``KNOWLEDGE_GRADIENT`` chooses seeds, too, and is no sampler of Optuna's
(``search.samplers.sequential_design``)."""


def make_sampler(name: str, seed: int, attempt: int) -> BaseSampler:
    """Return Optuna's sampler ``name`` for the run's ``seed`` and this attempt's number, from 1."""
    words = [seed, attempt if OPTUNA_SAMPLERS[name].fresh_seed else 0]
    derived = int(np.random.SeedSequence(words).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return OPTUNA_SAMPLERS[name].make(derived)


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
