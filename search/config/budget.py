"""Budget of a run, and how its search and its confirmation share it."""

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from search.stats.best_arm import SEEDS_EACH
from spaces.errors import FieldError
from spaces.parts.words import number_of

CONFIRM_SHARE = 1 / 3
"""Part of the budget that is kept for the confirmation."""
CONTROLS = 2
"""Uniform weights and the best baseline."""
MOST_CANDIDATES = 8
FEWEST_RUNS = SEEDS_EACH * (1 + CONTROLS)
"""Of a confirmation: one candidate and the controls, three seeds each."""
FEWEST_TRIALS = math.ceil(FEWEST_RUNS / CONFIRM_SHARE - 1e-9)
"""Of a budget in trials that has a confirmation."""
MOST_RUNS = 6 * MOST_CANDIDATES
"""Of a confirmation that has no limit but time."""


def candidates_for(runs: int) -> int:
    """Return how many candidates a confirmation of so many runs has."""
    return max(1, min(MOST_CANDIDATES, runs // SEEDS_EACH - CONTROLS))


def block_runs(seeds: int) -> int:
    """Return the runs of one weighting and the controls with so many seeds each."""
    return seeds * (1 + CONTROLS)


@dataclass(frozen=True)
class Budget:
    """How much a run may spend; trials count the baselines and the runs of the confirmation.

    A third is kept for the confirmation: of the trials, or else of the hours. A limit in trials
    that leaves less than nine runs to it is spent on the search alone. With a ``block`` it is so
    many seeds of the best weighting and both controls instead, and at most half of the trials.

    Attributes:
        trials: in total, over all attempts; None for no limit.
        hours: wall-clock hours of this attempt; None for no limit.
        gpu_hours: of training, over all attempts; None for no limit.
        confirm: whether there is a confirmation.
        runs: of the confirmation, if they are given rather than found by the rule.
        block: most seeds of each arm where one weighting alone is confirmed; None where several
            are.
        interval: to how much its lead over uniform is to be known, each way with 95 %, points or
            noise SDs; None: that is not asked for.
    """

    trials: Annotated[int, Ge(1), Le(10**9)] | None
    hours: Annotated[float, Gt(0), Le(1e6)] | None
    gpu_hours: Annotated[float, Gt(0), Le(1e6)] | None = None
    confirm: bool = True
    runs: Annotated[int, Ge(FEWEST_RUNS), Le(10**6)] | None = None
    block: Annotated[int, Ge(SEEDS_EACH)] | None = None
    interval: Annotated[float, Ge(0.001), Le(1e6)] | None = None

    def __post_init__(self) -> None:
        if self.trials is not None and self.runs is not None and self.trials <= self.runs:
            raise FieldError(
                f"trials is {self.trials}, and the runs of the confirmation take {self.runs} of "
                f"them, which leaves none to the search; give at least {self.runs + 1}"
            )

    @property
    def confirm_runs(self) -> int:
        """The most runs that the confirmation may have, 0 without one."""
        if not self.confirm:
            return 0
        if self.runs is not None:
            return self.runs
        if self.trials is None:
            return MOST_RUNS
        if self.block:
            return block_runs(self.block) if self.trials >= self.fewest_trials else 0
        share = int(self.trials * CONFIRM_SHARE + 1e-9)
        return share if share >= FEWEST_RUNS else 0

    @property
    def fewest_trials(self) -> int:
        """The fewest trials that leave a confirmation."""
        return 2 * block_runs(self.block) if self.block else FEWEST_TRIALS

    @property
    def candidates(self) -> int:
        """How many weightings are confirmed at most, besides the controls."""
        return 1 if self.block else candidates_for(self.confirm_runs)

    @property
    def search_trials(self) -> int | None:
        """The trials of the search itself, None for no limit."""
        return None if self.trials is None else self.trials - self.confirm_runs

    @property
    def search_share(self) -> float:
        """The part of the hours after which the search begins no more trials."""
        return 1 - CONFIRM_SHARE if self.confirm_runs else 1.0

    def describe(self) -> str:
        """Return the limits in words."""
        limits = [number_of(self.trials, "trial")] if self.trials else []
        limits += [number_of(self.hours, "hour", "g")] if self.hours else []
        limits += [number_of(self.gpu_hours, "GPU-hour", "g")] if self.gpu_hours else []
        return " or ".join(limits)
