"""Prior of a run: how much of what earlier runs expect its own results keep."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from search.samplers.shares_model import KEPT, KEPT_SD
from search.store.facts import PriorRun

if TYPE_CHECKING:
    from search.session.design.run_model import RunModel


@dataclass(frozen=True)
class KeptPrior:
    """What is left of an earlier run in this one.

    Attributes:
        run: its name; ``results``: its full-length results.
        kept: by how much its differences between weightings are to be multiplied here, each in
            noise SDs; ``low`` and ``high``: 95 % interval.
        assumed: that before any result; ``assumed_sd``: standard deviation.
    """

    run: str
    results: int
    kept: float
    low: float
    high: float
    assumed: float
    assumed_sd: float

    def sentence(self) -> str:
        """Say it in words."""
        return (
            f"Prior: {self.run} ({self.results} results). Its differences between weightings count "
            f"{self.kept:.2f} here (95 % interval {self.low:z.2f} to {self.high:.2f}); assumed was "
            f"{self.assumed:.2f} +- {self.assumed_sd:.2f} (SD)."
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def kept_priors(prior: Sequence[PriorRun], model: "RunModel | None") -> tuple[KeptPrior, ...]:
    """Return what is left of each earlier run by the results of the search so far."""
    if model is None or not prior:
        return ()
    each = len(prior)
    return tuple(
        KeptPrior(run.run, run.results, *kept, KEPT / each, KEPT_SD / each**0.5)
        for run, kept in zip(prior, model.kept(), strict=True)
    )
