"""Search by knowledge gradient on gradient shares, replayed: one budget for search and statement.

Trials run at full length, as many at a time as there are workers; those that run together share a
seed. ``block`` keeps the last runs for uniform weights, the best baseline and the best of all other
weightings, in turns and with fresh seeds, so that their differences rest on runs of their own. One
of these is named then.
"""

from __future__ import annotations

import functools
import time

import numpy as np

from benchmarks.replay.choosing import POINTS, Choice, Lead
from benchmarks.replay.full_length.oracle import ORACLE, oracle
from benchmarks.replay.world import Candidate, World
from search.samplers.candidates import Counts, cover
from search.samplers.sequential_design import (
    Asked,
    SequentialDesign,
    best_tried,
    results,
    start_points,
)
from search.samplers.shares_model import ModelPrior, SharesModel
from search.samplers.shares_posterior import Posterior
from search.samplers.transfer import Expected, transferred
from search.session.design.run_model import APART
from search.stats.priors import GUESS, NoisePrior
from spaces import NAMED, Space

BLOCK_RUNS = 9


@functools.cache
def model_of(
    space: Space,
    counts: tuple[int, ...],
    controls: tuple[str, ...],
    noise: NoisePrior = GUESS,
) -> SharesModel:
    """Return the model over a cover of the space; the first control is uniform weights."""
    named = [NAMED[name].weighting for name in controls]
    prior = ModelPrior(apart=APART, noise=noise)
    return SharesModel(cover(space, [np.array(counts)], named), prior)


class SharesSearch:
    """A search under way.

    Attributes:
        trials: what was asked for, and what it gave.
        arms: the candidates of the block; none before it.
        asking: seconds of processor time that were spent on proposals.
    """

    def __init__(
        self,
        world: World,
        start: str,
        workers: int,
        repetition: tuple[int, ...],
        prior: tuple[Expected, ...] = (),
    ) -> None:
        """``prior`` is what earlier searches expect."""
        self.world, self.repetition, self.workers = world, repetition, workers
        names = tuple(sorted(world.controls, key=lambda name: name != "uniform"))
        counts = tuple(world.counts.tolist())
        self.model: SharesModel = model_of(world.space, counts, names, world.noise)
        candidates = self.model.candidates
        if start == ORACLE:
            self.model = oracle(world, candidates)
        elif prior:
            told = transferred(candidates, Counts([world.counts]), prior)
            self.model = SharesModel(candidates, self.model.prior, told)
        first = start_points(candidates, self.model.best_expected)
        self.design = SequentialDesign(self.model, first)
        self.trials: list[Asked] = []
        self.arms: list[int] = []
        self.asking = 0.0
        self._known: dict[int, Candidate] = {}

    def search(self, trials: int) -> None:
        """Search until there are so many trials."""
        while len(self.trials) < trials:
            began = time.process_time()
            asked = self.design.ask(self.trials, min(self.workers, trials - len(self.trials)))
            self.asking += time.process_time() - began
            for trial in asked:
                self._train(trial.candidate, trial.seed)

    def block(self, runs: int) -> None:
        """Run the arms in turns, with fresh seeds; nothing for no runs."""
        if not runs:
            return
        posterior, named = self.posterior(), sorted(set(self.model.candidates.named) - {0})
        baseline = sorted(named, key=lambda number: -posterior.mean[number])[:1]
        others = [trial for trial in self.trials if trial.candidate not in {0, *baseline}]
        self.arms = [best_tried(posterior, others), 0, *baseline]
        fresh = 1 + max(trial.seed for trial in self.trials)
        for run in range(runs):
            self._train(self.arms[run % len(self.arms)], fresh + run // len(self.arms))

    def _train(self, candidate: int, seed: int) -> None:
        truth = self.candidate(candidate)
        value = self.world.confirmation_run(truth, self.repetition, candidate, seed)
        self.trials.append(Asked(candidate, seed, value))

    def candidate(self, number: int) -> Candidate:
        if number not in self._known:
            weighting = self.model.candidates.weightings[number]
            self._known[number] = self.world.candidate(weighting)
        return self._known[number]

    def posterior(self, trials: int | None = None) -> Posterior:
        """Return the posterior after the first ``trials`` trials; after all where it is None."""
        return self.model.posterior(results(self.trials[:trials]))

    def winner(self, trials: int) -> int:
        """Return the candidate that is named after so many trials: after a block, of its arms."""
        known = self.trials[:trials]
        if trials == len(self.trials) and self.arms:
            known = [trial for trial in known if trial.candidate in self.arms]
        return best_tried(self.posterior(trials), known)

    def choice(self) -> Choice:
        """Name the best, with its accuracy and its lead over uniform."""
        posterior, best = self.posterior(), self.winner(len(self.trials))
        lead = None
        if best != 0:
            value = float(posterior.mean[best] - posterior.mean[0])
            lead = Lead(value, posterior.interval(best, 0))
        return Choice(
            truth=self.candidate(best).truth,
            reported=float(posterior.mean[best]),
            interval=posterior.interval(best),
            lead=lead,
        )

    def truths(self, budget_trials: int) -> list[float]:
        """Return the truth of the choice at even parts of the budget."""
        known = [max(1, budget_trials * part // POINTS) for part in range(1, POINTS + 1)]
        return [self.candidate(self.winner(n)).truth for n in known]
