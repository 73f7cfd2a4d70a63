"""The conclusion of a run so far: which weighting it names, and on what grounds."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from search.config.budget import MOST_CANDIDATES
from search.config.objective import Objective
from search.config.settings import Settings
from search.results.judgement import Judgement, judge
from search.results.reached import Reached, of_runs, of_verdict
from search.session.design.choice import model_of
from search.session.design.kept_prior import KeptPrior, kept_priors
from search.session.rungs import judged_rungs
from search.session.standings import Standings
from search.stats.estimate import LEVEL, Estimate
from search.stats.ranking import GroupPosterior
from search.stats.ties import TIE
from search.stopping.report import Observed, StoppingReport, stopping_report
from search.stopping.rules import STOPPING_RULES
from search.store.attempts import Attempt
from search.store.facts import PriorRun
from search.store.manifest import Manifest
from search.store.plan import ConfirmationPlan
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.stored_run import read_run
from search.store.trials import PROPOSALS, Row, TrialState
from spaces import NAMED, STRATEGIES, ParameterValue, Strategy

ORDER = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.FAIL)
ENDS = dict(zip(ORDER, ("complete", "stopped", "unfinished", "failed"), strict=True))


@dataclass(frozen=True)
class Incumbent:
    """The best weighting of the search itself.

    Attributes:
        row: its earliest full-length trial.
        known: what its runs say of it.
        gain: its posterior mean less that of uniform weights; None if those have not run.
        alike: how many weightings there are, if all of them reached the same; else None.
    """

    row: Row
    known: GroupPosterior
    gain: float | None
    alike: int | None

    def to_dict(self) -> dict[str, Any]:
        known = self.known
        return {
            "label": self.row.label,
            "weighting": self.row.strategy.to_dict(),
            "mean": known.mean,
            "sd": known.sd,
            "runs": known.n,
            "gain": self.gain,
            "alike": self.alike,
        }


def incumbent(standings: Standings) -> Incumbent | None:
    """Return the weighting of the highest posterior mean, None before a full-length trial."""
    ranking = standings.ranking()
    if ranking is None:
        return None
    best, uniform = ranking.groups[0], standings.uniform_mean()
    gain = None if uniform is None else best.mean - uniform
    means = [known.raw_mean for known in ranking.groups]
    alike = len(means) if len(means) > 1 and max(means) - min(means) <= TIE else None
    return Incumbent(standings.first_row(best.group), best, gain, alike)


@dataclass(frozen=True)
class Conclusion:
    """The conclusion reads a run from its folder.

    Attributes:
        manifest: settings.json.
        attempt: the latest start.
        rows: of all trials.
        controls: names of the controls of the search, begun or not.
        plan: of the confirmation; None before it begins.
        judgement: of the confirmation; None before every arm has a result.
        drawn: what the sampler drew for each proposal, by key; nothing of a repeated control.
        prior_runs: those of the model's prior.
    """

    folder: RunFolder
    manifest: Manifest
    attempt: Attempt
    objective: Objective
    rows: tuple[Row, ...]
    controls: tuple[str, ...]
    standings: Standings
    plan: ConfirmationPlan | None
    judgement: Judgement | None
    drawn: Mapping[str, Mapping[str, ParameterValue]]
    prior_runs: tuple[PriorRun, ...]

    @classmethod
    def of(cls, folder: RunFolder, record: Record | None = None) -> Conclusion:
        """Read a run; a ``record`` of it that is given is not read again.

        Raises:
            UserError: it is no run, or its files are damaged.
        """
        run = read_run(folder, record)
        manifest, record = run.manifest, run.record
        objective, rows, plan = manifest.objective, record.rows(), record.plan()
        model = model_of(manifest.settings, record, objective)
        standings = Standings.of(objective, rows, model)
        return cls(
            folder=folder,
            manifest=manifest,
            attempt=run.attempts[-1],
            objective=objective,
            rows=tuple(rows),
            controls=tuple(record.controls()),
            standings=standings,
            plan=plan,
            judgement=judge(folder, objective, plan, rows, model) if plan else None,
            drawn={
                t.key: t.drawn.params
                for t in record.trials[PROPOSALS]
                if t.drawn and t.drawn.params
            },
            prior_runs=record.begun.prior if record.begun else (),
        )

    @property
    def settings(self) -> Settings:
        return self.manifest.settings

    @functools.cached_property
    def prior(self) -> tuple[KeptPrior, ...]:
        """What is left of each earlier run of the model's prior."""
        return kept_priors(self.prior_runs, self.standings.model)

    @functools.cached_property
    def incumbent(self) -> Incumbent | None:
        return incumbent(self.standings)

    @property
    def winner(self) -> tuple[str, Strategy] | None:
        """Label and strategy that the run names: the verdict's, or else the incumbent."""
        if self.judgement:
            label = self.judgement.verdict.winner
            return label, self.judgement.plan.arms[label]
        found = self.incumbent
        return (found.row.label, found.row.strategy) if found else None

    @property
    def device_hours(self) -> float:
        """Hours of training of all trials that have ended, each its share of a device."""
        return sum(row.device_hours for row in self.rows)

    @property
    def told(self) -> bool:
        """Whether it was trained elsewhere, and told of."""
        own = self.manifest.benchmarks[0].own
        return own is not None and own.told

    @property
    def hours_unit(self) -> str:
        if self.told:
            return "hours"
        return "GPU-hours" if self.attempt.device == "cuda" else "CPU worker-hours"

    @functools.cached_property
    def stopping(self) -> StoppingReport:
        """What early stopping did."""
        settings = self.settings
        rule = (settings.early_stopping, settings.grace_epochs, settings.reduction_factor)
        immune = STOPPING_RULES[settings.early_stopping](*rule[1:], self.objective.epochs).is_immune
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        observed = [
            Observed(
                key=row.key,
                rungs=judged_rungs(row, self.objective.epochs),
                final=row.value if row.state == TrialState.COMPLETE else None,
                stopped=row.stop_epoch if row.state == TrialState.PRUNED else None,
                immune=row.is_proposal and immune(row.number),
                baseline=not row.is_proposal,
                kind=row.strategy.kind,
            )
            for row in self.rows
            if row.in_search and row.state in ended
        ]
        best = len(self.judgement.plan.candidates) if self.judgement else MOST_CANDIDATES
        report = stopping_report(observed, *rule, self.objective.epochs, best, LEVEL)
        epochs = report.saved_epochs * self.objective.epochs_of_all // self.objective.epochs
        return replace(report, saved_epochs=epochs)

    @property
    def saved_hours(self) -> float:
        """Device-hours that early stopping saved, at what an epoch of the search took."""
        rows = [row for row in self.rows if row.in_search]
        epochs = sum(s.epochs for row in rows for s in row.summaries)
        hours = sum(row.device_hours for row in rows)
        return self.stopping.saved_epochs * hours / epochs if epochs else 0.0

    def story(self) -> dict[str, Any]:
        """Return the winner's result with all that is needed to judge it, JSON-able."""
        searched = [row for row in self.rows if row.in_search]
        result = self._result()
        label = result["trial"]
        named = NAMED.get(label) or STRATEGIES.get(label)
        names = [benchmark.name for benchmark in self.objective.benchmarks]
        return {
            **result,
            "metrics": {n: r.metrics for n, r in zip(names, self.reached, strict=True)},
            "class_accuracy": {n: r.classes for n, r in zip(names, self.reached, strict=True)},
            "formula": named and named.formula,
            "source": named.source if named else "found by this search",
            "protocol": "; ".join(b.protocol for b in self.manifest.benchmarks),
            "benchmarks": [b.definition.to_dict() for b in self.manifest.benchmarks],
            "verdict": self.judgement and self.judgement.to_dict(),
            **({"prior": [prior.to_dict() for prior in self.prior]} if self.prior else {}),
            "early_stopping": self.stopping.to_dict() | {"saved_device_hours": self.saved_hours},
            "trials": {ENDS[s]: sum(row.state == s for row in searched) for s in ORDER},
            "device_hours": self.device_hours,
            "search": self.settings.to_dict(),
            "settings_fingerprint": self.manifest.fingerprint,
            "provenance": self.attempt.provenance,
            "resources": self.attempt.resources,
        }

    def _metric(self) -> str:
        """What the result's value is, in words."""
        benchmarks = self.objective.benchmarks
        words = " and ".join(dict.fromkeys(f"best {b.score_words}" for b in benchmarks))
        metric = f"{words} over the epochs, percent"
        if self.judgement and self.judgement.half_b:
            scored = " and ".join(dict.fromkeys(b.score_words for b in benchmarks))
            metric = f"{scored} on half B of the images, at the best epoch on half A, percent"
        if self.objective.joint:
            return f"gain over uniform in the {metric}, / noise SD, mean over the benchmarks"
        if self.judgement and benchmarks[0].test_held_out:
            return f"{benchmarks[0].judged_words} at the epoch of the {words}, percent"
        return metric

    @functools.cached_property
    def reached(self) -> list[Reached]:
        """What the winner reached by benchmark, in every metric; empty before there is one."""
        if self.judgement:
            return of_verdict(self.judgement)
        return of_runs(self._runs(), self.objective.benchmarks) if self.incumbent else []

    def _runs(self) -> list[Row]:
        """The search's own full-length runs of its best weighting."""
        assert self.incumbent is not None
        return self.standings.members[self.incumbent.known.group]

    def _result(self) -> dict[str, Any]:
        metric = self._metric()
        if self.judgement:
            verdict = self.judgement.stated
            best = verdict.best
            value: Estimate | None = best.accuracy
            if self.objective.joint:
                value = verdict.to_uniform.points if verdict.to_uniform else None
            if self.objective.joint and verdict.winner == verdict.uniform:
                value = Estimate(0, 0, 0)
            seeds = "fresh seeds that the search never used; corrected for the choice"
            images = " of the winner, by all images" if self.judgement.half_b else ""
            return {
                "metric": metric,
                "value": value and value.mean,
                "interval_95": value and [value.low, value.high],
                "runs": best.seeds,
                "basis": self.judgement.grounds or f"{seeds}{images}",
                "trial": best.name,
            }
        found, joint = self.incumbent, self.objective.joint
        assert found is not None
        return {
            "metric": metric,
            "value": found.gain if joint else found.known.mean,
            "posterior_sd": None if joint else found.known.sd,  # of a gain it is larger
            "runs": found.known.n,
            "basis": "posterior mean of the search's own runs; not confirmed with fresh seeds",
            "trial": found.row.label,
            "single_runs": [{"seed": row.seed, "value": row.value} for row in self._runs()],
        }
