"""Labels of classes: their order, and which of them differ in their spelling alone."""

import unicodedata
from collections.abc import Collection, Iterable


def label_number(label: str) -> int:
    """The number of a label that is a whole one, also as 2.0. Raises ValueError for others."""
    try:
        return int(label)
    except ValueError:
        number = float(label)
        if not number.is_integer():
            raise
        return int(number)


def is_whole_number(label: str) -> bool:
    """Whether a label is a whole number, also as 2.0."""
    try:
        label_number(label)
    except ValueError:
        return False
    return True


def sorted_labels(labels: Iterable[str]) -> list[str]:
    """Labels in the order of their numbers if all are whole numbers, also as 2.0, else by name."""
    try:
        return sorted(labels, key=lambda label: (label_number(label), label))
    except ValueError:
        return sorted(labels)


def missing_among_numbers(labels: Collection[str]) -> str | None:
    """The nan among labels that are whole numbers, as programs write for a missing one, if any."""
    words = [label for label in labels if not is_whole_number(label)]
    alone = 0 < len(words) < len(labels) and all(word.lower() == "nan" for word in words)
    return words[0] if alone else None


def spelled_alike(names: Iterable[str]) -> list[str]:
    """Names that differ in case, in forms of the same letters or number alone: "'Cat' and 'cat'".

    Letters beyond ASCII are escaped, for they may look alike.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_plain(name), []).append(name)
    return [" and ".join(map(ascii, several)) for several in found.values() if len(several) > 1]


def _plain(name: str) -> str:
    if is_whole_number(name):
        return str(label_number(name))
    return unicodedata.normalize("NFKC", name).casefold().strip()
