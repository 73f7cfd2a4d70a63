"""JSON that somebody else may have written: how it is read, and what is said of a broken rule."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from spaces import Strategy, WeightingError
from spaces.errors import UserError
from spaces.validation import checked, checked_json

T = TypeVar("T")


def read(kind: type[T], text: str | bytes, name: Path | str) -> T:
    """Return the instance of a dataclass that a JSON text holds; ``name`` says whose it is.

    Raises:
        UserError: it is not JSON, or breaks a rule.
    """
    return read_content(kind, json_of(text, name), name)


def json_of(text: str | bytes, name: Path | str) -> Any:
    """Return what a JSON text holds.

    Raises:
        UserError: it is not JSON.
    """
    try:
        return from_json(text)
    except ValueError as error:
        raise UserError(f"{name} is not JSON: {error}.") from error


def read_content(kind: type[T], content: object, name: Path | str) -> T:
    """Return the instance of a dataclass that the content of a JSON text declares.

    Raises:
        UserError: it breaks a rule.
    """
    try:
        return checked(kind, content)
    except UserError as error:
        raise unusable(name, error) from error


def read_json(kind: type[T], text: str | bytes, name: Path | str) -> T:
    """Return the same from a JSON text, in one step.

    Raises:
        UserError: it is not JSON, or breaks a rule.
    """
    try:
        return checked_json(kind, text)
    except UserError as error:
        raise unusable(name, error) from error


def read_strategy(content: Mapping[str, Any], name: Path | str) -> Strategy:
    """Return the strategy that fields declare; ``name`` says where they are.

    Raises:
        UserError: it is none.
    """
    try:
        return Strategy.from_dict(content)
    except WeightingError as error:
        raise unusable(name, error) from error


def unusable(name: Path | str, error: Exception) -> UserError:
    """Return the error on a file in which a rule is broken."""
    fault = re.sub(r" is missing; add .*", " is missing", str(error)).rstrip(".")
    return UserError(f"{name} cannot be used: {fault}; restore the file.")


def read_known(kind: type[T], content: object, name: Path | str) -> T:
    """Return the same from content that may have more keys, which nothing reads."""
    if isinstance(content, dict):
        content = {key: content[key] for key in kind.__annotations__ if key in content}
    return read_content(kind, content, name)


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


def in_utf_8(text: str) -> str:
    """Return a text that UTF-8 can hold: bytes of another encoding, as in names of files, spelt."""
    return text.encode(errors="backslashreplace").decode()


def printable(text: str) -> str:
    """Return a text without the characters that steer a terminal or turn its direction round."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
