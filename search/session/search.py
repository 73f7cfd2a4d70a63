"""The search of a run: it decides which trial starts and which stops, and records what comes.

Knows nothing of Ray: whoever runs trials asks for one, reports its epochs, and says when it ended.
"""

from collections import deque
from functools import partial
from typing import Any

from search.config.budget import Budget
from search.config.objective import Objective
from search.config.settings import Settings
from search.session.design.choice import make_proposer, model_of
from search.session.events import EpochReported, Events, SearchOver, TrialBegun, TrialEnded
from search.session.phases import LaterPhases, make_plan, plan_text
from search.session.rungs import Rungs
from search.session.running import Running
from search.session.spending import Spending
from search.session.standings import Standings
from search.stopping.rules import STOPPING_RULES
from search.store.facts import EndWord
from search.store.record import Record
from search.store.run_folder import RunFolder, part_key
from search.store.trials import HOLDOUT, Row, TrialState
from search.store.validation import in_utf_8
from trainer.results import EpochResult

MAX_FAILURES_IN_A_ROW = 3
MAX_LOSSES_IN_A_ROW = 4
"""A trial that so often loses its worker, without a new epoch in between, has itself to blame."""


class Search:
    """A search begins a run, or goes on with what the folder and the record hold of it.

    Attributes:
        running: the trials in flight, by key.
        ended: the rows of all trials that have come to their end, earlier attempts included.
        standings: of the search's trials, by weighting.
        spending: of the budget.
        search_trials: how many trials of the search have begun.
        events: what happens, for whoever subscribes.
        resumed: of each trial that goes on, where it was and from where it will, in words.
    """

    def __init__(
        self,
        settings: Settings,
        budget: Budget,
        objective: Objective,
        folder: RunFolder,
        record: Record,
        attempt: int,
        events: Events | None = None,
        device_share: float = 1.0,
    ) -> None:
        """``device_share``: as it was in the attempt before, until it is known of this one."""
        self.settings, self.budget, self.objective = settings, budget, objective
        self.folder, self.record = folder, record
        self.standings = Standings(objective, model_of(settings, record, objective))
        self.proposer = make_proposer(record, settings, attempt, self.standings)
        make_rule = partial(
            STOPPING_RULES[settings.early_stopping],
            settings.grace_epochs,
            settings.reduction_factor,
            objective.epochs,
        )
        self.rungs = Rungs(make_rule, objective, record)
        self.later = LaterPhases(record, settings.seed, objective, budget)
        self.spending = Spending(budget, device_share)
        self.running: dict[str, Running] = {}
        self.ended: list[Row] = []
        self.search_trials = 0
        self.events = events or Events()
        self.resumed: list[str] = []
        self.halted: str | None = None
        self.failures_in_a_row = 0
        self.adopted: deque[Running] = deque()
        self._adopt()

    def _adopt(self) -> None:
        """Rebuild what is known from the record and take over the trials that were running."""
        rows = self.record.rows()
        for row in rows:
            if row.in_search:
                self.search_trials += 1
                self.rungs.replay(row)
                self.standings.start(row)
                self.standings.end(row)
        self.ended = [row for row in rows if row.state != TrialState.RUNNING]
        self.spending.hours_before = sum(row.device_hours for row in self.ended)
        for row in self.ended:  # a kill can come between a trial's end and this
            self.folder.drop_checkpoints(row.key)
        for row in rows:
            if row.state == TrialState.RUNNING:
                self._take_over(row)

    def _take_over(self, row: Row) -> None:
        trial = Running.of(row, self.objective, self.rungs.epochs)
        self.running[row.key] = trial
        for part, benchmark in enumerate(trial.benchmarks):
            trial.results[part] = self.folder.reopen_epochs(part_key(row.key, part), benchmark)
        trial.before = trial.seconds, self.spending.hours_of(trial.seconds)
        self.spending.hours_before += trial.before[1]  # by the share of a device that it had there
        self.rungs.judge(trial)
        if trial.stop or trial.reached(-1):
            self.finish(row.key)
        else:
            self.adopted.append(trial)
            self.resumed.append(self._going_on(trial, "was unfinished"))

    def _going_on(self, trial: Running, why: str) -> str:
        """Return from where a trial that lost its process will be continued, in words."""
        parts = range(len(trial.benchmarks))
        saved = [self.folder.saved_epoch(part_key(trial.row.key, part)) for part in parts]
        known = [len(results) for results in trial.results]
        where = f"{trial.row.label} {why} after epoch {' and '.join(map(str, known))}"
        found = [epoch for epoch in saved if epoch is not None]
        if len(found) < len(saved):
            return f"{where}; it goes on from its function's own checkpoint"
        behind = (max(0, k - s) for k, s in zip(known, found, strict=True))
        self.spending.repeated_epochs += sum(behind)
        return f"{where}; it goes on from epoch {' and '.join(map(str, found))}"

    def lost_worker(self, key: str, details: str = "") -> None:
        """Note that a trial's process or node died, or never came up; it goes on when it can."""
        trial = self.running.get(key)
        if trial is None:
            return
        trial.losses += 1
        if trial.losses >= MAX_LOSSES_IN_A_ROW:
            last = details.strip().splitlines()[-1:] or ["no reason is known"]
            reason = f"lost its worker {trial.losses} times without a new epoch ({last[0]})"
            self.fail(key, reason, details)
            return
        self.adopted.append(trial)
        self.events.note(self._going_on(trial, "lost its worker"))

    def left_node(self, key: str) -> None:
        """Note that a trial's node is gone after a notice, and that it is begun again elsewhere."""
        if trial := self.running.get(key):
            self.events.note(self._going_on(trial, "lost its node, as announced,"))

    def halt(self, reason: str) -> None:
        """End this attempt for a cause outside the trials, which stay resumable."""
        self.halted = self.halted or reason

    @property
    def under_way(self) -> int:
        """How many trials were handed out and have not come back."""
        return len(self.running) - len(self.adopted)

    def next_trial(self) -> Running | None:
        """Return the trial to run next; None if there is none now (see ``has_more``)."""
        if self.must_stop():
            return None
        if self.adopted:
            return self.adopted.popleft()
        row = self._next_row()
        if row is None:
            return None
        trial = Running.of(row, self.objective, self.rungs.epochs)
        self.running[row.key] = trial
        self.events.publish(TrialBegun(row))
        return trial

    def _next_row(self) -> Row | None:
        if not self.search_is_over():
            row = self.proposer.next_named() or self.proposer.ask()
            self.standings.start(row)
            self.search_trials += 1
            return row
        if self._searching():
            return None  # what is confirmed depends on them
        self._settle()
        begun = self.later.next_run(self.rows())
        return self.record.start_run(*begun) if begun else None

    def confirm(self, budget: Budget) -> None:
        """Begin the confirmation of a budget now, or go on with it if it has begun."""
        self.budget = self.later.budget = budget
        self._settle()

    def _settle(self) -> None:
        """Choose what is confirmed, when the last trial of the search has ended."""
        if self.later.settle(lambda: self.standings, self.search_trials, self.rows()):
            plan = self.later.plan
            assert plan is not None
            chosen = plan_text(plan, self.standings)
            self.events.publish(SearchOver(self.search_trials, chosen))

    def rows(self) -> list[Row]:
        """Return the rows of all trials, the ended ones first."""
        return self.ended + [trial.row for trial in self.running.values()]

    def has_more(self) -> bool:
        """Whether ``next_trial`` may return one now or later: also one that loses its worker."""
        if self.must_stop():
            return False
        return bool(self.running) or not self.search_is_over() or not self._later_is_over()

    def _searching(self) -> bool:
        """Whether a trial of the search itself is in flight."""
        return any(trial.row.in_search for trial in self.running.values())

    def _later_is_over(self) -> bool:
        """Whether no run of a later phase is to come, now that all of the search have ended."""
        self._settle()
        return self.later.is_over(self.rows())

    def search_is_over(self) -> bool:
        """Whether no more trials of the search begin."""
        budget, begun = self.budget, self.search_trials
        if budget.search_trials is not None and begun >= budget.search_trials:
            return True
        if self._had_its_time():
            return True
        # A confirmation that an earlier attempt began goes first, unless more trials are wanted.
        plan = self.later.plan
        return budget.trials is None and plan is not None and not self.later.is_over(self.rows())

    def _had_its_time(self) -> bool:
        """Whether the rest of the time is the confirmation's, and there is something to confirm."""
        return self.spending.search_had_its_share() and (
            not self.budget.confirm_runs
            or bool(make_plan(self.standings, self.search_trials, self.budget))
        )

    def must_stop(self) -> str | None:
        """Return why everything should stop now, None if it should not."""
        if reason := self.halted or self.spending.used_up():
            return reason
        if self.failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            return f"{self.failures_in_a_row} trials failed in a row: {self.ended[-1].reason}"
        return None

    def finished(self) -> bool:
        """Whether every trial of the budget has come to its end."""
        return not self.running and self.search_is_over() and self._later_is_over()

    def report(self, key: str, part: int, result: EpochResult) -> bool:
        """Record an epoch of a running trial's part; return True if the trial must stop.

        An epoch that is known already, because a trial went on from a checkpoint, changes nothing.
        """
        trial = self.running.get(key)
        if trial is None:
            return True
        known = trial.results[part]
        if result.epoch == len(known) + 1:
            self.folder.append_epoch(part_key(key, part), result)
            known.append(result)
            trial.losses = 0
            self.spending.add_epoch(result.seconds)
            self.rungs.judge(trial)
            self.events.publish(EpochReported(key, part, result))
        return trial.stop

    def finish(self, key: str) -> None:
        """End a trial that was stopped early or trained to its full length."""
        trial = self.running[key]
        complete = trial.reached(-1)
        stage = -1 if complete else trial.passed - 1
        scores = trial.scores(stage)
        score = scores[0] if trial.row.study == HOLDOUT else self.objective.score(scores)
        epoch, summaries = trial.stages[stage][0], trial.summaries()
        for part in range(len(trial.results)):
            self.folder.sync_epochs(part_key(key, part))
        state: EndWord = "complete" if complete else "stopped"
        self._end(key, state, score=score, epoch=epoch, summaries=summaries)
        self.failures_in_a_row = 0

    def fail(self, key: str, reason: str, details: str = "", diverged: bool = False) -> None:
        """End a trial that cannot go on, keeping why (one line) and the details in a file."""
        trial = self.running.get(key)
        if trial is None:
            return
        reason, details = in_utf_8(reason), in_utf_8(details)
        self.folder.write_error(key, f"{reason}\n\n{details}")
        if trial.row.in_search or not diverged:  # later, that an arm diverges is a result
            self.failures_in_a_row += 1
        self._end(key, "failed", reason=reason, diverged=diverged)

    def _end(self, key: str, state: EndWord, **facts: Any) -> None:
        """Record how a trial ended, and let go of it."""
        trial = self.running[key]
        seconds, before = trial.before
        hours = before + self.spending.hours_of(trial.seconds - seconds)
        self.record.tell(key, state, **facts, hardware=trial.hardware, device_hours=hours)
        row = self.record.row(key)
        self.ended.append(row)
        del self.running[key]
        if row.in_search:
            self.rungs.end(row)
            self.standings.end(row)
        self.folder.drop_checkpoints(key)
        self.events.publish(TrialEnded(row))
