"""CMA-ES sampler that goes on from what a study holds, and runs nothing that somebody put there.

Optuna keeps the state of its optimizer in the study, as a pickle. A pickle can have any function
called that it names, and a run folder may come from anywhere. Here it is read as data alone: the
five names that such a state needs lead to stand-ins, which collect numbers, and all others are
refused. The optimizer is then made of these numbers, if they are of the kinds and shapes that
CMA-ES has.
"""

import io
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
from cmaes import CMA  # type: ignore[import-untyped]
from numpy.typing import NDArray
from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial

from spaces.errors import UserError

MOST_DIMENSIONS = 100
"""Of a searched space; more than that would be somebody's attempt to fill the memory."""
SHORTEST_FLOAT64 = ("f8", False, True)
"""How a pickle names the one kind of number that the arrays hold."""
OPTIONAL = {"_D": 1, "_B": 2}
"""Attributes that are None until they are computed, and the dimensions of their arrays."""
SCRATCH = "_funhist_values"
"""A memory of past values that Optuna never looks at; cmaes leaves it uninitialised."""


class Standin:
    """Takes the place of whatever a pickle makes, and keeps what it is made of."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Kind(Standin):
    """Of ``numpy.dtype``."""


class Array(Standin):
    """Of ``numpy.ndarray``."""


class Number(Standin):
    """Of a numpy scalar."""


class Optimizer(Standin):
    """Of ``cmaes.CMA``."""


STANDINS: dict[tuple[str, str], Any] = {
    ("cmaes._cma", "CMA"): Optimizer,
    ("numpy._core.multiarray", "_reconstruct"): Array,
    ("numpy._core.multiarray", "scalar"): Number,
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): Kind,
}


class DataUnpickler(pickle.Unpickler):
    """Reads a pickle without calling anything but the stand-ins."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return STANDINS[module, name]
        except KeyError:
            raise ValueError(f"it names {module}.{name}") from None


def numbers_of(kind: Any, data: Any) -> NDArray[np.float64]:
    if not isinstance(kind, Kind) or kind.arguments != SHORTEST_FLOAT64 or kind.state[1] != "<":
        raise ValueError("it has other numbers than of 64 bits")
    return np.frombuffer(data, "<f8").copy()


def plain(value: Any) -> Any:
    """Return what a stand-in stands for: a number or an array; anything else as it is."""
    if isinstance(value, Number):
        return np.float64(numbers_of(*value.arguments)[0])
    if isinstance(value, Array):
        _, shape, kind, columns_first, data = value.state
        return numbers_of(kind, data).reshape(shape, order="F" if columns_first else "C")
    return value


def check_like(name: str, value: Any, model: Any, dimensions: int) -> None:
    """Raise ValueError unless a value is of the kind and shape of a fresh optimizer's."""
    if name in OPTIONAL and value is not None:
        model = np.zeros((dimensions,) * OPTIONAL[name])
    fits = isinstance(value, type(model)) and np.shape(value) == np.shape(model)
    if isinstance(model, bool) or (isinstance(model, int) and name != "_g"):
        fits = fits and value == model  # loops are as long as some of these numbers
    if isinstance(model, float | np.ndarray) and name != SCRATCH:
        fits = fits and bool(np.isfinite(value).all())
    if not fits:
        raise ValueError(f"its {name} is not what CMA-ES has")


def optimizer_from(state: bytes) -> CMA:
    """Return the optimizer whose pickle this is.

    Raises:
        ValueError: it is not the state of an optimizer.
    """
    try:
        optimizer = CMA.__new__(CMA)
        optimizer.__setstate__(values_from(state))
    except ValueError:
        raise
    except Exception as error:  # what is damaged can meet any of them
        raise ValueError(f"it is damaged: {error!r}") from error
    return optimizer


def values_from(state: bytes) -> dict[str, Any]:
    """Return the attributes of the optimizer, checked against those of a fresh one."""
    made = DataUnpickler(io.BytesIO(state)).load()
    if not isinstance(made, Optimizer) or not isinstance(made.state, dict):
        raise ValueError("it is no optimizer")
    values = {name: plain(value) for name, value in made.state.items()}
    dimensions = values.get("_n_dim")
    if type(dimensions) is not int or not 2 <= dimensions <= MOST_DIMENSIONS:
        raise ValueError(f"it has {dimensions!r} dimensions")
    model = fresh(dimensions).__getstate__()
    if values.keys() != model.keys():
        raise ValueError(f"its attributes are {', '.join(map(str, values))}")
    for name, value in values.items():
        check_like(name, value, model[name], dimensions)
    return values


def fresh(dimensions: int) -> CMA:
    """Return an optimizer as Optuna makes it, in the unit cube."""
    bounds = np.tile([0.0, 1.0], (dimensions, 1))
    return CMA(bounds.mean(axis=1), 1 / 6, bounds, n_max_resampling=10 * dimensions)


class DataCmaEsSampler(CmaEsSampler):
    """Optuna's sampler, which neither runs what the study holds nor leaks what memory held."""

    def _init_optimizer(self, *arguments: Any, **options: Any) -> Any:
        optimizer = super()._init_optimizer(*arguments, **options)
        # Whatever the process had there before, a token perhaps, would go into the study.
        setattr(optimizer, SCRATCH, np.zeros_like(getattr(optimizer, SCRATCH)))
        return optimizer

    def _restore_optimizer(self, completed_trials: Sequence[FrozenTrial]) -> Any:
        key = self._attr_key_optimizer
        for trial in reversed(completed_trials):
            kept = {k: v for k, v in trial.system_attrs.items() if k.startswith(key)}
            if not kept:
                continue
            try:
                return optimizer_from(bytes.fromhex(self._concat_optimizer_attrs(kept)))
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(
                    f"trial {trial.number} of the run's study holds a state of CMA-ES that this "
                    f"program did not write ({error}); search under another --name."
                ) from error
        return None
