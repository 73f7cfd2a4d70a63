"""The phases after the search: the confirmation of the best weightings, then the hold-out.

Both are functions of the rows on record, so that they go on after a stop of any kind.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from search.config.budget import FEWEST_RUNS, Budget
from search.config.objective import Objective
from search.config.settings import UNIFORM
from search.session.standings import Standings
from search.stats.best_arm import SEEDS_EACH, Confirmation, Planned, confirmation_seed
from search.stats.comparison import SeededRun
from search.stats.sentences import listed
from search.store.plan import ConfirmationPlan
from search.store.record import Record
from search.store.trials import CONFIRMATION, HOLDOUT, FreshRun, Row, TrialState
from spaces import Strategy

LEFT_NAMED = 3
"""Weightings that are named of those that are not confirmed."""


def plan_text(plan: ConfirmationPlan, standings: Standings) -> str:
    """Return which weightings are confirmed, why no more, and which are left out."""
    said = (
        f"{listed(list(plan.candidates))} and the controls {listed(list(plan.controls))} are "
        f"trained with fresh seeds, in at most {plan.runs} runs"
    )
    left = [row.label for row in standings.candidates(len(standings.members), plan.arms)]
    if not left:
        return said
    more = f" and {len(left) - LEFT_NAMED} more" if len(left) > LEFT_NAMED else ""
    return (
        f"{said}. These pay for {len(plan.candidates)} besides the controls, the best by "
        f"estimate; left out, the next best first: {', '.join(left[:LEFT_NAMED])}{more}"
    )


def make_plan(standings: Standings, search_trials: int, budget: Budget) -> ConfirmationPlan | None:
    """Return the plan for what a search found; None if it found nothing to confirm."""
    baseline = standings.best_baseline()
    controls = {UNIFORM: Strategy()}
    if baseline:
        controls[baseline.label] = baseline.strategy
    best = standings.candidates(budget.candidates, controls.keys())
    candidates = {row.label: row.strategy for row in best}
    if not candidates:
        return None
    runs, interval = budget.confirm_runs, budget.interval
    return ConfirmationPlan(search_trials, runs, candidates, controls, interval)


def nothing_to_confirm(standings: Standings, rows: Iterable[Row]) -> str | None:
    """Return why ``make_plan`` finds nothing; None if it does, or if a trial may still end well."""
    searched = [row for row in rows if row.in_search]
    unfinished = any(row.state == TrialState.RUNNING for row in searched)
    if unfinished or make_plan(standings, len(searched), Budget(None, None, runs=FEWEST_RUNS)):
        return None
    if not standings.results:
        return "no trial of its search was trained to its full length; search on with --resume"
    labels = dict.fromkeys(row.label for row in standings.results.values())
    return (
        f"its search has no full-length result but those of its controls ({', '.join(labels)}); "
        f"search on with --resume and more than {len(searched)} --trials"
    )


def runs_of(rows: Iterable[Row], study: str, arms: Iterable[str]) -> list[SeededRun]:
    """Return the ended runs of a study's arms; those lost to a failure elsewhere are left out."""
    known = set(arms)
    ended = (row for row in rows if row.study == study and row.label in known)
    runs = []
    for row in ended:
        assert row.seed_index is not None
        if row.state == TrialState.COMPLETE or row.diverged:
            runs.append(SeededRun(row.label, row.seed_index, row.value))
    return runs


class LaterPhases:
    """Hands out the runs of the confirmation and of the hold-out, in this order."""

    def __init__(self, record: Record, seed: int, objective: Objective, budget: Budget) -> None:
        """``seed`` is the run's."""
        self.record, self.seed, self.objective, self.budget = record, seed, objective, budget
        self.plan = record.plan() if budget.confirm_runs else None

    def settle(
        self, standings: Callable[[], Standings], search_trials: int, rows: Sequence[Row]
    ) -> bool:
        """Make the plan when the search has ended, unless it stands; return whether it is new."""
        if self.plan and self._stands(self.plan, search_trials, rows):
            return False
        self.plan, plan = None, None
        if self.budget.confirm_runs:
            plan = make_plan(standings(), search_trials, self.budget)
        if plan:
            self.record.set_plan(plan)
        self.plan = plan  # once it is on record, or it would stand and never be
        return plan is not None

    def _stands(self, plan: ConfirmationPlan, search_trials: int, rows: Sequence[Row]) -> bool:
        """Whether a plan is that of the budget, which asks for an interval with a block alone.

        A longer one that had more runs already, and results of all arms, stays the verdict's.
        """
        budget, known = self.budget, (plan.search_trials, plan.runs)
        if plan.search_trials == search_trials and plan.runs > budget.confirm_runs:
            runs = self._runs(rows)
            judged = self._confirmation(plan).decision(runs).leader is not None
            return judged and len(runs) > budget.confirm_runs
        same_interval = not budget.block or plan.interval == budget.interval
        return same_interval and known == (search_trials, budget.confirm_runs)

    def is_over(self, rows: Sequence[Row]) -> bool:
        """Whether no run will begin any more, whatever comes of those in flight."""
        if self.plan is None:
            return True
        if any(row.state == TrialState.RUNNING and not row.in_search for row in rows):
            return False  # what is decided without it may be undecided with it, and it may be lost
        decided = self._confirmation(self.plan).is_decided(self._runs(rows))
        return decided and not self.holdout_left(rows)

    def next_run(self, rows: Sequence[Row]) -> tuple[str, FreshRun] | None:
        """Return the study and the run to begin now, None if there is none or it must wait."""
        if self.plan is None:
            return None
        confirmation, runs = self._confirmation(self.plan), self._runs(rows)
        if not confirmation.is_decided(runs):
            chosen = confirmation.next_runs(runs, self._pending(rows), 1)
            return (CONFIRMATION, self._fresh(chosen[0])) if chosen else None
        left = self.holdout_left(rows)
        return (HOLDOUT, self._fresh(left[0])) if left and not self._pending(rows) else None

    def _confirmation(self, plan: ConfirmationPlan) -> Confirmation:
        """Return the confirmation by the plan, which begins no more runs than the budget has."""
        return replace(plan, runs=self._most_runs).confirmation(self.objective)

    @property
    def _most_runs(self) -> int:
        runs = self.budget.confirm_runs
        return min(runs, self.plan.runs) if self.plan else runs

    def _runs(self, rows: Sequence[Row]) -> list[SeededRun]:
        assert self.plan is not None
        return runs_of(rows, CONFIRMATION, self.plan.arms)

    def _pending(self, rows: Sequence[Row]) -> list[Planned]:
        assert self.plan is not None
        return [
            Planned(row.label, row.seed_index)
            for row in rows
            if row.study == CONFIRMATION
            and row.state == TrialState.RUNNING
            and row.label in self.plan.arms
            and row.seed_index is not None
        ]

    def confirmation_begun(self, rows: Sequence[Row]) -> int:
        """Return how many runs of the confirmation have begun and count."""
        return len(self._runs(rows)) + len(self._pending(rows)) if self.plan else 0

    def confirmation_left(self, rows: Sequence[Row]) -> int:
        """Return how many runs of the confirmation may begin yet, if it is not decided before."""
        return max(0, self._most_runs - self.confirmation_begun(rows))

    def holdout_left(self, rows: Sequence[Row]) -> list[Planned]:
        """Return the hold-out runs to begin: every arm that did not diverge, three seeds."""
        if self.objective.holdout is None or self.plan is None:
            return []
        out = {run.arm for run in self._runs(rows) if run.value is None}
        begun = {
            (row.label, row.seed_index)
            for row in rows
            if row.study == HOLDOUT and (row.state != TrialState.FAIL or row.diverged)
        }
        planned = [Planned(arm, s) for s in range(SEEDS_EACH) for arm in self.plan.arms]
        return [p for p in planned if p.arm not in out and (p.arm, p.seed) not in begun]

    def _fresh(self, planned: Planned) -> FreshRun:
        assert self.plan is not None
        seed = confirmation_seed(self.seed, planned.seed)
        return FreshRun(planned.arm, self.plan.arms[planned.arm], planned.seed, seed)
