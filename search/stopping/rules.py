"""Rules of early stopping: pure functions of reported values that end the worst running trials."""

import bisect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spaces import Ramp, Strategy

FULL_LENGTH_TRIALS = 12
"""Trials of full length that must have passed a rung before the rung may stop any."""

RANK_CORRELATION = 0.6
"""Spearman correlation between a rung and the end, over those trials, from which it may.

With these two numbers and the immune tenth, stopping was never worse than full-length search in
simulation: where early ranks mislead (a correlation of .2 to .3) plain successive halving was.
"""

IMMUNE_ONE_IN = 10
"""One proposal in so many is never stopped, so that what stopping costs can be seen."""


class EarlyStopping(ABC):
    """Decides at fixed epochs, the rungs, whether a trial goes on.

    What was observed decides; a repeated observation changes nothing, so that the state can be
    rebuilt from a record, in any order, and trials can be replayed. The caller never stops an
    immune trial or a baseline, but lets the rule observe them.
    """

    rungs: tuple[int, ...]

    @abstractmethod
    def observe(self, key: str, epoch: int, value: float) -> bool:
        """Take the ``value`` (higher is better) of trial ``key``; return True to stop it."""

    def complete(self, key: str, value: float) -> None:  # noqa: B027
        """Take the final ``value`` of trial ``key``, which ran to its full length."""

    def is_immune(self, number: int) -> bool:
        """Whether proposal ``number`` (from 0) must not be stopped, whatever is observed."""
        return False

    def may_stop(self, rung: int) -> bool:
        """Whether the rung stops trials that are worse than others, as far as is known now."""
        return rung in self.rungs


class NeverStop(EarlyStopping):
    """Every trial runs to its full length."""

    rungs: tuple[int, ...] = ()

    def observe(self, key: str, epoch: int, value: float) -> bool:
        return False


@dataclass
class Asha(EarlyStopping):
    """Asynchronous successive halving, stopping variant (Li et al., MLSys 2020).

    Rungs lie at ``grace_epochs * reduction_factor**k``, below ``max_epochs``. A trial that arrives
    at a rung stops if it is below the (1 - 1/reduction_factor) quantile of the trials that came
    there before it: the rule of Ray Tune's ``AsyncHyperBandScheduler`` with one bracket, whose
    rungs cannot be saved and restored.
    """

    grace_epochs: int
    reduction_factor: int
    max_epochs: int
    rungs: tuple[int, ...] = field(init=False)
    seen: dict[int, set[str]] = field(init=False)
    values: dict[int, list[float]] = field(init=False)
    """What was observed at each rung, ascending."""

    def __post_init__(self) -> None:
        rungs = []
        rung = self.grace_epochs
        while rung < self.max_epochs:
            rungs.append(rung)
            rung *= self.reduction_factor
        self.rungs = tuple(rungs)
        self.seen = {rung: set() for rung in rungs}
        self.values = {rung: [] for rung in rungs}

    def observe(self, key: str, epoch: int, value: float) -> bool:
        if epoch not in self.seen or key in self.seen[epoch]:
            return False
        self.seen[epoch].add(key)
        earlier = self.values[epoch]
        worse = bool(earlier) and value < quantile(earlier, 1 - 1 / self.reduction_factor)
        bisect.insort(earlier, value)
        return worse


@dataclass
class GatedAsha(EarlyStopping):
    """Successive halving at those rungs that are known to foretell the end.

    Rungs and cut are those of ``Asha``. A rung stops nothing before ``FULL_LENGTH_TRIALS`` trials
    that passed it ran to their full length, nor while the rank correlation of their values there
    with their final ones is below ``RANK_CORRELATION``. Stopped trials are missing from it, so
    that it errs on the side of letting trials run. One proposal in ``IMMUNE_ONE_IN`` is immune.
    """

    grace_epochs: int
    reduction_factor: int
    max_epochs: int
    rungs: tuple[int, ...] = field(init=False)
    asha: Asha = field(init=False)
    values: dict[int, dict[str, float]] = field(init=False)
    """What was observed at each rung, by trial."""
    finals: dict[str, float] = field(init=False, default_factory=dict)
    """The final values of full-length trials."""
    earned: dict[int, bool] = field(init=False, default_factory=dict)
    """Which rungs may stop trials; one that has to be found out anew is missing."""

    def __post_init__(self) -> None:
        self.asha = Asha(self.grace_epochs, self.reduction_factor, self.max_epochs)
        self.rungs = self.asha.rungs
        self.values = {rung: {} for rung in self.rungs}

    def observe(self, key: str, epoch: int, value: float) -> bool:
        if epoch in self.values:
            self.values[epoch].setdefault(key, value)
            if key in self.finals:
                self.earned.pop(epoch, None)
        return self.asha.observe(key, epoch, value) and self.may_stop(epoch)

    def complete(self, key: str, value: float) -> None:
        if key not in self.finals:
            self.finals[key] = value
            self.earned.clear()

    def is_immune(self, number: int) -> bool:
        return number % IMMUNE_ONE_IN == IMMUNE_ONE_IN - 1

    def may_stop(self, rung: int) -> bool:
        if rung not in self.rungs:
            return False
        if rung not in self.earned:
            self.earned[rung] = self._foretells(rung)
        return self.earned[rung]

    def _foretells(self, rung: int) -> bool:
        passed = [key for key in self.finals if key in self.values[rung]]
        if len(passed) < FULL_LENGTH_TRIALS:
            return False
        values = [self.values[rung][key] for key in passed]
        correlation = rank_correlation(values, [self.finals[key] for key in passed])
        return correlation is not None and correlation >= RANK_CORRELATION


def is_judged(strategy: Strategy, rung: int, epochs: int) -> bool:
    """Return whether a rung judges trials of a strategy, in a training of so many epochs.

    Before its ramps have ended, a trial says nothing of its end.
    """
    ramps = strategy.ramps
    if all(ramp == Ramp() for ramp in ramps):
        return True
    changing = max(ramp.first_constant_epoch(epochs) for ramp in ramps)
    return changing == 1 or rung > changing


def rank_correlation(a: npt.ArrayLike, b: npt.ArrayLike) -> float | None:
    """Return Spearman's correlation of two series (n,); None if one is constant or n < 2."""
    pair = np.asarray([a, b], dtype=np.float64)
    if pair.shape[1] < 2 or (pair.min(axis=1) == pair.max(axis=1)).any():
        return None
    from scipy import stats  # slow to import; `show` and `export` may do without

    return float(stats.spearmanr(*pair).statistic)


def quantile(ascending: list[float], fraction: float) -> float:
    """Return what ``numpy.quantile`` does, in a time that does not grow with the list."""
    position = (len(ascending) - 1) * fraction
    below = int(position)
    return float(np.quantile(ascending[below : below + 2], position - below))


STOPPING_RULES: dict[str, Callable[[int, int, int], EarlyStopping]] = {
    "asha": Asha,
    "auto": GatedAsha,
    "none": lambda grace_epochs, reduction_factor, max_epochs: NeverStop(),
}
"""Name -> rule made from (grace_epochs, reduction_factor, max_epochs)."""
