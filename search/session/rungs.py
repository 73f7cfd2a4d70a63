"""The rungs of a search: each trial is judged once at each, and its score is put on record."""

from collections import defaultdict
from collections.abc import Callable

from search.config.objective import Objective
from search.session.running import Running
from search.stopping.rules import EarlyStopping, is_judged
from search.store.record import Record
from search.store.trials import Row, TrialState


class Rungs:
    """The rungs show trials to the rule of early stopping, and record what it decides.

    Each kind of strategies has a rule of its own, for curves of unlike training have unlike shapes.
    A rung does not judge a trial whose strategy still changes, or has only just stopped to.

    Attributes:
        epochs: where they lie, by the first benchmark's training.
        rules: by kind.
    """

    def __init__(
        self, make_rule: Callable[[], EarlyStopping], objective: Objective, record: Record
    ) -> None:
        self.objective, self.record = objective, record
        self.rules: defaultdict[str, EarlyStopping] = defaultdict(make_rule)
        self.epochs = make_rule().rungs

    def replay(self, row: Row) -> None:
        """Let the rule see what is on record of a trial of the search."""
        for epoch, value in judged_rungs(row, self.objective.epochs).items():
            self.rules[row.strategy.kind].observe(row.key, epoch, value)
        self.end(row)

    def end(self, row: Row) -> None:
        """Let the rule see the result of a trial of the search, if it has its full length."""
        if row.state == TrialState.COMPLETE and row.value is not None:
            self.rules[row.strategy.kind].complete(row.key, row.value)

    def judge(self, trial: Running) -> None:
        """Let the rule see the rungs that a trial has reached; ``trial.stop`` is what it says."""
        while trial.passed < len(trial.stages) - 1 and trial.reached(trial.passed):
            score = self.objective.score(trial.scores(trial.passed))
            self._judge_at(trial, self.epochs[trial.passed], score)
            trial.passed += 1

    def _judge_at(self, trial: Running, epoch: int, score: float) -> None:
        """Let a rung see a trial; named strategies and immune trials are never stopped."""
        row, rule = trial.row, self.rules[trial.row.strategy.kind]
        judged = is_judged(row.strategy, epoch, self.objective.epochs)
        worse = judged and rule.observe(row.key, epoch, score)
        stops = worse and row.is_proposal and not rule.is_immune(row.number)
        self.record.report(row.key, epoch, score, stops)
        if stops or row.stop_epoch == epoch:  # decided now, or before this attempt
            trial.stop = True


def judged_rungs(row: Row, epochs: int) -> dict[int, float]:
    """Return a trial's scores at the rungs that judge it, in a training of so many epochs."""
    return {e: value for e, value in row.rungs.items() if is_judged(row.strategy, e, epochs)}
