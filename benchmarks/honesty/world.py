"""The worlds of the honesty study: true accuracies, and every run that could be made."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.heavy_tail import heavy_tailed
from search.stats.comparison import SeededRun
from search.stats.priors import GUESS, KNOWN_RUNS, NoisePrior
from spaces.counts import FloatArray

BASELINES = 3
SEEDS = 64
STATED = (0.5, 1 / 1.5, 1.0, 1.5, 2.0)
"""Noise that a benchmark states, as a multiple of the true one."""


@dataclass(frozen=True)
class Setting:
    """A world to search in, and how it is confirmed.

    Attributes:
        noise_sd: between runs of one weighting, points.
        spread: standard deviation of the true accuracies, points.
        k: distinct candidates of the confirmation.
        seed_share: part of the noise variance that a seed brings to all arms alike.
        tail: whether the noise has the heavy lower tail, else it is normal.
        collapsed: whether one weighting in five is worse by three spreads.
        budget: runs of the confirmation.
        trials: single runs of the search, baselines included.
        replicates: how many of them, the last, repeat the weighting of an earlier one.
        stated: noise that the benchmark states, as a multiple of the true one; None for none.
    """

    name: str
    noise_sd: float = 0.7
    spread: float = 0.8
    k: int = 8
    seed_share: float = 0.3
    tail: bool = True
    collapsed: bool = False
    budget: int = 48
    trials: int = 60
    replicates: int = 0
    stated: float | None = None

    @property
    def prior(self) -> NoisePrior:
        """What the search is told of the noise."""
        return GUESS if self.stated is None else NoisePrior(self.stated * self.noise_sd, KNOWN_RUNS)

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """The weighting of each trial of the search, (trials,)."""
        first = self.trials - self.replicates
        return np.concatenate([np.arange(first), BASELINES + 1 + np.arange(self.replicates)])


DIGITS40 = Setting(
    "32 trials, digits40",
    noise_sd=1.8,
    spread=0.4,
    k=1,
    seed_share=0.54,
    budget=10,
    trials=22,
    replicates=1,
)
"""Noise, its part that seeds share, and spread, as they were recorded of ``resnet8-digitslt40``."""

SETTINGS = (
    Setting("protocol"),
    Setting("noise .6", noise_sd=0.6),
    Setting("noise 1.0", noise_sd=1.0),
    Setting("noise 1.2", noise_sd=1.2),
    Setting("spread .6", spread=0.6),
    Setting("spread .4", spread=0.4),
    Setting("noise 1.2, spread .4", noise_sd=1.2, spread=0.4),
    Setting("4 candidates", k=4),
    Setting("6 candidates", k=6),
    Setting("10 candidates", k=10),
    Setting("no seed effect", seed_share=0.0),
    Setting("strong seed effect", seed_share=0.6),
    Setting("normal noise", tail=False),
    Setting("collapsed weightings", collapsed=True),
    Setting("30 runs", budget=30),
    Setting("64 trials", k=5, budget=21, trials=43),
    *(
        Setting(f"64 trials, noise x {x:.2g}", k=5, budget=21, trials=43, replicates=1, stated=x)
        for x in STATED
    ),
    DIGITS40,
    *(replace(DIGITS40, name=f"32 trials, noise x {x:.2g}", stated=x) for x in STATED),
)


@dataclass(frozen=True)
class Truths:
    """What is true of the arms that are spoken of.

    Attributes:
        arms: true accuracies, (T,); 0 is uniform.
        baseline: index of the best baseline as far as was known.
        best: the highest true accuracy that could be found.
        average: of what could be found.
    """

    arms: FloatArray
    baseline: int
    best: float
    average: float


AVERAGE = 40.0
"""True accuracy of a weighting on average."""


@dataclass(frozen=True)
class World:
    """The truth of one replay, and every run that could be made.

    Attributes:
        truth: (T,) true accuracies; 0 is uniform, then the baselines, then what was proposed.
        search: (T,) results of the search, each with a seed of its own.
        fresh: (T, SEEDS) results with fresh seeds, which all weightings share.
    """

    truth: FloatArray
    search: FloatArray
    fresh: FloatArray

    @classmethod
    def of(cls, setting: Setting, random: np.random.Generator) -> World:
        truth = AVERAGE + setting.spread * random.standard_normal(setting.trials)
        if setting.collapsed:
            truth -= 3 * setting.spread * (random.random(setting.trials) < 0.2)
        shared = setting.noise_sd * np.sqrt(setting.seed_share)
        own = setting.noise_sd * np.sqrt(1 - setting.seed_share)
        seeds = shared * random.standard_normal(SEEDS)
        fresh = truth[:, None] + seeds + own * noise(setting, (setting.trials, SEEDS), random)
        truth, fresh = truth[setting.groups], fresh[setting.groups]
        search = truth + shared * random.standard_normal(setting.trials)
        search += own * noise(setting, (setting.trials,), random)
        return cls(truth, search, fresh)

    def baseline(self) -> int:
        """The best of the baselines by the search, uniform weights apart."""
        return 1 + int(self.search[1 : 1 + BASELINES].argmax())

    def truths(self) -> Truths:
        return Truths(self.truth, self.baseline(), float(self.truth.max()), AVERAGE)

    def run(self, arm: str, seed: int) -> SeededRun:
        """A run of the weighting whose index is the arm's name."""
        return SeededRun(arm, seed, float(self.fresh[int(arm), seed]))


def noise(setting: Setting, shape: tuple[int, ...], random: np.random.Generator) -> FloatArray:
    """Draw noise of mean 0 and standard deviation 1."""
    if setting.tail:
        return heavy_tailed(shape, random)
    return np.asarray(random.standard_normal(shape))
