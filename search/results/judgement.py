"""The judgement of a run's confirmation, computed from what is on record alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from search.config.objective import Objective
from search.config.settings import UNIFORM
from search.results.on_benchmark import OnBenchmark, PartJudge
from search.session.phases import runs_of
from search.stats.verdict import STRATEGIES, WEIGHTINGS, Verdict, verdict
from search.store.plan import ConfirmationPlan
from search.store.run_folder import RunFolder
from search.store.trials import CONFIRMATION, HOLDOUT, Row

if TYPE_CHECKING:
    from search.session.design.run_model import RunModel

MODELLED = (
    "Estimates are those of the model of gradient shares, by all runs of search and confirmation."
)

CHOSEN_FOR_HALF_B = (
    "the epochs here are chosen on half A, but the winner on all of the images, half B among them."
)
"""How far what is stated on half B was chosen on other images."""


@dataclass(frozen=True)
class Judgement:
    """The outcome of a confirmation, as far as it has come.

    Attributes:
        decided, reason: whether it has ended, and why, or what it waits for.
        runs: that have ended.
        verdict: on the search's benchmark, or on all of a joint search's together.
        benchmarks: the search's own, in their order.
        holdout: the one that the search never saw; None without one, or before its runs.
        half_b: of the winner, who is chosen on all images, on half B of them, every run at its
            epoch that is the best on half A; None where all arms are class weights, where a test
            set is held out, where an arm that it needs diverged, and where the images do not come
            in halves.
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
        if self._uses_verdict:
            return self.verdict.sentences()[0]
        chosen_on = self.benchmarks[0].benchmark.chosen_on
        half = f"on half B of the {chosen_on} images"
        return self.stated.use(half if self.half_b else "on the test images")

    @property
    def more(self) -> list[str]:
        """What the verdict says besides, in words."""
        return self.verdict.sentences(used=self._uses_verdict)[1:]

    @property
    def _uses_verdict(self) -> bool:
        return self.stated is self.verdict or self.verdict.alike

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
    reason = decision.reason
    if model and decision.decided and len(runs) < plan.runs:
        reason = f"by these runs alone, {reason}"  # the model may know otherwise
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
        reason,
        len(runs),
        said,
        benchmarks,
        holdout,
        half_b,
        modelled=model is not None,
    )
