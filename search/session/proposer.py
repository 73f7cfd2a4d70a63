"""The proposer draws the weighting that is tried next, with Optuna's sampler over a space."""

from search.config.settings import Settings
from search.samplers.registry import SAMPLERS, draw, make_sampler
from search.session.standings import Standings
from search.store.record import Record
from search.store.trials import PROPOSALS, Outcome, Row, trial_key, trial_seed
from spaces import SPACES, WeightingError, check_weights
from spaces.errors import UserError
from trainer.trial import SCALE_FREE_LOSS

MAX_REFUSALS = 1000


class Proposer:
    """Draws weightings with a sampler that learns from the record's proposals."""

    def __init__(
        self, record: Record, settings: Settings, attempt: int, standings: Standings
    ) -> None:
        """``attempt`` numbers this start, from 1."""
        self.record, self.standings, self.seed = record, standings, settings.seed
        self.counts = [benchmark.counts for benchmark in standings.objective.benchmarks]
        self.space = SPACES[settings.space]
        self.domains = self.space.searched(SCALE_FREE_LOSS)
        self.sampler = SAMPLERS[settings.sampler]
        self.study = record.studies[PROPOSALS]
        self.study.sampler = make_sampler(settings.sampler, settings.seed, attempt)

    def ask(self) -> Row:
        """Return a new RUNNING trial whose weights pass the guards.

        A refused draw is recorded as FAIL with its reason and is no trial of the budget.

        Raises:
            UserError: the guards refused a thousand draws in a row.
        """
        if not self.sampler.models_noise:
            self.record.show_values(self.standings.shown_values())
        for _ in range(MAX_REFUSALS):
            trial = self.study.ask()
            params = draw(trial, self.space, self.domains, self.sampler.conditional)
            point = self.space.weighting(params)
            try:
                for counts in self.counts:
                    check_weights(counts, point.weights(counts))
            except WeightingError as error:
                self.record.tell(trial_key(PROPOSALS, trial.number), Outcome.failed(str(error)))
                continue
            seed = trial_seed(self.seed, PROPOSALS, trial.number)
            return self.record.start(trial.number, point, seed)
        raise UserError(
            f"{MAX_REFUSALS} weightings in a row were refused by the guards; the class counts "
            f"{list(self.counts)} are too unequal for space {self.space.name!r}."
        )
