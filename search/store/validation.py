"""How is JSON that somebody else may have written read, and what is said of a broken rule?"""

import functools
import json
from pathlib import Path
from typing import Any

from search.store.schemas import Schema
from spaces.errors import UserError

LONGEST_VALUE = 60
"""Characters that a sentence shows of a value."""


def read_json(text: str | bytes, schema: Schema, name: Path | str) -> Any:
    """Return what a JSON text holds, which must keep the schema; ``name`` says whose it is.

    Raises:
        UserError: it is not JSON, or breaks a rule.
    """
    try:
        document = from_json(text)
    except ValueError as error:
        raise UserError(f"{name} is not JSON: {error}.") from error
    check(document, schema, name)
    return document


def from_json(text: str | bytes) -> Any:
    """Return what a JSON text holds.

    Raises:
        ValueError: it is no JSON; NaN and infinity are none.
    """

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no number of JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def check(document: object, schema: Schema, name: Path | str) -> None:
    """Raise UserError with the first rule that a document breaks."""
    error = next(validator()(schema).iter_errors(document), None)
    while error is not None and error.context:  # null or an object: what is wrong with the object
        error = error.context[-1]
    if error is not None:
        raise UserError(f"{name} cannot be used: {fault(error)}; restore the file.")


@functools.cache
def validator() -> Any:
    # Here, because the workers of a search import this module and never read a file with it.
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", is_integer)
    return extend(Draft202012Validator, type_checker=types)


def is_integer(_checker: object, value: object) -> bool:
    """Whether it is one to Python too, which 2.0 is to JSON Schema but not to ``range``."""
    return isinstance(value, int) and not isinstance(value, bool)


def fault(error: Any) -> str:
    """Return the place of an error, the value there and the rule that it breaks."""
    place = "/".join(shown(part).strip("'") for part in error.absolute_path) or "it"
    value, limit = error.instance, error.validator_value
    match error.validator:
        case "required":
            return f"{place} lacks {next(key for key in limit if key not in value)!r}"
        case "additionalProperties":
            unknown = next(key for key in value if key not in error.schema["properties"])
            return f"{place} has the unknown key {shown(unknown)}"
        case "type":
            kinds = limit if isinstance(limit, str) else " or ".join(limit)
            return f"{place} is {shown(value)}, and must be of type {kinds}"
        case "enum":
            return f"{place} is {shown(value)}, and must be {' or '.join(map(str, limit))}"
        case rule:
            return f"{place} is {shown(value)}, and must keep the rule {rule} {limit}"


def shown(value: object) -> str:
    """Return a value as a sentence shows it: short, and without control characters."""
    text = ascii(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 4]} ..."


def printable(text: str) -> str:
    """Return a text without the characters that steer a terminal or turn its direction round."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
