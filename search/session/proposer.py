"""The proposer draws the strategy that is tried next, with Optuna's sampler over a space."""

from typing import TypeAlias

from search.config.settings import Settings
from search.samplers.history import History
from search.samplers.registry import OPTUNA_SAMPLERS, distributions, draw, make_sampler
from search.session.standings import Standings
from search.store.earlier.journal import NOT_A_RECORD
from search.store.facts import Drawn
from search.store.record import Record, Refusals
from search.store.trials import PROPOSALS, RecordedTrial, Row, TrialState
from spaces import SPACES, Strategy, WeightingError, check_recipe
from spaces.errors import UserError
from trainer.trial import SCALE_FREE_LOSS

MAX_REFUSALS = 1000
Draw: TypeAlias = tuple[Strategy, Drawn, Refusals]


class Proposer:
    """Draws strategies with a sampler that learns from the record's proposals.

    The sampler's study is in memory, made of the record; what ends later is told to it before the
    next draw.
    """

    def __init__(
        self, record: Record, settings: Settings, attempt: int, standings: Standings
    ) -> None:
        """``attempt`` numbers this start, from 1.

        Raises:
            UserError: a draw on record is none of the space.
        """
        self.record, self.standings = record, standings
        self.counts = [benchmark.counts for benchmark in standings.objective.benchmarks]
        self.space = SPACES[settings.space]
        self.domains = self.space.searched(SCALE_FREE_LOSS)
        self.sampler = OPTUNA_SAMPLERS[settings.sampler]
        self.of_optuna = make_sampler(settings.sampler, settings.seed, attempt)
        self.drawn: Draw | None = None
        """What the record could not take yet."""
        self._take_up()

    def _take_up(self) -> None:
        """Make the study of what is on record."""
        self.history = History()
        self.study = self.history.study(self.of_optuna)
        for trial in self.record.trials[PROPOSALS]:
            self._add(trial)
        ended = self.record.ended
        self.history.show(trial.number for trial in ended if trial.study == PROPOSALS)
        self.told = len(ended)
        self.drawing = False
        """A draw has begun, and is not on record."""

    def _add(self, trial: RecordedTrial) -> None:
        """Add a trial on record to the study."""
        drawn = trial.drawn
        try:
            if drawn is None:
                raise ValueError("it says nothing of the draw")
            self.history.add(
                trial.state,
                value=trial.value,
                params=drawn.params,
                distributions=distributions(self.domains, drawn.params),
                attrs=drawn.attrs,
                rungs=trial.rungs,
                study_attrs=drawn.study,
                told=drawn.told,
            )
        except (KeyError, ValueError) as error:
            raise UserError(
                f"{self.record.path} cannot be used: {trial.key} was not drawn from space "
                f"{self.space.name!r} ({error}); restore the file."
            ) from error

    def catch_up(self) -> None:
        """Tell the study of the trials that have ended since it was last told."""
        for trial in self.record.ended[self.told :]:
            if trial.study == PROPOSALS and trial.number in self.history.open:
                self.history.end(trial.number, trial.state, trial.value, trial.rungs)
        self.told = len(self.record.ended)

    def next_named(self) -> Row | None:
        """Start the next strategy that waits in line; None after the last."""
        return self.record.next_named()

    def ask(self) -> Row:
        """Return a new RUNNING trial whose strategy passes the guards.

        A refused draw is recorded with its reason and is no trial of the budget. What could not
        be recorded, because the disk was full, is proposed again.

        Raises:
            UserError: the guards refused a thousand draws in a row, or the sampler cannot draw.
        """
        if self.drawn is None:
            if self.drawing:  # it was interrupted: the study has trials that the record has not
                self._take_up()
            self.drawing = True
            self.drawn = self._draw()
        row = self.record.start(*self.drawn)
        self.drawn, self.drawing = None, False
        return row

    def _draw(self) -> Draw:
        """Return a strategy that passes the guards, its draw, and the refused ones before it."""
        self.catch_up()
        if not self.sampler.models_noise:
            means = self.standings.shown_values().items()
            self.history.shown_values = {
                int(key[len(PROPOSALS) + 1 :]): mean
                for key, mean in means
                if key.startswith(PROPOSALS)
            }
        refused: list[tuple[Drawn, str]] = []
        for _ in range(MAX_REFUSALS):
            number, drawn = self._sampled()
            strategy = self.space.strategy(drawn.params)
            try:
                for counts in self.counts:
                    check_recipe(strategy.recipe(counts))
            except WeightingError as error:
                self.history.end(number, TrialState.FAIL)
                refused.append((drawn, str(error)))
                continue
            return strategy, drawn, refused
        self.record.refuse(refused)
        raise UserError(
            f"{MAX_REFUSALS} strategies in a row were refused by the guards; the class counts "
            f"{list(self.counts)} are too unequal for space {self.space.name!r}."
        )

    def _sampled(self) -> tuple[int, Drawn]:
        """Return the number of a new trial of the study, and what its sampler drew."""
        try:
            trial = self.study.ask()
            params = draw(trial, self.space, self.domains, self.sampler.conditional)
            return trial.number, Drawn(params, **self.history.kept(trial.number))
        except NOT_A_RECORD as error:
            raise UserError(
                f"the sampler cannot go on from what {self.record.path} says of earlier draws "
                f"({error!r}); restore the file, or search under another --name."
            ) from error
