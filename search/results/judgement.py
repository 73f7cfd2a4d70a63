"""The judgement of a run's confirmation, computed from what is on record alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from search.config.objective import BenchmarkObjective, Objective
from search.config.settings import UNIFORM
from search.results.adjusted import Adjusted, adjusted
from search.session.phases import runs_of
from search.stats.accuracies import (
    Accuracies,
    Curves,
    Gains,
    HalfSplit,
    accuracies,
    gains,
    half_split,
)
from search.stats.comparison import SeededRun
from search.stats.estimate import Unit
from search.stats.priors import NoisePrior
from search.stats.scoring import Curve
from search.stats.verdict import STRATEGIES, WEIGHTINGS, Verdict, verdict
from search.store.plan import ConfirmationPlan
from search.store.run_folder import RunFolder, part_key
from search.store.trials import CONFIRMATION, HOLDOUT, Row, TrialState
from trainer.results import EpochResult

if TYPE_CHECKING:
    from search.session.design.run_model import RunModel

FEWEST_COMMON_SEEDS = 2
"""For gains over uniform."""
MODELLED = (
    "Estimates are those of the model of gradient shares, by all runs of search and confirmation."
)


@dataclass(frozen=True)
class OnBenchmark:
    """The results of the arms on one benchmark.

    Attributes:
        benchmark: which one.
        verdict: of the winner there, on the test set if one is held out; None where the run's own
            verdict says it, and where an arm that it needs has no run or diverged.
        arms: label -> what its runs reached.
        half_split: the choice of arm and epoch on half A, and what half B says of it; None where
            the images do not come in halves.
        gains: of the winner over uniform; None if it is uniform, where too few seeds are common, or
            where the accuracies of classes are not known.
        adjusted: label -> what its runs reach adjusted after training; without the arms of which
            that is not on record.
    """

    benchmark: BenchmarkObjective
    verdict: Verdict | None
    arms: dict[str, Accuracies]
    half_split: HalfSplit | None
    gains: Gains | None
    adjusted: Mapping[str, Adjusted]

    @property
    def name(self) -> str:
        return self.benchmark.name

    def to_dict(self) -> dict[str, Any]:
        adjusted = {label: arm.to_dict() for label, arm in self.adjusted.items()}
        return {
            "name": self.name,
            "metric": self.benchmark.metric,
            "chosen_on": self.benchmark.chosen_on,
            "test_held_out": self.benchmark.test_held_out,
            "verdict": self.verdict and self.verdict.to_dict(),
            "arms": {label: dataclasses.asdict(arm) for label, arm in self.arms.items()},
            "half_split": self.half_split and self.half_split.to_dict(),
            "gains": self.gains and self.gains.to_dict(),
            **({"adjusted": adjusted} if adjusted else {}),
        }


@dataclass(frozen=True)
class Judgement:
    """The outcome of a confirmation, as far as it has come.

    Attributes:
        decided, reason: whether it has ended, and why, or what it waits for.
        runs: that have ended.
        verdict: on the search's benchmark, or on all of a joint search's together.
        benchmarks: the search's own, in their order.
        holdout: the one that the search never saw; None without one, or before its runs.
        half_b: of the winner on half B of the images, every run at its epoch that is the best on
            half A; None where all arms are class weights, where a test set is held out, where an
            arm that it needs diverged, and where the images do not come in halves.
        modelled: the verdict rests on all runs of the search, too, by the model of gradient shares.
    """

    plan: ConfirmationPlan
    decided: bool
    reason: str
    runs: int
    verdict: Verdict
    benchmarks: tuple[OnBenchmark, ...]
    holdout: OnBenchmark | None
    half_b: Verdict | None = None
    modelled: bool = False

    @property
    def stated(self) -> Verdict:
        """The verdict that states what the winner is worth: on a test set that is held out.

        Where more than class weights was searched, it is that on half B.
        """
        if self.half_b:
            return self.half_b
        own = self.benchmarks[0]
        held_out = len(self.benchmarks) == 1 and own.benchmark.test_held_out
        return own.verdict or self.verdict if held_out else self.verdict

    @property
    def grounds(self) -> str:
        """What the stated verdict rests on, in words, where that is not fresh seeds alone."""
        return MODELLED if self.modelled and self.stated is self.verdict else ""

    @property
    def use(self) -> str:
        """What to use and what it gains, in words, on the images that state it."""
        if self.stated is self.verdict or self.verdict.alike:
            return self.verdict.sentences()[0]
        chosen_on = self.benchmarks[0].benchmark.chosen_on
        half = f"on half B of the {chosen_on} images"
        return self.stated.use(half if self.half_b else "on the test images")

    def to_dict(self) -> dict[str, Any]:
        return {
            "plan": self.plan.to_dict(),
            "decided": self.decided,
            "reason": self.reason,
            "runs": self.runs,
            "verdict": self.verdict.to_dict(),
            "benchmarks": [benchmark.to_dict() for benchmark in self.benchmarks],
            "holdout": self.holdout and self.holdout.to_dict(),
            **({"half_b": self.half_b.to_dict()} if self.half_b else {}),
            **({"modelled": True} if self.modelled else {}),
        }


def judge(
    folder: RunFolder,
    objective: Objective,
    plan: ConfirmationPlan,
    rows: Sequence[Row],
    model: RunModel | None = None,
) -> Judgement | None:
    """Return what the confirmation shows; None before every arm has a result.

    ``model`` is that of the run, which knows the trials of its search.
    """
    runs = runs_of(rows, CONFIRMATION, plan.arms)
    decision = plan.confirmation(objective).decision(runs)
    if decision.leader is None or not {UNIFORM, plan.baseline} <= {run.arm for run in runs}:
        return None
    said = verdict(
        runs,
        UNIFORM,
        plan.baseline,
        prior=objective.noise_prior,
        unit=objective.unit,
        order=plan.order,
        comparison=model.comparison(plan, rows, objective.unit.bounds) if model else None,
    )
    noun = STRATEGIES if plan.other_training else WEIGHTINGS
    said = replace(said, scored=objective.benchmarks[0].score_words, noun=noun)
    judge_part = PartJudge(folder, plan, rows, said.winner)
    benchmarks = tuple(
        judge_part(CONFIRMATION, part, benchmark, objective.joint or benchmark.test_held_out)
        for part, benchmark in enumerate(objective.benchmarks)
    )
    holdout = None
    if objective.holdout and judge_part.done(HOLDOUT):
        holdout = judge_part(HOLDOUT, 0, objective.holdout, True)
    held_out = all(benchmark.test_held_out for benchmark in objective.benchmarks)
    has_halves = all(benchmark.scoring.has_halves for benchmark in objective.benchmarks)
    needed = plan.other_training and has_halves and not held_out
    half_b = judge_part.half_b(objective) if needed else None
    return Judgement(
        plan,
        decision.decided,
        decision.reason,
        len(runs),
        said,
        benchmarks,
        holdout,
        half_b,
        modelled=model is not None,
    )


@dataclass(frozen=True)
class PartJudge:
    """Judges the arms on one benchmark at a time; ``winner`` was chosen on all of them."""

    folder: RunFolder
    plan: ConfirmationPlan
    rows: Sequence[Row]
    winner: str

    def __call__(
        self, study: str, part: int, benchmark: BenchmarkObjective, with_verdict: bool
    ) -> OnBenchmark:
        done = self.done(study)
        scoring = benchmark.scoring
        curves = self.curves(done, part, benchmark)
        return OnBenchmark(
            benchmark=benchmark,
            verdict=self.verdict(done, study, curves, benchmark) if with_verdict else None,
            arms={label: accuracies(curves[label], scoring) for label in curves},
            half_split=half_split(curves, scoring) if scoring.has_halves else None,
            gains=self.gains(curves, benchmark),
            adjusted=self.adjusted(done, part, benchmark),
        )

    def half_b(self, objective: Objective) -> Verdict | None:
        """Return the verdict on half B of the images of the search's benchmarks together."""
        runs = [run for run in self.ended(CONFIRMATION) if run.value is None]
        for row in self.done(CONFIRMATION):
            if row.state != TrialState.COMPLETE or row.seed_index is None:
                continue
            reached = []
            for part, benchmark in enumerate(objective.benchmarks):
                scoring = replace(benchmark.scoring, test_held_out=True)
                best = scoring.best(self.folder.read_curve(row, part, benchmark))
                reached.append(float(scoring.scores(best, scoring.judging)))
            runs.append(SeededRun(row.label, row.seed_index, objective.score(reached)))
        said = self.judged(runs, objective.noise_prior, objective.unit)
        words = f"{objective.benchmarks[0].score_words} on half B"
        return said and replace(said, scored=words)

    def ended(self, study: str) -> list[SeededRun]:
        return runs_of(self.rows, study, self.plan.arms)

    def done(self, study: str) -> list[Row]:
        """Return the complete runs of the arms without a diverged one."""
        out = {run.arm for run in self.ended(study) if run.value is None}
        left = self.plan.arms.keys() - out
        return [
            row for row in self.rows if row.study == study and row.label in left and row.summaries
        ]

    def curves(
        self, done: Iterable[Row], part: int, benchmark: BenchmarkObjective
    ) -> dict[str, Curves]:
        found: dict[str, dict[int, Curve]] = {}
        for row in done:
            assert row.seed_index is not None
            curve = self.folder.read_curve(row, part, benchmark)
            found.setdefault(row.label, {})[row.seed_index] = curve
        return {label: found[label] for label in self.plan.order if label in found}

    def verdict(
        self,
        done: Iterable[Row],
        study: str,
        curves: Mapping[str, Curves],
        benchmark: BenchmarkObjective,
    ) -> Verdict | None:
        """Return the verdict on the images that judge, every run at its own best epoch."""
        runs = [run for run in self.ended(study) if run.value is None]
        scoring = benchmark.scoring
        for row in done:
            if row.state == TrialState.COMPLETE and row.seed_index is not None:
                best = scoring.best(curves[row.label][row.seed_index])
                value = float(scoring.scores(best, scoring.judging))
                runs.append(SeededRun(row.label, row.seed_index, value))
        said = self.judged(runs, benchmark.noise_prior, Unit.PERCENT)
        return said and replace(said, scored=benchmark.judged_words)

    def judged(self, runs: Sequence[SeededRun], prior: NoisePrior, unit: Unit) -> Verdict | None:
        """Return the verdict on the winner by these runs; None if an arm that it needs is out."""
        out = {run.arm for run in runs if run.value is None}
        ran = {run.arm for run in runs}
        if self.winner in out or not {self.winner, UNIFORM, self.plan.baseline} <= ran:
            return None
        return verdict(
            runs,
            UNIFORM,
            self.plan.baseline,
            winner=self.winner,
            prior=prior,
            unit=unit,
            order=self.plan.order,
        )

    def adjusted(
        self, done: Iterable[Row], part: int, benchmark: BenchmarkObjective
    ) -> dict[str, Adjusted]:
        """Return what the arms reach adjusted after training, by label."""
        runs: dict[str, list[list[EpochResult]]] = {}
        for row in done:
            epochs = self.folder.read_part(part_key(row.key, part), benchmark)
            runs.setdefault(row.label, []).append(epochs)
        arms = self.plan.arms
        found = {k: adjusted(runs[k], arms[k].posthoc) for k in self.plan.order if k in runs}
        return {label: arm for label, arm in found.items() if arm}

    def gains(self, curves: dict[str, Curves], benchmark: BenchmarkObjective) -> Gains | None:
        winner, uniform = curves.get(self.winner, {}), curves.get(UNIFORM, {})
        common = len(winner.keys() & uniform.keys())
        known = benchmark.half_counts is not None
        if self.winner == UNIFORM or common < FEWEST_COMMON_SEEDS or not known:
            return None
        return gains(winner, uniform, benchmark.scoring, benchmark.counts)
