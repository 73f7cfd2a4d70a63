"""Sequential design of a search: which candidate is trained next, and with which seed.

A few well-spread candidates first; then those of the highest knowledge gradient. All follows from
the trials that were asked for, in their order, and their results.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from search.samplers.candidates import Candidates, spread_points
from search.samplers.knowledge_gradient import picks
from search.samplers.shares_model import Results, SharesModel
from search.samplers.shares_posterior import Posterior

START = 8
"""Trials before the model is asked."""

BLOCK = 4
"""Trials in a row that share a seed, however many run at a time; their candidates differ."""


@dataclass(frozen=True)
class Asked:
    """A trial that was asked for.

    Attributes:
        candidate: its number.
        seed: index of its seed, from 0: equal indices are equal seeds.
        value: its score; None while it runs.
    """

    candidate: int
    seed: int
    value: float | None = None


def start_points(candidates: Candidates, best: int | None = None) -> tuple[int, ...]:
    """Return the candidates to begin with: the named ones, then spread others to ``START`` in all.

    ``best`` is the first of the others; None for none.
    """
    first = list(dict.fromkeys([*candidates.named, *([] if best is None else [best])]))
    return (*first, *spread_points(candidates, first, START - len(first)))


@dataclass(frozen=True)
class SequentialDesign:
    """The rule by which a search goes on.

    Attributes:
        model: over the candidates.
        start: candidates that are tried first, each once.
    """

    model: SharesModel
    start: tuple[int, ...]

    def ask(
        self, trials: Sequence[Asked], number: int, without: Collection[int] = ()
    ) -> list[Asked]:
        """Return the next ``number`` trials after those asked for, 1 or more.

        ``without`` are candidates that are not to be tried; others must be left.
        """
        made: list[Asked] = []
        while len(made) < number:
            known = [*trials, *made]
            begun = {trial.candidate for trial in known}.union(without)
            seed, taken = self.seed(known, without)
            rest = [candidate for candidate in self.start if candidate not in begun]
            if rest:
                made.append(Asked(rest[0], seed))
                continue
            room = min(BLOCK - len(taken), number - len(made))
            posterior = self.model.posterior(results(known), seed)
            left_out = {*taken, *without}
            made += [Asked(pick, seed) for pick in picks(posterior, room, left_out)]
        return made

    def seed(self, known: Sequence[Asked], without: Collection[int]) -> tuple[int, list[int]]:
        """Return the seed of the next trial, and the candidates that have a trial with it."""
        seed = max((trial.seed for trial in known), default=0)
        taken = [trial.candidate for trial in known if trial.seed == seed]
        if len(taken) >= BLOCK or len({*taken, *without}) == len(self.model.candidates):
            return seed + 1, []
        return seed, taken


def results(trials: Sequence[Asked]) -> Results:
    """Return what is known of the trials, and which are pending."""
    return Results.of(
        [(t.candidate, t.seed, t.value) for t in trials if t.value is not None],
        [(t.candidate, t.seed) for t in trials if t.value is None],
    )


def best_tried(posterior: Posterior, trials: Sequence[Asked]) -> int:
    """Return the candidate of the highest posterior mean among those with a result.

    Of equal ones it is the first: named candidates come before others.
    """
    tried = sorted({trial.candidate for trial in trials if trial.value is not None})
    return tried[int(posterior.mean[tried].argmax())]
