"""Search by another library, replayed: full-length trials in rounds, the controls first.

A library is told of a control as of the point of the space that is nearest in kind: of a power
n^-p, with p moved into the domain of the exponent. Other controls are no points of the space: they
are run and paid for, and cannot be named.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from benchmarks.replay.choosing import POINTS, Choice
from benchmarks.replay.world import Candidate, World
from spaces import NAMED, Float, ParameterValue, Space, Weighting
from trainer.trial import SCALE_FREE_LOSS

Params = dict[str, ParameterValue]
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """A trial that is asked for.

    Attributes:
        seed: trials with equal seeds share what a seed does to all weightings.
        handle: what the library knows the trial by; None where it is not told of it.
    """

    candidate: Candidate
    seed: int
    handle: Any


class PeerSearch(ABC):
    """A search under way.

    Attributes:
        trials: that the budget pays for.
        choices: what would be named after each trial.
        asking: seconds of processor time that were spent on proposals, with what is learnt for them
            from results while the best is named.
    """

    def __init__(
        self, world: World, trials: int, workers: int, repetition: tuple[int, ...]
    ) -> None:
        self.world, self.trials, self.workers = world, trials, workers
        self.repetition = repetition
        self.choices: list[Choice] = []
        self.asking = 0.0

    def search(self) -> None:
        """Search until the budget is spent."""
        controls = [self._control(name) for name in self.world.controls]
        while (done := len(self.choices)) < self.trials:
            room = min(self.workers, self.trials - done)
            asked = controls[done : done + room] or self._timed(partial(self.ask, room))
            for number, trial in enumerate(asked, start=done):
                value = self.world.confirmation_run(
                    trial.candidate, self.repetition, number, trial.seed
                )
                if trial.handle is not None:
                    self.tell(trial, value)
            self.choices += [self._timed(self.named)] * len(asked)

    def _timed(self, action: Callable[[], T]) -> T:
        began = time.process_time()
        result = action()
        self.asking += time.process_time() - began
        return result

    def _control(self, name: str) -> Asked:
        params = power(self.world.space, NAMED[name].weighting)
        handle = None if params is None else self.handle(params)
        return Asked(self.world.controls[name], 0, handle)

    @abstractmethod
    def handle(self, params: Params) -> Any:
        """Return what the library knows a trial of these parameters by."""

    @abstractmethod
    def ask(self, number: int) -> list[Asked]:
        """Return the trials of the next round."""

    @abstractmethod
    def tell(self, trial: Asked, value: float) -> None:
        """Take the final value, percent, of a trial."""

    @abstractmethod
    def named(self) -> Choice:
        """Name the best of what was tried, as the library advises to."""

    def choice(self) -> Choice:
        """Return what is named in the end."""
        return self.choices[-1]

    def truths(self) -> list[float]:
        """Return the truth of the choice at even parts of the budget."""
        known = [max(1, self.trials * part // POINTS) for part in range(1, POINTS + 1)]
        return [self.choices[n - 1].truth for n in known]


def power(space: Space, weighting: Weighting) -> Params | None:
    """Return the parameters of the weighting n^-p, p moved into its domain; None of any other."""
    domains = {domain.name: domain for domain in space.searched(SCALE_FREE_LOSS)}
    exponent = domains.get("exponent")
    if weighting != Weighting(exponent=weighting.exponent) or not isinstance(exponent, Float):
        return None
    params: Params = {}
    for domain in domains.values():
        if space.active(domain, params):
            params[domain.name] = domain.low if isinstance(domain, Float) else domain.choices[0]
    moved = min(max(weighting.exponent, exponent.low), exponent.high)
    return params | {"exponent": moved}
