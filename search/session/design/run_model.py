"""The model of gradient shares in a run: its trials by candidate and seed, and which comes next.

All of it is a function of the trials in the order in which they were asked for, so that a run that
goes on from its record asks for the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from search.config.objective import Objective
from search.config.settings import Settings
from search.samplers.candidates import Counts, cover
from search.samplers.sequential_design import Asked, SequentialDesign, results, start_points
from search.samplers.shares_model import ModelPrior, SharesModel
from search.samplers.shares_posterior import Posterior
from search.samplers.transfer import Expected, transferred
from search.stats.comparison import Comparison
from search.stats.priors import NoisePrior
from search.stats.ranking import Ranking
from search.store.facts import Begun, PriorRun
from search.store.plan import ConfirmationPlan
from search.store.trials import CONFIRMATION, PROPOSALS, Row, TrialState, trial_seed
from spaces import SPACES, ParameterValue, Strategy, Weighting
from spaces.counts import FloatArray
from spaces.errors import UserError

APART = 1.0
"""What uniform weights may have besides the process, prior SD in noise SDs."""

DRAWS = 10_000
"""Of the posterior, for a comparison."""

P = ParamSpec("P")
T = TypeVar("T")


def one_thread(compute: Callable[P, T]) -> Callable[P, T]:
    """Compute on one thread: for small matrices it is faster, and others round differently."""
    wrapped: Callable[P, T] = ThreadpoolController().wrap(limits=1, user_api="blas")(compute)
    return wrapped


@dataclass(frozen=True)
class Proposed:
    """A trial that the design asks for.

    Attributes:
        params: of the strategy in the space; empty for a named one, which may lie outside of it.
        seed: of its training.
    """

    strategy: Strategy
    params: dict[str, ParameterValue]
    seed: int


class RunModel:
    """The trials of one run as its model takes them, told as they begin and end.

    A trial that diverged counts as the lowest result so far, and its weighting is not tried again;
    one that failed otherwise says nothing. Weightings that are no candidates count as the nearest.
    """

    def __init__(self, model: SharesModel, counts: Counts, seed: int) -> None:
        """``seed`` is the run's."""
        self.model, self.counts, self.run_seed = model, counts, seed
        first = start_points(model.candidates, model.best_expected)
        self.design = SequentialDesign(model, first)
        self.candidates = {w: c for c, w in enumerate(model.candidates.weightings)}
        self.trials: dict[str, Asked] = {}
        self.diverged: set[str] = set()
        self.seeds: dict[int, int] = {}
        """Training seed -> its index, in the order in which they came."""

    def candidate(self, strategy: Strategy) -> int:
        """Return the candidate that a strategy of class weights alone is, or is nearest to."""
        weighting = strategy.weighting
        known = self.candidates.get(weighting)
        if known is None:
            shares = self.counts.shares(weighting)
            distances = self.counts.distances(shares, self.model.candidates.shares)
            known = self.candidates[weighting] = int(distances.argmin())
        return known

    def begin(self, row: Row) -> None:
        """Take up a trial, which is pending until its end."""
        seed = self.seeds.setdefault(row.seed, len(self.seeds))
        self.trials[row.key] = Asked(self.candidate(row.strategy), seed)

    def end(self, row: Row) -> None:
        """Take how a trial ended; while it runs, nothing changes."""
        if row.state == TrialState.COMPLETE:
            trial = self.trials[row.key]
            self.trials[row.key] = Asked(trial.candidate, trial.seed, row.value)
        elif row.diverged:
            self.diverged.add(row.key)
        elif row.state != TrialState.RUNNING:
            del self.trials[row.key]

    def asked(self) -> list[Asked]:
        """Return all trials that say something or are pending, in their order."""
        values = [trial.value for trial in self.trials.values() if trial.value is not None]
        lowest = min(values, default=None)
        return [
            replace(trial, value=lowest) if key in self.diverged else trial
            for key, trial in self.trials.items()
            if lowest is not None or key not in self.diverged
        ]

    @one_thread
    def next(self) -> Proposed:
        """Return the trial that comes next; asking again without a change returns the same.

        Raises:
            UserError: every weighting has diverged.
        """
        without = {self.trials[key].candidate for key in self.diverged}
        candidates = self.model.candidates
        if len(without) == len(candidates):
            raise UserError(
                f"all {len(candidates)} weightings that cover the space have diverged; lower the "
                "benchmark's learning rate, or search under another --name."
            )
        trial = self.design.ask(self.asked(), 1, without)[0]
        weighting = Strategy.of(candidates.weightings[trial.candidate])
        params = candidates.params[trial.candidate] or {}
        return Proposed(weighting, params, self.training_seed(trial.seed))

    def shared_seed(self) -> int:
        """Return the training seed of the next trial, whichever it is."""
        return self.training_seed(self.design.seed(self.asked(), ())[0])

    def training_seed(self, index: int) -> int:
        """Return the training seed of an index, from 0."""
        known = list(self.seeds)
        return known[index] if index < len(known) else trial_seed(self.run_seed, PROPOSALS, index)

    def posterior(self) -> Posterior:
        """Return what is known of all candidates by the results so far, whatever is pending."""
        return self.model.posterior(results([t for t in self.asked() if t.value is not None]))

    @one_thread
    def kept(self) -> list[tuple[float, float, float]]:
        """Return how much of what each earlier run expects holds, and 95 % intervals."""
        return self.model.kept(self.posterior())

    @one_thread
    def ranked(self, ranking: Ranking, strategies: Mapping[int, Strategy]) -> Ranking:
        """Return a ranking with the model's estimates; ``strategies`` are those of its groups."""
        posterior = self.posterior()
        means, sds = posterior.mean, posterior.sd()
        known = []
        for group in ranking.groups:
            candidate = self.candidate(strategies[group.group])
            estimate = float(means[candidate]), float(sds[candidate])
            known.append(replace(group, mean=estimate[0], sd=estimate[1]))
        return replace(ranking, groups=tuple(known))

    @one_thread
    def comparison(
        self, plan: ConfirmationPlan, rows: Sequence[Row], bounds: tuple[float, float]
    ) -> Comparison:
        """Compare the arms of a confirmation by all of their runs, those of the search included.

        ``bounds`` are the lowest and the highest true score that there can be.
        """
        whole = RunModel(self.model, self.counts, self.run_seed)
        whole.trials, whole.diverged = dict(self.trials), set(self.diverged)
        whole.seeds = dict(self.seeds)
        later = [row for row in rows if row.study == CONFIRMATION and row.label in plan.arms]
        for row in later:
            whole.begin(row)
            whole.end(row)
        out = {row.label for row in later if row.diverged}
        ran = {row.label for row in later if row.state == TrialState.COMPLETE}
        arms = {arm: self.candidate(plan.arms[arm]) for arm in sorted(ran - out)}
        places = [plan.order.index(arm) for arm in arms]
        # As they are: what a diverged one counts for is no result.
        trials = list(whole.trials.values())
        return compared(whole.posterior(), trials, arms, places, bounds)


def compared(
    posterior: Posterior,
    trials: Sequence[Asked],
    arms: Mapping[str, int],
    places: Sequence[int],
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Comparison:
    """Compare arms, which are candidates, by what the trials say of all.

    ``places`` are those of the arms in the order in which equal ones are preferred.
    """
    number = np.array(list(arms.values()))
    return Comparison(
        arms=tuple(arms),
        values=_values(trials, number),
        mean=posterior.mean[number],
        draws=np.clip(posterior.sample(number, DRAWS), *bounds),
        noise_sd=posterior.noise_sd,
        seed_share=float(posterior.weights @ posterior.seed_shares),
        places=tuple(places),
    )


def _values(trials: Sequence[Asked], arms: npt.NDArray[np.int64]) -> FloatArray:
    """The results (k, J) of candidates (k,), in the order of their trials; nan where one has
    fewer."""
    ended = [(trial.candidate, trial.value) for trial in trials if trial.value is not None]
    found = [[value for candidate, value in ended if candidate == arm] for arm in arms]
    table = np.full((len(arms), max(map(len, found))), np.nan)
    for row, values in zip(table, found, strict=True):
        row[: len(values)] = values
    return table


def run_model(settings: Settings, begun: Begun, objective: Objective) -> RunModel:
    """Return the model of a run, without trials; ``begun`` is the first line of its record."""
    first = [Strategy.from_dict(waiting.weighting).weighting for waiting in begun.controls]
    counts = tuple(benchmark.counts for benchmark in objective.benchmarks)
    named = (Strategy().weighting, *first)
    earlier = tuple(map(expected_in, begun.prior))
    model = shares_model(settings.space, counts, named, objective.noise_prior, earlier)
    return RunModel(model, Counts(counts), settings.seed)


@functools.lru_cache(maxsize=4)
@one_thread
def shares_model(
    space: str,
    counts: tuple[tuple[int, ...], ...],
    named: tuple[Weighting, ...],
    noise: NoisePrior,
    earlier: tuple[Expected, ...] = (),
) -> SharesModel:
    """Return the model over a cover of a space; the first of ``named`` is uniform weights."""
    arrays = [np.array(numbers) for numbers in counts]
    candidates = cover(SPACES[space], arrays, named)
    told = transferred(candidates, Counts(arrays), earlier)
    return SharesModel(candidates, ModelPrior(apart=APART, noise=noise), told)


def expected_in(prior: PriorRun) -> Expected:
    """Return what an earlier run expects, as a record has it."""
    return Expected(tuple(map(Weighting.from_dict, prior.weightings)), prior.means)
