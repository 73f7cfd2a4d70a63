"""Types of fields of settings and records, with the ranges of their values.

What is read may have been written by anybody: every number has a range, every text and list a
length. Labels, names and phrases are shown on screens, and consist of characters that do nothing
there.
"""

import re
from typing import Annotated, TypeAlias

from annotated_types import Ge, Le, MaxLen, MinLen

from spaces.validation import Rule

MOST_CLASSES = 100_000
LARGEST_COUNT = 2**53
LARGEST_SEED = 2**63 - 1
LARGEST_NUMBER = 1e100
"""Squares of such numbers, and sums of them, are finite."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Characters that steer a terminal."""


def text_of(words: str, pattern: str) -> Rule:
    """Return the rule that a text is described by ``words`` and matches ``pattern`` as a whole."""
    return Rule(words, re.compile(pattern).fullmatch)


Hex16: TypeAlias = Annotated[str, text_of("16 hexadecimal digits", r"[0-9a-f]{16}")]
Word: TypeAlias = Annotated[
    str, text_of("at most 200 letters, digits, '_', '.', '+' and '-'", r"[A-Za-z0-9_.+-]{1,200}")
]
Label: TypeAlias = Annotated[
    str, text_of("#NUMBER, or the name of a weighting", r"#[0-9]{1,9}|[a-z0-9_]{1,100}")
]
"""Of a trial."""
Phrase: TypeAlias = Annotated[
    str,
    text_of(
        "at most 200 letters, digits, spaces and marks of .,;:()_+-",
        r"[A-Za-z0-9 .,;:()_+-]{1,200}",
    ),
]
PriorName: TypeAlias = Annotated[
    str,
    text_of(
        "NAME:DIGEST, the name of a run and 16 hexadecimal digits",
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}:[0-9a-f]{16}",
    ),
]
"""An earlier run, with the digest of what was taken from it."""
MOST_PRIORS = 8
"""Earlier runs at most."""
ShownText: TypeAlias = Annotated[
    str,
    text_of(
        "text of at most 10000 characters without control characters",
        r"[^\x00-\x1f\x7f-\x9f]{0,10000}",
    ),
]
CommandWord: TypeAlias = Annotated[
    str,
    Rule("text without control characters", lambda text: not CONTROL.search(text)),
    MaxLen(10**8),
]
"""Of a recorded command; class counts that Python was given are one."""
Text: TypeAlias = Annotated[str, MaxLen(10_000)]
LongText: TypeAlias = Annotated[str, MaxLen(10**8)]

Epochs: TypeAlias = Annotated[int, Ge(1), Le(10**6)]
Count: TypeAlias = Annotated[int, Ge(1), Le(LARGEST_COUNT)]
CountFromZero: TypeAlias = Annotated[int, Ge(0), Le(LARGEST_COUNT)]
Seed: TypeAlias = Annotated[int, Ge(0), Le(LARGEST_SEED)]
Number: TypeAlias = Annotated[float, Ge(-LARGEST_NUMBER), Le(LARGEST_NUMBER)]
ClassNames: TypeAlias = Annotated[tuple[Annotated[str, MaxLen(1000)], ...], MaxLen(MOST_CLASSES)]
ClassCounts: TypeAlias = Annotated[tuple[Count, ...], MinLen(1), MaxLen(MOST_CLASSES)]
ImagesOfClasses: TypeAlias = Annotated[tuple[CountFromZero, ...], MinLen(1), MaxLen(MOST_CLASSES)]
