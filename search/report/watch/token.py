"""Token of the live page: a secret of this user, without which nothing is shown.

It is kept, so that a page that is open goes on when its server is started again.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from spaces.errors import UserError

BYTES = 24


def token_file() -> Path:
    """Return where the token of this user is kept.

    Raises:
        UserError: the user has no home directory, as in a container.
    """
    try:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise UserError(
            "this user has no home directory, where the page's token is kept; set XDG_STATE_HOME "
            "to a folder of your own."
        ) from error
    return Path(state) / "class-weighting-search" / "page-token"


def own_token(path: Path | None = None) -> str:
    """Return the token of this user, made on first use in a file that nobody else can read.

    Raises:
        UserError: there is no place for the file, it cannot be made, or others can read it.
    """
    path = path or token_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _kept(path)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(BYTES))
        return path.read_text()
    except OSError as error:
        raise UserError(f"the page's token cannot be kept in {path} ({error}).") from error


def _kept(path: Path) -> str:
    facts = path.lstat()
    private = stat.S_ISREG(facts.st_mode) and not facts.st_mode & 0o077
    if not private or facts.st_uid != os.getuid():
        raise UserError(f"others may read or write {path}, the page's token; delete it.")
    text = path.read_text()
    if len(text) < BYTES:
        raise UserError(f"{path} does not hold the page's token; delete it.")
    return text
