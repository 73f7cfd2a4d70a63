"""The file of pretrained weights that a benchmark names; free of torch."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from spaces.validation import Rule


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """A file of pretrained weights.

    Attributes:
        path: of the file; no part of the identity, and a record of a run does not have it.
        digest: 16 hexadecimal digits over its content.
    """

    path: Path = Path()
    digest: Annotated[str, Rule("16 hexadecimal digits", re.compile(r"[0-9a-f]{16}").fullmatch)]
