"""The plan of a confirmation, as the record keeps it: which strategies are run with fresh seeds."""

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from annotated_types import Ge, Gt, Le, MaxLen, MinLen

from search.config.fields import Label
from search.config.objective import Objective
from search.stats.best_arm import Confirmation
from search.stats.ties import number_of_values
from search.store.validation import read_strategy
from spaces import CLASS_WEIGHTS, Strategy, present_name

Arms: TypeAlias = Annotated[dict[Label, Annotated[dict[str, Any], MaxLen(100)]], MaxLen(1000)]
"""Label -> fields of a strategy, of which ``spaces`` knows what may stand in them."""
Number: TypeAlias = Annotated[int, Ge(0), Le(10**9)]


@dataclass(frozen=True)
class StoredPlan:
    """A plan as a line of the record has it."""

    search_trials: Number
    runs: Number
    candidates: Arms
    controls: Annotated[Arms, MinLen(1)]
    interval: Annotated[float, Gt(0), Le(1e6)] | None = None


@dataclass(frozen=True)
class ConfirmationPlan:
    """Which strategies are confirmed.

    Attributes:
        search_trials: how many trials of the search it rests on.
        runs: the most that it may have.
        candidates: label -> strategy, the best of the search first.
        controls: uniform, and the best baseline if there is another.
        interval: to how much the lead over uniform is to be known (`Confirmation`).
    """

    search_trials: int
    runs: int
    candidates: dict[str, Strategy]
    controls: dict[str, Strategy]
    interval: float | None = None

    @property
    def arms(self) -> dict[str, Strategy]:
        return self.candidates | self.controls

    @property
    def other_training(self) -> tuple[str, ...]:
        """The arms that differ from uniform in more than class weights."""
        return tuple(k for k, arm in self.arms.items() if arm.kind != CLASS_WEIGHTS)

    @property
    def order(self) -> list[str]:
        """The arms in the order in which equal ones are preferred: the controls, the simplest."""
        parameters = {k: number_of_values(arm.to_dict()) for k, arm in self.candidates.items()}
        return [*self.controls, *sorted(parameters, key=lambda label: parameters[label])]

    @property
    def baseline(self) -> str:
        """The best baseline; uniform, if there is no other."""
        return list(self.controls)[-1]

    def confirmation(self, objective: Objective) -> Confirmation:
        return Confirmation(
            tuple(self.candidates),
            tuple(self.controls),
            self.runs,
            prior=objective.noise_prior,
            unit=objective.unit,
            interval=self.interval,
        )

    def to_dict(self) -> dict[str, Any]:
        groups = {"candidates": self.candidates, "controls": self.controls}
        named = {g: {k: w.to_dict() for k, w in arms.items()} for g, arms in groups.items()}
        interval = {} if self.interval is None else {"interval": self.interval}
        return {"search_trials": self.search_trials, "runs": self.runs, **named, **interval}

    @classmethod
    def of(cls, stored: StoredPlan, where: str) -> "ConfirmationPlan":
        """Return the plan whose ``to_dict`` is on record, strategies under their present names.

        ``where`` names its line.

        Raises:
            UserError: an arm is no strategy.
        """
        candidates, controls = (
            {present_name(label): read_strategy(point, where) for label, point in arms.items()}
            for arms in (stored.candidates, stored.controls)
        )
        return cls(stored.search_trials, stored.runs, candidates, controls, stored.interval)
