"""Verdict over a confirmation: which weighting won, by how much, and what the data cannot tell.

Judged from the fresh seeds of a confirmation; `search.stats.accuracies` says what else the same
runs reached. Accuracies are percent and differences points, or both noise SDs for a confirmation on
several benchmarks at once.

The winner is selected on the runs from which its accuracy is stated, so that their plain mean is
too high and the interval around it covers too little. A Bayesian statement needs no correction for
selection if its prior holds on average over the weightings (Dawid 1994, "Selection paradoxes of
Bayesian inference"; Senn 2008), and here the prior's mean and spread are learnt from the arms. In
`benchmarks.honesty` the 95 % intervals cover 94 to 96 % and the bias stays below .1 points
(48 runs, noise .6 to 1.2, spread .4 to .8, 4 to 10 candidates), where plain means are biased by .1
to .3 and cover 91 to 95 %. Runs held back for the statement alone would do without a prior, but
cost as many runs again of the winner and both controls.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.stats import sentences
from search.stats.comparison import Comparison, SeededRun, compare, diverged
from search.stats.estimate import LEVEL, Arm, Difference, Estimate, Unit
from search.stats.priors import GUESS, NoisePrior
from search.stats.ties import TIE

WEIGHTINGS, STRATEGIES = "weightings", "strategies"


@dataclass(frozen=True)
class Verdict:
    """The judgement over a confirmation.

    Attributes:
        winner: the arm of the highest posterior mean, a control or not, unless it was given.
        given: whether the winner was chosen elsewhere, so that nothing is claimed of its rank.
        to_uniform, to_baseline: None if that control diverged or is the winner itself.
        loss: by how much the winner falls short of the truly best arm on average.
        ties: the arms that the data cannot separate from the winner, the likeliest first: with the
            winner they are the fewest that hold the best arm with a probability of 95 %.
        arms: all that did not diverge, the highest posterior mean first.
        out: the arms with a diverged run.
        uniform, baseline: names of the controls; they may be the same.
        noise_sd: between runs of one arm.
        seed_share: part of the noise variance that a seed brings to all arms alike.
        unit: of all these values.
        scored: what they are, where the unit is percent, such as "test balanced accuracy".
        noun: what the arms are.
    """

    winner: str
    given: bool
    to_uniform: Difference | None
    to_baseline: Difference | None
    loss: float
    ties: tuple[str, ...]
    arms: tuple[Arm, ...]
    out: tuple[str, ...]
    uniform: str
    baseline: str
    noise_sd: float
    seed_share: float
    unit: Unit
    scored: str = "accuracy"
    noun: str = WEIGHTINGS

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values from which ``from_dict`` makes an equal verdict."""
        content = dataclasses.asdict(self)
        if self.noun == WEIGHTINGS:
            del content["noun"]
        return content | {
            "ties": list(self.ties),
            "out": list(self.out),
            "arms": [dataclasses.asdict(arm) for arm in self.arms],
            "sentences": self.sentences(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        fields = dataclasses.fields(cls)
        values = {field.name: data[field.name] for field in fields if field.name in data}
        for name in ("to_uniform", "to_baseline"):
            values[name] = _difference_from(values[name])
        values["arms"] = tuple(_arm_from(arm) for arm in values["arms"])
        values |= {"ties": tuple(values["ties"]), "out": tuple(values["out"])}
        return cls(**values | {"unit": Unit(values["unit"])})

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    @property
    def best(self) -> Arm:
        """What is known of the winner."""
        return next(arm for arm in self.arms if arm.name == self.winner)

    @property
    def alike(self) -> bool:
        """Whether all of several arms reached the same, so that there is nothing to find."""
        means = [arm.raw_mean for arm in self.arms]
        return len(means) > 1 and max(means) - min(means) <= TIE

    def sentences(self, benchmark: str | None = None, used: bool = True) -> list[str]:
        """Say the verdict in plain English, a sentence or two per entry.

        Args:
            benchmark: named at the beginning, where verdicts over several stand together.
            used: what to use is said as here, with the first difference, which is not said again.
        """
        said = self._who()
        differences = self._differences()
        if used and not self.given and self.winner != self.uniform:
            differences = differences[1:]
        said += [sentences.difference_sentence(d, self.unit) for d in differences]
        if self.ties and not self.given and not self.alike:
            said.append(sentences.ties_sentence(self.winner, self.ties, self.loss, self.unit))
        said += [f"{arm} is out: a run of it diverged." for arm in self.out]
        if self.unit == Unit.NOISE_SDS:
            said.append(sentences.NOISE_SD_MEANING)
        if benchmark is not None:
            said[0] = f"On {benchmark}: {said[0]}"
        return said

    def use(self, images: str = "") -> str:
        """Say which weighting to use, and what it gains, if need be on which images."""
        first = next(iter(self._differences()), None)
        controls = (self.uniform, self.baseline)
        alone = len(self.arms) == 1
        return sentences.use_sentence(self.best, first, controls, self.unit, images, alone)

    def _who(self) -> list[str]:
        """The winner, and its accuracy where that means something."""
        said, arms = [], f"{len(self.arms)} {self.noun}"
        if self.alike and not self.given:
            said.append(sentences.alike_sentence(self.best, arms, self.unit))
        elif not self.given:
            said.append(self.use())
            if len(self.arms) > 1:
                said.append(sentences.winner_sentence(self.best, arms, bool(self.ties)))
        if self.unit == Unit.PERCENT:
            said.append(sentences.accuracy_sentence(self.best, self.given, self.scored))
        return said

    def _differences(self) -> list[Difference]:
        """To each control once."""
        both = (self.to_uniform, self.to_baseline)
        return list(dict.fromkeys(difference for difference in both if difference is not None))


def verdict(
    runs: Sequence[SeededRun],
    uniform: str,
    baseline: str,
    winner: str | None = None,
    prior: NoisePrior = GUESS,
    unit: Unit = Unit.PERCENT,
    order: Sequence[str] = (),
    comparison: Comparison | None = None,
) -> Verdict:
    """Judge the runs of a confirmation, decided or not.

    Args:
        runs: of all arms, with fresh seeds only: the search chose the arms by its own runs.
        uniform: the arm of uniform weights.
        baseline: the best of the baselines before the confirmation; may be ``uniform``.
        winner: the arm to judge, where it was chosen elsewhere, such as on several benchmarks
            together; else it is chosen here.
        prior: of the noise between seeds, in the unit.
        unit: of the runs' values.
        order: arms that are preferred where they are equal, the first most; the controls if empty.
        comparison: of the arms, where it rests on more than these runs.

    Raises:
        ValueError: as ``comparison.compare``, a control that never ran, or a given winner that
            never ran or diverged.
    """
    for control in (uniform, baseline):
        if not any(run.arm == control for run in runs):
            raise ValueError(f"controls: got {control!r}, of which there is no run; must have one")
    controls = tuple(dict.fromkeys((uniform, baseline)))
    order = order or controls
    comparison = comparison or compare(runs, controls, prior=prior, order=order, bounds=unit.bounds)
    if winner is not None and winner not in comparison.arms:
        raise ValueError(f"winner: got {winner!r}; must have a run, and none that diverged")
    chosen = comparison.winner if winner is None else winner
    best = comparison.draws.max(axis=1)
    return Verdict(
        winner=chosen,
        given=winner is not None,
        to_uniform=_difference(comparison, chosen, uniform),
        to_baseline=_difference(comparison, chosen, baseline),
        loss=float((best - comparison.of(chosen)).mean()),
        ties=_ties(comparison, chosen),
        arms=_arms(comparison),
        out=diverged(runs),
        uniform=uniform,
        baseline=baseline,
        noise_sd=comparison.noise_sd,
        seed_share=comparison.seed_share,
        unit=unit,
    )


def _difference(comparison: Comparison, winner: str, control: str) -> Difference | None:
    if control == winner or control not in comparison.arms:
        return None
    draws = comparison.of(winner) - comparison.of(control)
    return Difference(control, Estimate.of(draws), float((draws > 0).mean()))


def _difference_from(data: Mapping[str, Any] | None) -> Difference | None:
    if data is None:
        return None
    return Difference(**{**data, "points": Estimate(**data["points"])})


def _arm_from(data: Mapping[str, Any]) -> Arm:
    return Arm(**{**data, "accuracy": Estimate(**data["accuracy"])})


def _ties(comparison: Comparison, winner: str) -> tuple[str, ...]:
    """Return the arms that join the winner in a 95 % credible set of the best arm.

    The draws are joint, so that the set holds the best of all arms with 95 % however many they
    are: no pair is tested by itself (Gelman, Hill and Yajima 2012, "Why we (usually) don't have to
    worry about multiple comparisons"; the frequentist relative is Hsu's MCB, 1984).
    """
    probabilities = comparison.probability_best()
    covered = comparison.probability_of(winner)
    ties = []
    for i in np.argsort(-probabilities, kind="stable"):
        if covered >= LEVEL:
            break
        if comparison.arms[i] != winner:
            ties.append(comparison.arms[i])
            covered += float(probabilities[i])
    return tuple(ties)


def _arms(comparison: Comparison) -> tuple[Arm, ...]:
    seeds = np.isfinite(comparison.values).sum(axis=1).tolist()
    raw_means = np.nanmean(comparison.values, axis=1).tolist()
    probabilities = comparison.probability_best().tolist()
    estimates = [Estimate.of(draws) for draws in comparison.draws.T]
    columns = (comparison.arms, seeds, raw_means, estimates, probabilities)
    arms = [Arm(*row) for row in zip(*columns, strict=True)]
    return tuple(arms[i] for i in comparison.by_mean())
