"""The proposer of a sequential design: it asks for new weightings and for repetitions.

It keeps nothing that is not on record.
"""

from typing import TYPE_CHECKING

from search.store.facts import Drawn
from search.store.record import Record
from search.store.trials import Row

if TYPE_CHECKING:
    from search.session.design.run_model import RunModel


class DesignProposer:
    """Asks the model of a run for the next trial, its seed included."""

    def __init__(self, record: Record, model: "RunModel") -> None:
        """``model`` is told of all trials by whoever keeps the standings."""
        self.record, self.model = record, model

    def next_named(self) -> Row | None:
        """Start the next strategy that waits in line, with a shared seed; None after the last."""
        return self.record.next_named(self.model.shared_seed())

    def ask(self) -> Row:
        """Return a new RUNNING trial.

        Raises:
            UserError: every weighting of the space has diverged.
        """
        proposed = self.model.next()
        return self.record.start(proposed.strategy, Drawn(proposed.params), seed=proposed.seed)
