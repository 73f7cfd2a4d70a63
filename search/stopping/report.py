"""Report on early stopping: what it saved, on what grounds, and what it risked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from scipy import special

from search.stopping.rules import STOPPING_RULES, EarlyStopping, quantile, rank_correlation
from spaces import CLASS_WEIGHTS
from spaces.parts.words import number_of


@dataclass(frozen=True)
class Observed:
    """What is on record of a trial that has ended and did not diverge.

    Attributes:
        key: ``STUDY-NUMBER``.
        rungs: score so far (percent) at the rungs that judged it, by epoch.
        final: score of the full length, percent; None if it was stopped.
        stopped: the epoch at which early stopping ended it; None if it was not.
        immune, baseline: it was not to be stopped, being one of the immune trials or a baseline.
        kind: of its strategy; rungs compare trials of one kind.
    """

    key: str
    rungs: dict[int, float]
    final: float | None
    stopped: int | None
    immune: bool = False
    baseline: bool = False
    kind: str = CLASS_WEIGHTS


@dataclass(frozen=True)
class RungReport:
    """What a rung did to the trials of one kind.

    Attributes:
        epoch: where it lies.
        passed: full-length trials that passed it.
        correlation: Spearman's, of their values there with their final ones; None if one of the
            two is constant, or for fewer than two trials.
        interval: of the correlation, 95 %; None for fewer than four trials, or without scatter.
        may_stop: whether it may stop trials, as of the end.
        stopped: trials that it stopped.
        kind: of the trials.
    """

    epoch: int
    passed: int
    correlation: float | None
    interval: tuple[float, float] | None
    may_stop: bool
    stopped: int
    kind: str = CLASS_WEIGHTS

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; a kind is named unless it is class weights."""
        content = dataclasses.asdict(self)
        kind = content.pop("kind")
        return content if kind == CLASS_WEIGHTS else {"kind": kind} | content

    def sentence(self) -> str:
        """Say it in English, for a rung that stopped trials."""
        stops = f"It stopped {number_of(self.stopped, 'trial')}"
        if not self.may_stop:
            stops += " and, as of now, may stop none"
        of = "" if self.kind == CLASS_WEIGHTS else f" ({self.kind})"
        return f"Rung at epoch {self.epoch}{of}: {self._correlation()}. {stops}."

    def _correlation(self) -> str:
        over = f"over {number_of(self.passed, 'trial')} of full length"
        if self.correlation is None:
            return f"no rank correlation with the final score can be given {over}"
        interval = ""
        if self.interval is not None:
            interval = f" (95 % interval {self.interval[0]:.2f} to {self.interval[1]:.2f})"
        return f"rank correlation {self.correlation:.2f}{interval} with the final score {over}"


@dataclass(frozen=True)
class StoppingReport:
    """What early stopping did in a search.

    Attributes:
        rungs: of each kind of strategies, ascending; none where nothing is ever stopped.
        stopped: trials that were stopped.
        saved_epochs: that these were not trained for.
        saved_share: of the epochs that all the trials would have taken at full length.
        best: how many of the best full-length results count as missed chances.
        spared: immune trials and baselines of full length that the rule would have stopped.
        spared_best: how many of these ended among the ``best``.
        spared_interval: Clopper-Pearson 95 % interval of their share; None without any.
    """

    rungs: tuple[RungReport, ...]
    stopped: int
    saved_epochs: int
    saved_share: float
    best: int
    spared: int
    spared_best: int
    spared_interval: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return dataclasses.asdict(self) | {"rungs": [rung.to_dict() for rung in self.rungs]}

    def sentences(self) -> list[str]:
        """Say it in English, what it saved and what it risked first; [] if it stopped no trial."""
        if not self.stopped:
            return []
        saved = (
            f"Early stopping ended {number_of(self.stopped, 'trial')} and saved "
            f"{number_of(self.saved_epochs, 'epoch')}, "
            f"{100 * self.saved_share:.0f} % of what all trials would have taken at full length."
        )
        return [saved, self._risk(), *(rung.sentence() for rung in self.rungs if rung.stopped)]

    def _risk(self) -> str:
        if self.spared_interval is None:
            return (
                "What it missed cannot be said: no trial that it would have stopped ran to its "
                "full length."
            )
        low, high = (100 * end for end in self.spared_interval)
        return (
            f"Of {number_of(self.spared, 'trial')} that it would have stopped and that "
            "ran on as a check, "
            f"{self.spared_best} ended among the best {self.best}: a chance of {low:.0f} to "
            f"{high:.0f} % (95 % interval) that a stopped trial would have."
        )


def stopping_report(
    trials: Sequence[Observed],
    early_stopping: str,
    grace_epochs: int,
    reduction_factor: int,
    max_epochs: int,
    best: int,
    level: float,
) -> StoppingReport:
    """Say what early stopping did, from what is on record; the order of the trials is irrelevant.

    A trial would have been stopped if, at a rung that may stop trials or has stopped one, it is
    below the cut through all the values of its kind that were observed there by the end.

    Args:
        trials: proposals and baselines that have ended, in any order.
        early_stopping: name in ``STOPPING_RULES``; the next three arguments make the rule.
        grace_epochs, reduction_factor, max_epochs: as there.
        best: how many candidates a confirmation takes, 1 or more.
        level: of the intervals, in (0, 1).
    """
    rungs: list[RungReport] = []
    spared: list[Observed] = []
    for kind in sorted({trial.kind for trial in trials}) or [CLASS_WEIGHTS]:
        alike = [trial for trial in trials if trial.kind == kind]
        rule = STOPPING_RULES[early_stopping](grace_epochs, reduction_factor, max_epochs)
        _tell(rule, alike)
        found = [_rung_report(rung, alike, rule.may_stop(rung), level) for rung in rule.rungs]
        cuts = _cuts(found, alike, reduction_factor)
        spared += [t for t in alike if (t.immune or t.baseline) and _would_stop(t, cuts)]
        rungs += [replace(rung, kind=kind) for rung in found]
    full = sorted((t.final for t in trials if t.final is not None), reverse=True)
    good = sum(t.final is not None and t.final >= full[:best][-1] for t in spared)
    saved = [max_epochs - t.stopped for t in trials if t.stopped is not None]
    return StoppingReport(
        rungs=tuple(rungs),
        stopped=len(saved),
        saved_epochs=sum(saved),
        saved_share=sum(saved) / (max_epochs * max(len(trials), 1)),
        best=best,
        spared=len(spared),
        spared_best=good,
        spared_interval=_share_interval(good, len(spared), level),
    )


def _tell(rule: EarlyStopping, trials: Sequence[Observed]) -> None:
    for trial in trials:
        for epoch, value in trial.rungs.items():
            rule.observe(trial.key, epoch, value)
        if trial.final is not None:
            rule.complete(trial.key, trial.final)


def _rung_report(rung: int, trials: Sequence[Observed], may_stop: bool, level: float) -> RungReport:
    passed = [(t.rungs[rung], t.final) for t in trials if rung in t.rungs and t.final is not None]
    correlation = rank_correlation([value for value, _ in passed], [final for _, final in passed])
    return RungReport(
        epoch=rung,
        passed=len(passed),
        correlation=correlation,
        interval=_correlation_interval(correlation, len(passed), level),
        may_stop=may_stop,
        stopped=sum(t.stopped == rung for t in trials),
    )


def _cuts(
    rungs: Sequence[RungReport], trials: Sequence[Observed], reduction_factor: int
) -> dict[int, float]:
    """The value below which each rung that does stop trials would, through all values there."""
    cuts = {}
    for rung in rungs:
        values = sorted(t.rungs[rung.epoch] for t in trials if rung.epoch in t.rungs)
        if values and (rung.may_stop or rung.stopped):
            cuts[rung.epoch] = quantile(values, 1 - 1 / reduction_factor)
    return cuts


def _would_stop(trial: Observed, cuts: dict[int, float]) -> bool:
    below = any(trial.rungs[rung] < cut for rung, cut in cuts.items() if rung in trial.rungs)
    return below and trial.final is not None


def _correlation_interval(
    correlation: float | None, n: int, level: float
) -> tuple[float, float] | None:
    """The interval of Spearman's correlation (Bonett and Wright, Psychometrika 2000)."""
    if correlation is None or n < 4 or abs(correlation) >= 1:
        return None
    error = math.sqrt((1 + correlation**2 / 2) / (n - 3))
    half = float(special.ndtri((1 + level) / 2)) * error
    centre = math.atanh(correlation)
    return math.tanh(centre - half), math.tanh(centre + half)


def _share_interval(count: int, of: int, level: float) -> tuple[float, float] | None:
    if not of:
        return None
    from scipy import stats  # slow to import; `show` and `export` may do without

    interval = stats.binomtest(count, of).proportion_ci(level, method="exact")
    return float(interval.low), float(interval.high)
