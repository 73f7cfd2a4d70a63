"""The rungs of a search: each trial is judged once at each, and its score is put on record."""

from search.config.objective import Objective
from search.session.running import Running
from search.stopping.rules import EarlyStopping
from search.store.record import Record
from search.store.trials import Row, TrialState


class Rungs:
    """The rungs show trials to the rule of early stopping, and record what it decides."""

    def __init__(self, rule: EarlyStopping, objective: Objective, record: Record) -> None:
        self.rule, self.objective, self.record = rule, objective, record

    def replay(self, row: Row) -> None:
        """Let the rule see what is on record of a trial of the search."""
        for epoch, value in row.rungs.items():
            self.rule.observe(row.key, epoch, value)
        self.end(row)

    def end(self, row: Row) -> None:
        """Let the rule see the result of a trial of the search, if it has its full length."""
        if row.state == TrialState.COMPLETE and row.value is not None:
            self.rule.complete(row.key, row.value)

    def judge(self, trial: Running) -> None:
        """Let the rule see the rungs that a trial has reached; ``trial.stop`` is what it says."""
        while trial.passed < len(trial.stages) - 1 and trial.reached(trial.passed):
            epoch = self.rule.rungs[trial.passed]
            self._judge_at(trial, epoch, self.objective.score(trial.scores(trial.passed)))
            trial.passed += 1

    def _judge_at(self, trial: Running, epoch: int, score: float) -> None:
        """Let a rung see a trial; baselines and immune trials are seen by it but never stopped."""
        row = trial.row
        worse = self.rule.observe(row.key, epoch, score)
        stops = bool(worse) and not row.is_baseline and not self.rule.is_immune(row.number)
        self.record.report(row.key, epoch, score, stops)
        if stops or row.stop_epoch == epoch:  # decided now, or before this attempt
            trial.stop = True
