"""Paths and text files that people wrote are read, in whatever program they wrote them."""

import codecs
import os
from pathlib import Path

from spaces.errors import UserError

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte-order mark; lines end with a line feed.

    Raises:
        UserError: it cannot be read, or is in another encoding.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): correct its path") from error
    try:
        text = content.decode("utf-16" if content.startswith(_UTF_16_MARKS) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not text in UTF-8 ({error}): save it as UTF-8") from error
    if "\0" in text:
        raise UserError(f"{file} is not text in UTF-8 (it holds zero bytes): save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def expanded(name: str) -> Path:
    """A path with "~" and environment variables replaced, as a shell does; others stay.

    Raises:
        UserError: nothing is left of it, which would stand for this folder; or it begins in this
            folder, which was deleted.
    """
    text = os.path.expandvars(os.path.expanduser(name))
    if not text:
        raise UserError(f"the path {name!r} is empty; give one, such as . for this folder")
    path = Path(text)
    if not path.is_absolute():
        working_folder()
    return path


def named_path(path: Path) -> Path:
    """The path from the root, with the name of its folder at its end, not '.' or '..'.

    Raises:
        UserError: as ``working_folder``.
    """
    whole = path if path.is_absolute() else working_folder() / path
    return whole.resolve() if path.name in ("", "..") else whole


def working_folder() -> Path:
    """The folder in which this process runs.

    Raises:
        UserError: it was deleted.
    """
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UserError(
            "the folder in which this was started has been deleted; change to one that is there "
            "(cd), and start it again"
        ) from error
