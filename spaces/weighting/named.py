"""The weightings of the literature that are exact points of the family are named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spaces.weighting.family import Weighting
from spaces.weighting.ranges import SQRT_RATIO


@dataclass(frozen=True)
class NamedWeighting:
    """A known weighting: its point, where it comes from, and its formula as written there."""

    name: str
    weighting: Weighting
    source: str
    formula: str

    @property
    def definition(self) -> str:
        """Formula and source in one line, for beside the name."""
        return f"{self.formula} ({self.source})"


BASELINES: tuple[str, ...] = (
    "uniform",
    "sqrt_inverse",
    "inverse",
    "effective",
    "mlsbench_balanced_softmax",
)
"""The controls of a search of class weights; on given counts, each distinct weighting once.

Of the leaderboard's three, `mlsbench_inverse_freq` is `sqrt_inverse`, and up to some thousand
images a class so is `mlsbench_effective_number`, nearly (total variation .0004 on the digits, .0016
on CIFAR-100-LT, .019 on CIFAR-10-LT): only the third is worth a trial of its own.
"""

FORMER_NAMES: dict[str, str] = {
    "inverse_freq": "mlsbench_inverse_freq",
    "effective_number": "mlsbench_effective_number",
    "balanced_softmax": "mlsbench_balanced_softmax",
}
"""Names that earlier versions gave and that were misread -> what they are called now."""

_LEADERBOARD = "MLS-Bench class-weighting task, baseline"
_EFFECTIVE_BETA = 0.9999
# With a given range only the sign of the exponent matters; 1 reads best.
_ANY_EXPONENT = 1.0

_MEMBERS = (
    NamedWeighting(
        name="uniform",
        weighting=Weighting(),
        source="plain cross-entropy",
        formula="1",
    ),
    NamedWeighting(
        name="inverse",
        weighting=Weighting(exponent=1.0),
        source='inverse class frequency, "balanced" in scikit-learn; Huang et al., CVPR 2016',
        formula="1 / n",
    ),
    NamedWeighting(
        name="sqrt_inverse",
        weighting=Weighting(exponent=0.5),
        source="square root of the inverse class frequency; Mahajan et al., ECCV 2018",
        formula="n^(-1/2)",
    ),
    NamedWeighting(
        name="effective",
        weighting=Weighting(exponent=1.0, beta=_EFFECTIVE_BETA),
        source="Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019",
        formula="(1 - beta) / (1 - beta^n), beta = .9999",
    ),
    NamedWeighting(
        name="mlsbench_inverse_freq",
        weighting=Weighting(exponent=0.5),
        source=f"{_LEADERBOARD} inverse_freq; 1 / n is called inverse",
        formula="sqrt(N / (C n)), scaled to sum to C",
    ),
    NamedWeighting(
        name="mlsbench_effective_number",
        weighting=Weighting(exponent=0.5, beta=_EFFECTIVE_BETA),
        source=f"{_LEADERBOARD} effective_number; that of Cui et al. is called effective",
        formula="sqrt((1 - beta) / (1 - beta^n)), beta = .9999, scaled to sum to C",
    ),
    NamedWeighting(
        name="mlsbench_balanced_softmax",
        weighting=Weighting(exponent=_ANY_EXPONENT, link=1.0, weight_range=5.0),
        source=f"{_LEADERBOARD} balanced_softmax; a class weight, not the loss of that name",
        formula="1 + 4 ln(n_max / n) / ln(n_max / n_min), scaled to sum to C",
    ),
    NamedWeighting(
        name="median_split_effective",
        weighting=Weighting(exponent=1.0, beta=_EFFECTIVE_BETA, split_quantile=0.5, head_ratio=0.0),
        source="effective number (Cui et al., CVPR 2019) below the median, head pinned at 1",
        formula="max(1, E(median) / E(n)), beta = .9999",
    ),
    NamedWeighting(
        name="linear_log_gap",
        weighting=Weighting(exponent=_ANY_EXPONENT, link=1.0, weight_range=SQRT_RATIO),
        source="linear in the log-gap, with the range of n^(-1/2)",
        formula="1 + (sqrt(n_max / n_min) - 1) u, u = ln(n_max / n) / ln(n_max / n_min)",
    ),
    NamedWeighting(
        name="cosine_log_gap",
        weighting=Weighting(exponent=_ANY_EXPONENT, link=1.0, weight_range=SQRT_RATIO, shape=1.0),
        source="raised cosine in the log-gap, with the range of n^(-1/2)",
        formula="1 + (sqrt(n_max / n_min) - 1) (1 - cos(pi u)) / 2",
    ),
    NamedWeighting(
        name="ldam_quarter",
        weighting=Weighting(exponent=0.25),
        source="the margin law of LDAM as a weight; after Cao et al., NeurIPS 2019",
        formula="n^(-1/4)",
    ),
    NamedWeighting(
        name="power_mid_bump",
        weighting=Weighting(exponent=0.5, bump=0.3, bump_center=0.55, bump_width=0.15),
        source="n^(-1/2) with a bump on the middle of the log-gap",
        formula="n^(-1/2) (1 + .3 exp(-(u - .55)^2 / (2 .15^2)))",
    ),
)

NAMED: dict[str, NamedWeighting] = {member.name: member for member in _MEMBERS}


def present_name(name: str) -> str:
    """What a weighting is called now; a name that never changed, or is unknown, stays."""
    return FORMER_NAMES.get(name, name)


def renamed(names: Iterable[str]) -> list[str]:
    """A sentence for each former name in `names`: what it is called now, and what it is."""
    return [
        f"{name} is called {FORMER_NAMES[name]} now: {NAMED[FORMER_NAMES[name]].definition}."
        for name in names
        if name in FORMER_NAMES
    ]
