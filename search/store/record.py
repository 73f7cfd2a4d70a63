"""Record of all trials: Optuna studies in one append-only file, the record of truth.

``baselines`` holds the named weightings that run as controls; ``proposals`` holds the sampler's
trials. They are separate studies because a baseline need not be a point of the searched space,
and a sampler must not be shown trials that lack its parameters. ``confirmation`` holds the runs of
the best weightings and the controls with fresh seeds, and ``holdout`` those on a benchmark that
the search never saw.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import optuna

from search.samplers.history import BoundedStorage
from search.store.journal import RunJournal, anybody
from search.store.jsonl import cut_torn_line, read_lines
from search.store.plan import ConfirmationPlan
from search.store.trials import (
    BASELINES,
    CONFIRMATION,
    PROPOSALS,
    STUDIES,
    FreshRun,
    Outcome,
    Row,
    TrialState,
    to_row,
    trial_key,
    trial_seed,
)
from spaces import NAMED, Weighting, present_name
from spaces.errors import UserError

NOT_A_RECORD = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RecursionError,
)
"""What Optuna raises on lines that it did not write, and on a study that is not there."""


class Record:
    """The studies of one run. Only one process may write to them at a time."""

    def __init__(self, journal: Path, may_write: Callable[[], None] = anybody) -> None:
        """Open the studies in ``journal``; the file must exist.

        ``may_write`` raises an error once another process writes to it.

        Raises:
            UserError: the file cannot be read, or holds other things than a search's studies.
        """
        self._ids: dict[str, int] = {}
        try:
            self.journal = RunJournal(journal, may_write)
            self.storage = BoundedStorage(self.journal)
            self.studies = {
                name: optuna.load_study(study_name=name, storage=self.storage) for name in STUDIES
            }
        except (OSError, *NOT_A_RECORD) as error:
            raise UserError(
                f"{journal} cannot be read as the record of a search ({error!r}); "
                "restore it, or search under another --name."
            ) from error

    @classmethod
    def create(
        cls,
        journal: Path,
        baselines: Iterable[str],
        seed: int,
        may_write: Callable[[], None] = anybody,
    ) -> "Record":
        """Make the studies, with the baselines waiting in line; ``seed`` is the run's."""
        storage = BoundedStorage(RunJournal(journal, may_write))
        for name in STUDIES:
            optuna.create_study(study_name=name, storage=storage, direction="maximize")
        record = cls(journal, may_write)
        for number, name in enumerate(baselines):
            facts = {
                "name": name,
                "weighting": json.dumps(NAMED[name].weighting.to_dict()),
                "seed": trial_seed(seed, BASELINES, number),
            }
            record.studies[BASELINES].enqueue_trial({}, facts)
        return record

    @classmethod
    def reopen(cls, journal: Path, may_write: Callable[[], None] = anybody) -> "Record":
        """Open for writing after a stop of any kind.

        A torn last line is cut off: the caller holds the run, so nobody else writes.

        Raises:
            UserError: the file is missing, damaged, or not the record of a search.
        """
        if not journal.is_file():
            raise UserError(f"{journal} is missing; restore it, or search under another --name.")
        cut_torn_line(journal)
        read_lines(journal)  # Optuna overlooks a bad last line, until the next one is behind it
        return cls(journal, may_write)

    def together(self) -> AbstractContextManager[None]:
        """Write what the block records with one wait for the disk (``RunJournal.together``)."""
        return self.journal.together()

    def rows(self) -> list[Row]:
        """Return all asked trials: study by study, in the order they were asked."""
        return list(self._rows())

    def _rows(self) -> Iterator[Row]:
        for name, study in self.studies.items():
            for trial in self.storage.every_trial(study):
                row = to_row(name, trial)
                if row is not None:
                    yield row

    def controls(self) -> list[str]:
        """Return the names of all controls, begun or not."""
        trials = self.studies[BASELINES].get_trials(deepcopy=False)
        names = [trial.user_attrs["name"] for trial in trials]
        return list(map(present_name, names))

    def next_baseline(self) -> Row | None:
        """Take the next waiting baseline and make it RUNNING; None if all were taken."""
        study = self.studies[BASELINES]
        waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return self.row(trial_key(BASELINES, study.ask().number)) if waiting else None

    def start(self, number: int, weighting: Weighting, seed: int) -> Row:
        """Note what the RUNNING proposal ``number`` trains; from here on it counts as a trial."""
        trial_id = self._trial_id(trial_key(PROPOSALS, number))
        point = json.dumps(weighting.to_dict())
        self.storage.set_trial_user_attrs(trial_id, {"weighting": point, "seed": seed})
        return self.row(trial_key(PROPOSALS, number))

    def start_run(self, study: str, run: FreshRun) -> Row:
        """Begin a run of a later phase."""
        facts = {
            "name": run.label,
            "weighting": json.dumps(run.weighting.to_dict()),
            "seed": run.seed,
            "seed_index": run.seed_index,
        }
        # In one write, so that a run is there with all its facts or not at all.
        trial = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=facts)
        trial_id = self.storage.create_new_trial(self.studies[study]._study_id, trial)
        return self.row(trial_key(study, self.storage.get_trial(trial_id).number))

    def plan(self) -> ConfirmationPlan | None:
        """Return the plan of the confirmation, None before there is one.

        Raises:
            UserError: it breaks a rule.
        """
        text = self.studies[CONFIRMATION].user_attrs.get("plan")
        return None if text is None else ConfirmationPlan.from_json(text)

    def set_plan(self, plan: ConfirmationPlan) -> None:
        self.studies[CONFIRMATION].set_user_attr("plan", plan.to_json())

    def show_values(self, values: dict[str, float]) -> None:
        """Have samplers see these values of proposals, by key, in place of the recorded ones."""
        proposals = {k: v for k, v in values.items() if k.startswith(PROPOSALS)}
        self.storage.shown_values = {self._trial_id(k): v for k, v in proposals.items()}

    def row(self, key: str) -> Row:
        """Return the row of a started trial."""
        row = to_row(key.rsplit("-", 1)[0], self.storage.get_trial(self._trial_id(key)))
        assert row is not None
        return row

    def fail_unstarted(self) -> None:
        """End proposals that were being made when an earlier attempt was killed."""
        running = self.studies[PROPOSALS].get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in running:
            if to_row(PROPOSALS, trial) is None:
                self.tell(trial_key(PROPOSALS, trial.number), Outcome.failed("never started"))

    def report(self, key: str, epoch: int, value: float) -> None:
        """Store a trial's score so far at ``epoch``; repeating it changes nothing."""
        trial_id = self._trial_id(key)
        if epoch not in self.storage.get_trial(trial_id).intermediate_values:
            self.storage.set_trial_intermediate_value(trial_id, epoch, value)

    def decide_stop(self, key: str, epoch: int) -> None:
        """Note that early stopping ends the trial at ``epoch``.

        To be noted before the epoch's value: a rung judges a trial once, so that whoever
        continues the run cannot find out again.
        """
        self.storage.set_trial_user_attr(self._trial_id(key), "stop_epoch", epoch)

    def tell(self, key: str, outcome: Outcome) -> None:
        """End a RUNNING trial: the one place where an outcome becomes an Optuna state."""
        name, number = key.rsplit("-", 1)
        trial_id = self._trial_id(key)
        facts = {
            fact: content if isinstance(content, str | bool | float | None) else json.dumps(content)
            for fact, content in outcome.facts.items()
        }
        self.storage.set_trial_user_attrs(trial_id, facts)
        value = outcome.value if outcome.state == TrialState.COMPLETE else None
        self.studies[name].tell(int(number), values=value, state=outcome.state)

    def _trial_id(self, key: str) -> int:
        if key not in self._ids:
            name, number = key.rsplit("-", 1)
            study_id = self.storage.get_study_id_from_name(name)
            self._ids[key] = self.storage.get_trial_id_from_study_id_trial_number(
                study_id, int(number)
            )
        return self._ids[key]
