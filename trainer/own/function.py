"""The function of an own training is found, and what it takes is checked."""

import hashlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from spaces.errors import FieldError, UserError, did_you_mean
from trainer.own.training import TRAINABLE
from trainer.user_files import expanded, working_folder

GIVEN = (
    *("weights", "recipe", "seed", "report", "epochs"),
    *("counts", "dataset", "checkpoints", "threads", "device"),
)
"""Names of the parameters that a function may have."""
FORM = "give MODULE:FUNCTION or FILE.py:FUNCTION, such as my_training:train"
SIGNATURE = "define it as train(weights, seed, report), or with recipe for more than class weights"
OURS = ("search", "trainer", "spaces", "benchmarks", "run_search")
"""Modules of this program, which a user's cannot be called as."""

Function = Callable[..., object]


def found_trainable(text: str) -> tuple[str, str]:
    """Return MODULE:FUNCTION, and the folder from which the module is imported.

    Args:
        text: MODULE:FUNCTION, of which the module is in this folder or installed, or
            FILE.py:FUNCTION.

    Raises:
        UserError: it has another form, or there is no such file.
    """
    place, colon, name = text.rpartition(":")
    module, folder = place, working_folder()
    if place.endswith(".py"):
        file = expanded(place).absolute()
        if not file.is_file():
            raise FieldError(f"trainable is {text!r}, but there is no file {file}; {FORM}.")
        folder, parts = file.parent, [file.stem]
        while (folder / "__init__.py").is_file():
            folder, parts = folder.parent, [folder.name, *parts]
        module = ".".join(parts)
    trainable = f"{module}:{name}"
    if not colon or not TRAINABLE.fullmatch(trainable):
        raise FieldError(
            f"trainable is {text!r}; {FORM}, in names of letters from a to z, digits and '_' "
            "alone, no digit first."
        )
    if module.split(".")[0] in OURS:
        raise FieldError(
            f"trainable is {text!r}, but {module.split('.')[0]!r} is a module of this program; "
            "give the file another name."
        )
    return trainable, str(folder)


def whole_trainable(text: str) -> str:
    """Return FILE.py:FUNCTION with a whole path for a module of this folder, else what is given."""
    trainable, place = found_trainable(text)
    module, _, name = trainable.partition(":")
    file = _file_of(module, place)
    return f"{file}:{name}" if file.is_file() else text


def function_text(function: Function) -> str:
    """Return FILE.py:FUNCTION of a function that workers can import.

    Raises:
        UserError: it is defined in a notebook or a script, or within another function.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    file = getattr(sys.modules.get(str(module)), "__file__", None)
    if module == "__main__" or not file or not name.isidentifier():
        raise FieldError(
            f"trainable is {name or function!r} of {module}, which workers cannot import; put it "
            "into a file of its own, and import it from there."
        )
    return f"{Path(file).absolute()}:{name}"


def load_function(trainable: str, place: str) -> Function:
    """Return the function that MODULE:FUNCTION names; ``place`` becomes a folder of modules.

    Raises:
        UserError: there is no such module or function, it cannot be imported, or the function
            does not take what it is given.
    """
    module_name, _, name = trainable.partition(":")
    module = _imported(module_name, place)
    function: Function | None = getattr(module, name, None)
    if function is None:
        known = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        where = getattr(module, "__file__", None) or "it"  # a folder of modules has no file
        raise UserError(
            f"module {module_name} has no function {name!r}{did_you_mean(name, known)}; "
            f"{where} has {', '.join(known) or 'none'}."
        )
    if not callable(function) or inspect.isclass(function):
        what = "class" if inspect.isclass(function) else type(function).__name__
        raise UserError(f"{trainable} is no function but a {what}; {FORM}.")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise UserError(
            f"{trainable} returns before it trains, as it is a generator or asynchronous; call "
            "report(...) in a plain function instead."
        )
    arguments_of(function, trainable)
    return function


def _imported(name: str, place: str) -> ModuleType:
    if place not in sys.path:
        sys.path.insert(0, place)  # as for a script: its own folder first
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            near = did_you_mean(name, [path.stem for path in Path(place).glob("*.py")])
            raise UserError(
                f"there is no module {name!r}{near} in {place}, nor is one installed; {FORM}."
            ) from error
        raise UserError(f"module {name} cannot be imported ({_fault(error)}); mend it.") from error
    file, wanted = getattr(module, "__file__", None), _file_of(name, place)
    if wanted.is_file() and (file is None or Path(file).resolve() != wanted.resolve()):
        raise UserError(
            f"module {name} is {file or 'a part of Python'} here, and not {wanted}; give that file "
            "a name of its own, or begin Python anew."
        )
    return module


def _fault(error: BaseException) -> str:
    """Return what an import ended with, and in which line."""
    where, reason = traceback.extract_tb(error.__traceback__)[-1], str(error).partition("\n")[0]
    line, file = where.lineno, where.filename
    if isinstance(error, SyntaxError) and error.filename:  # no line of that file has run
        line, file, reason = error.lineno, error.filename, error.msg
    return f"{type(error).__name__}: {reason}; line {line} of {file}"


def _file_of(module: str, place: str) -> Path:
    return Path(place, *module.split(".")).with_suffix(".py")


def arguments_of(function: Function, name: str) -> tuple[str, ...]:
    """Return which of ``GIVEN`` a function takes.

    Raises:
        UserError: it lacks one that it needs, or needs one that it is not given.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} does not tell its parameters; write a plain function.") from error
    if any(p.kind == p.VAR_KEYWORD for p in parameters):
        taken = set(GIVEN)
    else:
        named = (p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        taken = {p.name for p in named} & set(GIVEN)
    more = [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        and (p.name not in taken or p.kind == p.POSITIONAL_ONLY)
    ]
    if more:
        raise UserError(
            f"{name} needs {more[0]!r}{did_you_mean(more[0], GIVEN)}, which it is not given; give "
            f"it a default, or take some of {', '.join(GIVEN)}, by these names."
        )
    for needed in ("seed", "report"):
        if needed not in taken:
            raise UserError(f"{name} does not take {needed!r}; {SIGNATURE}.")
    if not taken & {"weights", "recipe"}:
        raise UserError(f"{name} takes neither 'weights' nor 'recipe'; {SIGNATURE}.")
    return tuple(key for key in GIVEN if key in taken)


def code_of(trainable: str) -> str:
    """Return 16 hexadecimal digits over the file of a module that was imported."""
    file = getattr(sys.modules[trainable.partition(":")[0]], "__file__", None)
    content = Path(file).read_bytes() if file else b""
    return hashlib.sha256(content).hexdigest()[:16]


def values_for(function: Function, name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return those of ``GIVEN``'s values that a function takes."""
    return {key: values[key] for key in arguments_of(function, name)}
