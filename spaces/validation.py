"""Content that somebody wrote is read into dataclasses whose fields declare types and ranges.

A field is declared once, as `epochs: Annotated[int, Ge(1)] = 200`, with the constraints of
`annotated_types`, `Rule` or `OneOf`. `checked` reads content by the declaration, with pydantic.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NewType, TypeAlias, TypeVar, get_args, get_type_hints

import numpy as np

from spaces.errors import UserError, did_you_mean

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indices that lead to a value within content."""
T = TypeVar("T")

LONGEST_VALUE = 60
"""Characters that a sentence shows of a value."""
_WORDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table of keys and values",
    "dataclass_type": "a table of keys and values",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text of the pattern {pattern}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "json_invalid": "JSON without a fault ({error})",
}
"""Pydantic's kinds of errors -> the rule that was broken, to follow "it must be"."""


@dataclass(frozen=True, eq=False)
class Rule:
    """A constraint of a field for which the field's type is not enough.

    Attributes:
        words: the whole rule, type included, to follow "it must be".
        holds: whether a value of the field's type keeps it.
    """

    words: str
    holds: Callable[[Any], object]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return _wrapped(handler(source), self.holds, lambda: {"words": self.words})


@dataclass(frozen=True, eq=False)
class OneOf:
    """A constraint of a field of text: it is one of the known words, such as a registry's keys."""

    known: Collection[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return _wrapped(handler(source), self.known.__contains__, self._context)

    def _context(self) -> dict[str, Any]:
        return {"words": f"one of {', '.join(self.known)}", "known": list(self.known)}


def checked(
    kind: type[T],
    content: object,
    where: object = "",
    error: type[UserError] = UserError,
) -> T:
    """An instance of a dataclass from content as JSON or TOML gives it, every value checked.

    Numbers are not read from text, nor truth values from numbers, and all are finite; those of
    numpy count as Python's. Lists become tuples where those are declared, and tables the
    dataclasses that are declared within `kind`. What `__post_init__` raises passes through.

    Args:
        kind: a dataclass of the standard library; a key of the content that is none of its fields
            is an error.
        content: a dict of values that JSON knows, tuples for lists and NaN included.
        where: what the sentence begins with, such as a file's path; empty for nothing.
        error: raised for the first rule that is broken.

    Raises:
        UserError: such as "mine.toml: epochs is 0; it must be at least 1".
    """
    # As JSON, so that a list is read as a tuple, and a table as a dataclass, but no text as a
    # number.
    try:
        text = json.dumps(content, default=_plain)
    except RecursionError as found:
        raise _fault(kind, content, where, error, found) from found
    return _read(kind, text, lambda: content, where, error)


def _plain(value: object) -> Any:
    """A number of numpy as Python's; what no field takes, such as a date of TOML, as a table."""
    return value.item() if isinstance(value, np.generic) else {}


def checked_json(kind: type[T], text: str | bytes) -> T:
    """An instance of a dataclass from a JSON text, checked as `checked` does, in one step."""
    return _read(kind, text, lambda: _content(text), "", UserError)


def _content(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return str(text)


def _read(
    kind: type[T],
    text: str | bytes,
    content: Callable[[], object],
    where: object,
    error: type[UserError],
) -> T:
    from pydantic import ValidationError  # here: --help and the workers of a search need none of it

    try:
        instance: T = _adapter(kind).validate_json(text)  # type: ignore[arg-type]
    except (ValidationError, RecursionError) as found:
        raise _fault(kind, content(), where, error, found) from found
    return instance


def _fault(
    kind: type, content: object, where: object, error: type[UserError], found: Exception
) -> UserError:
    sentence = "it is nested too deeply; it must be a table of few levels"
    if not isinstance(found, RecursionError):
        sentence = first_sentence(kind, content, found)
    return error(f"{where}: {sentence}" if str(where) else sentence)


def first_sentence(kind: type, content: object, found: Any) -> str:
    """The sentence on the first error of a pydantic ValidationError: name, value, rule, remedy."""
    errors = found.errors(include_url=False, include_input=False)
    # A misspelt key is missing under its right name, too.
    unknown = (e for e in errors if e["type"] == "unexpected_keyword_argument")
    first = next(unknown, errors[0])
    if first["type"] in ("unexpected_keyword_argument", "missing"):
        *parents, key = path = first["loc"]
        place = _place(path)
        if isinstance(key, int):
            return f"{place} is missing; add it"
        declared = _dataclass_at(kind, parents)
        if first["type"] == "missing":
            return f"{place} is missing; add {_wanted(declared, key)}"
        keys = [field.name for field in fields(declared)]
        meant = did_you_mean(key, keys)
        return f"{place} is not known{meant}; known are {', '.join(keys)}"
    if first["type"] == "json_invalid" and (beyond := _beyond_utf_8(content)):
        place, text = _place(beyond[0]) or "it", shown(beyond[1])
        return f"{place} is {text}; it must be text that UTF-8 can hold"
    path, value = _reached(content, first["loc"])
    # Each type of a union has an error of its own.
    same = [error for error in errors if _reached(content, error["loc"])[0] == path]
    rules = dict.fromkeys(map(_words, same))
    meant = did_you_mean(value, first.get("ctx", {}).get("known", ()))
    place = _place(path) or "it"
    return f"{place} is {shown(value)}{meant}; it must be {' or '.join(rules)}"


def shown(value: object) -> str:
    """A value as a sentence shows it: short, and without control characters."""
    text = ascii(value).replace("\n", " ")  # that a text holds is escaped already
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 4]} ..."


@functools.cache
def _adapter(kind: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    # A new name for the type, because pydantic takes no configuration beside a dataclass itself.
    renamed = NewType("renamed", kind)  # type: ignore[valid-newtype]
    return TypeAdapter(
        renamed,
        config=ConfigDict(
            strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True
        ),
    )


def _wrapped(
    schema: Any, holds: Callable[[Any], object], context: Callable[[], dict[str, Any]]
) -> Any:
    """The schema, with one error for whatever it or the rule refuses."""
    from pydantic_core import PydanticCustomError, ValidationError, core_schema

    def check(value: object, inner: Callable[[object], object]) -> object:
        try:
            read = inner(value)
        except ValidationError:
            read, kept = None, False
        else:
            kept = bool(holds(read))
        if not kept:
            raise PydanticCustomError("rule", "{words}", context())
        return read

    return core_schema.no_info_wrap_validator_function(check, schema)


def _wanted(kind: Any, key: str | int) -> str:
    """What a missing value must be, in the words of the errors on a value that nothing takes."""
    from pydantic import TypeAdapter, ValidationError

    if is_dataclass(kind):
        try:
            hint = get_type_hints(kind, include_extras=True)[str(key)]
            TypeAdapter(hint).validate_python(object())
        except ValidationError as found:
            return " or ".join(dict.fromkeys(map(_words, found.errors())))
    return "it"


def _words(error: Any) -> str:
    words = _WORDS.get(error["type"])
    return words.format(**error.get("ctx", {})) if words else str(error["msg"])


def _reached(content: object, location: Sequence[str | int]) -> tuple[Path, object]:
    """The path of a location within the content, without the names of a union's types."""
    path: Path = ()
    for key in location:
        if not isinstance(content, dict | list | tuple):
            break
        try:
            content = content[key]  # type: ignore[index]
        except (LookupError, TypeError):
            break
        path = (*path, key)
    return path, content


def _beyond_utf_8(content: object) -> tuple[Path, str] | None:
    """A text within the content that holds bytes of another encoding, as names of files may."""
    waiting: list[tuple[Path, Any]] = [((), content)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            return path, value
        if isinstance(value, dict):
            waiting += [(path, key) for key in value]
            waiting += [((*path, key), part) for key, part in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [((*path, index), part) for index, part in enumerate(value)]
    return None


def _place(path: Sequence[str | int]) -> str:
    """A path as people write it, such as benchmarks[0].name."""
    parts = (f"[{key}]" if isinstance(key, int) else "." + shown(key).strip("'") for key in path)
    return "".join(parts).lstrip(".")


def _dataclass_at(kind: Any, path: Sequence[str | int]) -> Any:
    """The dataclass that is declared for a path within another."""
    for key in path:
        hints = get_type_hints(kind, include_extras=True)
        if key in hints:
            kind = _first_dataclass(hints[key])
    return kind


def _first_dataclass(hint: Any) -> Any:
    if is_dataclass(hint):
        return hint
    return next(filter(None, map(_first_dataclass, get_args(hint))), None)
