"""Results of a confirmation on one benchmark, computed from what is on record alone."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from search.config.objective import BenchmarkObjective, Objective
from search.config.settings import UNIFORM
from search.results.adjusted import Adjusted, adjusted
from search.results.scenarios import ByScenario, by_scenario
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
from search.stats.verdict import Verdict, verdict
from search.store.plan import ConfirmationPlan
from search.store.run_folder import RunFolder, part_key
from search.store.trials import CONFIRMATION, Row, TrialState
from trainer.results import EpochResult

FEWEST_COMMON_SEEDS = 2
"""For gains over uniform."""


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
        scenarios: of winner and controls; None where the images have none.
    """

    benchmark: BenchmarkObjective
    verdict: Verdict | None
    arms: dict[str, Accuracies]
    half_split: HalfSplit | None
    gains: Gains | None
    adjusted: Mapping[str, Adjusted]
    scenarios: ByScenario | None = None

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
            **({"scenarios": self.scenarios.to_dict()} if self.scenarios else {}),
        }


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
            scenarios=self.scenarios(done, part, benchmark),
        )

    def half_b(self, objective: Objective) -> Verdict | None:
        """Return the verdict on half B of the images of the search's benchmarks together.

        Epochs are chosen on half A; the winner was chosen on all images, half B among them.
        """
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

    def scenarios(
        self, done: Iterable[Row], part: int, benchmark: BenchmarkObjective
    ) -> ByScenario | None:
        """Return the accuracy of the winner and the controls by scenario."""
        if not benchmark.scenarios:
            return None
        arms: dict[str, dict[int, list[EpochResult]]] = {
            label: {} for label in (self.winner, UNIFORM, self.plan.baseline)
        }
        for row in done:
            if row.label in arms and row.seed_index is not None:
                epochs = self.folder.read_part(part_key(row.key, part), benchmark)
                arms[row.label][row.seed_index] = epochs
        judging = (1,) if benchmark.test_held_out else (0, 1)
        return by_scenario(arms, benchmark.scenarios, judging)

    def gains(self, curves: dict[str, Curves], benchmark: BenchmarkObjective) -> Gains | None:
        winner, uniform = curves.get(self.winner, {}), curves.get(UNIFORM, {})
        common = len(winner.keys() & uniform.keys())
        known = benchmark.half_counts is not None
        if self.winner == UNIFORM or common < FEWEST_COMMON_SEEDS or not known:
            return None
        return gains(winner, uniform, benchmark.scoring, benchmark.counts)
