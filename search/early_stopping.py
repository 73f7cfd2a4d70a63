"""When a running trial is stopped for being worse than others: pure rules over reported values."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


class EarlyStopping(ABC):
    """Decides at fixed epochs, the rungs, whether a trial goes on.

    What was observed decides; a repeated observation changes nothing, so that the state can be
    rebuilt from a record and trials can be replayed.
    """

    rungs: tuple[int, ...]

    @abstractmethod
    def observe(self, key: str, epoch: int, value: float) -> bool:
        """Take the ``value`` (higher is better) of trial ``key``; return True to stop it."""


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
    seen: dict[int, dict[str, float]] = field(init=False)

    def __post_init__(self) -> None:
        rungs = []
        rung = self.grace_epochs
        while rung < self.max_epochs:
            rungs.append(rung)
            rung *= self.reduction_factor
        self.rungs = tuple(rungs)
        self.seen = {rung: {} for rung in rungs}

    def observe(self, key: str, epoch: int, value: float) -> bool:
        if epoch not in self.seen or key in self.seen[epoch]:
            return False
        earlier = list(self.seen[epoch].values())
        self.seen[epoch][key] = value
        quantile = 100.0 * (1 - 1 / self.reduction_factor)
        return bool(earlier) and value < float(np.percentile(earlier, quantile))


SCHEDULERS: dict[str, Callable[[int, int, int], EarlyStopping]] = {
    "asha": Asha,
    "none": lambda grace_epochs, reduction_factor, max_epochs: NeverStop(),
}
"""Name -> rule made from (grace_epochs, reduction_factor, max_epochs)."""
