"""The choice of what proposes a run's trials: a sampler of Optuna's, or a sequential design."""

from typing import TYPE_CHECKING

from search.config.objective import Objective
from search.config.settings import Settings
from search.samplers.registry import KNOWLEDGE_GRADIENT
from search.session.design.proposer import DesignProposer
from search.session.proposer import Proposer
from search.session.standings import Standings
from search.store.record import Record

if TYPE_CHECKING:
    from search.session.design.run_model import RunModel


def model_of(settings: Settings, record: Record, objective: Objective) -> "RunModel | None":
    """Return the model of a run, without trials; None where a sampler of Optuna's proposes."""
    if settings.sampler != KNOWLEDGE_GRADIENT:
        return None
    from search.session.design.run_model import run_model  # slow to import

    assert record.begun is not None
    return run_model(settings, record.begun, objective)


def make_proposer(
    record: Record, settings: Settings, attempt: int, standings: Standings
) -> Proposer | DesignProposer:
    """Return what proposes the trials of a run; ``attempt`` numbers this start, from 1.

    Raises:
        UserError: a draw on record is none of the space.
    """
    if standings.model is not None:
        return DesignProposer(record, standings.model)
    return Proposer(record, settings, attempt, standings)
