"""State of CMA-ES, rebuilt by telling it again what it was told.

Optuna keeps the state of its optimizer with the trial before which it was told a generation, as a
pickle. A pickle can have any function called that it names, and a run folder may come from
anywhere, so that none is read from it. The record keeps what was told instead, and Optuna's own
sampler makes the same state of it again: telling leaves nothing to chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import optuna
from annotated_types import Ge, Le, MaxLen
from optuna.distributions import BaseDistribution
from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial, create_trial

STATE = "cma:optimizer:"
"""How the names of a trial's attributes begin that hold a state."""
GENERATION = "cma:generation"
TrialNumber: TypeAlias = Annotated[int, Ge(0), Le(10**9)]
Value: TypeAlias = Annotated[float, Ge(-1e100), Le(1e100)]


@dataclass(frozen=True)
class Told:
    """What CMA-ES was told before a draw.

    Attributes:
        base: number of the trial with the state that was told; None for the first state.
        results: number of a trial, and the value that was told of it.
    """

    base: TrialNumber | None
    results: Annotated[tuple[tuple[TrialNumber, Value], ...], MaxLen(10_000)]


def told_of(shown: Sequence[FrozenTrial]) -> Told:
    """Return what CMA-ES was told that was shown these full-length trials."""
    based = [trial for trial in shown if has_state(trial.system_attrs)]
    generation = based[-1].system_attrs[GENERATION] if based else 0
    results = tuple(
        (trial.number, trial.value or 0.0)
        for trial in shown
        if trial.system_attrs.get(GENERATION) == generation
    )
    return Told(based[-1].number if based else None, results)


def has_state(attrs: Mapping[str, Any]) -> bool:
    return any(name.startswith(STATE) for name in attrs)


def states_in(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in attrs.items() if name.startswith(STATE)}


def retold(
    base: FrozenTrial | None,
    told: Sequence[tuple[FrozenTrial, float]],
    distributions: dict[str, BaseDistribution],
) -> dict[str, Any]:
    """Return the attributes with the state that CMA-ES had after it was told results.

    Raises:
        ValueError: these were too few, or ``base`` has no state.
    """
    state = states_in(base.system_attrs) if base else {}
    if base and not state:
        raise ValueError(f"trial {base.number} has no state of CMA-ES")
    sampler = CmaEsSampler(seed=0, n_startup_trials=1, warn_independent_sampling=False)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    generation = base.system_attrs[GENERATION] if base else 0
    marks = [(told[0][0].params, 0.0, state)] if base and told else []
    marks += [(trial.params, value, {GENERATION: generation}) for trial, value in told]
    for params, value, attrs in marks:
        study.add_trial(
            create_trial(
                params=params, distributions=distributions, value=value, system_attrs=attrs
            )
        )
    try:
        _ = study.ask().relative_params
    except AssertionError as error:  # of one parameter, or of none
        raise ValueError(f"CMA-ES cannot be told so ({error})") from error
    made = states_in(study.get_trials(deepcopy=False)[-1].system_attrs)
    if not made:
        raise ValueError("CMA-ES was told too little")
    return made
