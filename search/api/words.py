"""Words of a request: it is read from arguments, and written as a command and as a call."""

import argparse
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, get_args, get_type_hints

from search.config.fields import CONTROL
from search.config.program import PROGRAM
from search.config.redaction import redacted
from search.config.request import Request, option_of
from search.store.run_folder import check_name
from spaces.errors import FieldError, UserError
from spaces.validation import checked, shown
from trainer.benchmarks.registry import separate_names, whole_path
from trainer.own.class_counts import counts_text, whole_counts
from trainer.own.function import function_text, whole_trainable
from trainer.user_files import expanded

WHOLE = {"trainable": whole_trainable, "class_counts": whole_counts}
"""Argument -> how it is written, so that it can be read in any folder."""
NONE = "none"
"""As ``baselines``: no controls."""
LINE = 88
"""Characters of a call on one line."""


def request_of(given: Mapping[str, Any]) -> Request:
    """Return the request of values by argument; names may be one text with commas between.

    Raises:
        FieldError: a value has another type than its argument.
    """
    content = {name: os.fspath(v) if isinstance(v, os.PathLike) else v for name, v in given.items()}
    content["benchmark"] = names_in(content["benchmark"] or (), separate_names)
    if callable(content["trainable"]):
        content["trainable"] = function_text(content["trainable"])
    content["class_counts"] = counts_text(content["class_counts"])
    if content["trainable"]:
        content["holdout"] = counts_text(content["holdout"], "holdout")
    for name, parts in (("log", split), ("prior", separate_names)):
        content[name] = () if content[name] is None else names_in(content[name], parts)
    if content["baselines"] is not None:
        names = content["baselines"]
        content["baselines"] = () if names == NONE else names_in(names, split)
    return checked(Request, content, error=FieldError)


def split(text: str) -> list[str]:
    return text.split(",")


def names_in(value: object, parts: Callable[[str], list[str]]) -> object:
    """Return the names in a text or a sequence of them; other values as they are."""
    if isinstance(value, str):
        return parts(value)
    if isinstance(value, list | tuple):
        return [os.fspath(name) if isinstance(name, os.PathLike) else name for name in value]
    return value


def words_of(request: Request) -> tuple[str, ...]:
    """Return the arguments of the command that asks for the same in any folder.

    ``confirm`` reads them.

    Raises:
        UserError: one of them cannot be recorded.
    """
    words = ["--data-root", str(expanded(request.data_root).absolute())]
    if request.benchmark:
        words += ["--benchmark", ",".join(map(whole_path, request.benchmark))]
    whole = WHOLE | {"holdout": whole_counts if request.trainable else whole_path}
    for name, value in asked_for(request).items():
        if name in ("benchmark", "data_root", "resume"):
            continue
        words.append(option_of(name))
        if name in whole:
            words.append(whole[name](str(value)))
        elif isinstance(value, tuple):
            parts = map(whole_folder, value) if name == "prior" else value
            words.append(",".join(parts) or NONE)
        elif not isinstance(value, bool):
            words.append(str(value))
    if request.name is not None:
        check_name(request.name)  # whose rule says more
    for word in filter(CONTROL.search, words):
        raise UserError(
            f"{shown(word)} has control characters, which no record of a run holds; rename it."
        )
    return tuple(words)


def whole_folder(name: str) -> str:
    return str(expanded(name).absolute())


class RecordedWords(argparse.ArgumentParser):
    """Reads the words of a recorded command; what is wrong with them is no mistake of a call's."""

    def error(self, message: str) -> NoReturn:
        raise UserError(
            f"the recorded command of the run cannot be read ({message}); search again under "
            "another --name."
        )


def values_in(words: Sequence[str]) -> dict[str, Any]:
    """Return the values by argument that ``words_of`` wrote.

    Raises:
        UserError: they were not written by it.
    """
    parser = RecordedWords(allow_abbrev=False, add_help=False)
    hints = get_type_hints(Request)
    for field in fields(Request):
        add = partial(parser.add_argument, option_of(field.name), dest=field.name)
        hint = hints[field.name]
        if hint is bool:
            add(action="store_false" if field.default else "store_true")
        else:
            number = next((kind for kind in (int, float) if kind in (hint, *get_args(hint))), str)
            add(type=number, default=field.default)
    return vars(parser.parse_args(words))


def again_in_shell(words: list[str]) -> str:
    """Return the command that continues the run which ``words`` began."""
    kept = (word for word in words if word != "--resume")
    again = () if words[0] == "confirm" else ("--resume",)
    return shlex.join(map(redacted, [*PROGRAM.split(), *kept, *again]))


def again_in_python(request: Request) -> str:
    """Return the call that continues a run, on one line if it fits."""
    values = asked_for(request)
    searched = values.pop("benchmark", ())
    values.pop("resume", None)
    texts = [repr(searched if len(searched) > 1 else searched[0])] if searched else []
    texts += [f"{name}={redacted(value)!r}" for name, value in (values | {"resume": True}).items()]
    line = f"search.run({', '.join(texts)})"
    return line if len(line) <= LINE else "search.run(\n    " + ",\n    ".join(texts) + ",\n)"


def confirm_in_python(path: Path, given: Mapping[str, Any]) -> str:
    """Return the call that confirms a run, and goes on with it."""
    values = ", ".join(f"{name}={redacted(value)!r}" for name, value in given.items())
    return f"search.load({str(path)!r}).confirm({values})"


def asked_for(request: Request) -> dict[str, Any]:
    """Return the fields that differ from their defaults, by name."""
    return {
        field.name: getattr(request, field.name)
        for field in fields(request)
        if getattr(request, field.name) != field.default
    }
