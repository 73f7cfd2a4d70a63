"""Paths as people write them."""

import os
from pathlib import Path


def expanded(name: str) -> Path:
    """A path with "~" and environment variables replaced, as a shell does; others stay."""
    return Path(os.path.expandvars(os.path.expanduser(name)))
