"""Export of class weights alone: as JSON or in a tool's format, for counts or labels of a file."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from search.export.class_counts import ClassCounts, checked_zeros, read_counts
from search.export.formats.labels import Labels, read_labels
from search.export.formats.registry import FORMATS
from search.export.formats.scaled import Exported, class_weights, in_order
from search.export.formats.texts import TEXTS
from search.export.other_counts import applied_json, apply_to_counts
from search.results.conclusion import Conclusion
from spaces.errors import UserError
from trainer.files import is_there, write_atomic


def asks_for_weights(given: Namespace) -> bool:
    """Return whether the options ask for class weights instead of the two files.

    Raises:
        UserError: they say how weights are written, and not which.
    """
    if given.format or given.counts or given.labels:
        return True
    for name in ("normalize", "zero_counts"):
        if getattr(given, name):
            raise UserError(
                f"{option(name)} is for class weights alone; add --format, --counts or --labels. "
                "The module's functions take it as an argument."
            )
    return False


def export_weights(given: Namespace, conclusion: Conclusion) -> None:
    """Print the winner's class weights, or write them to a file; say on stderr what to know.

    Raises:
        UserError: the files cannot be read or written, or the format is not for these weights.
    """
    assert conclusion.winner is not None
    chosen = FORMATS.get(given.format)
    if chosen and chosen.counts_itself:
        for name in ("counts", "labels", "normalize", "zero_counts"):
            if getattr(given, name):
                raise UserError(
                    f"--format {given.format} takes no {option(name)}, because the tool counts and "
                    "scales by itself; leave it out."
                )
    counts, labels = counts_of(given, conclusion)
    strategy = conclusion.winner[1]
    found = class_weights(strategy, counts, given.zero_counts or "error")
    scale = given.normalize or (chosen.scale if chosen else None)
    found = found.scaled(scale) if scale else found
    applied = apply_to_counts(strategy, found)
    if applied["also_needed"]:
        also = "; ".join(applied["also_needed"])
        print(f"note: these weights alone are not the strategy; it needs {also}.", file=sys.stderr)
    if applied["warning"]:
        print(f"warning: {applied['warning']}", file=sys.stderr)
    if chosen and scale:
        exported = Exported(strategy, found, scale, conclusion.folder.path.name, labels)
        text = TEXTS[given.format](exported)
    else:
        text = applied_json(applied) + "\n"
    if given.output:
        write_text(given.output, text)
    else:
        sys.stdout.write(text)


def counts_of(given: Namespace, conclusion: Conclusion) -> tuple[ClassCounts, Labels | None]:
    """Return the class counts of the file that is given, or the benchmark's, and its labels."""
    first = conclusion.manifest.benchmarks[0]
    zeros = bool(given.zero_counts) and given.zero_counts != "error"
    if given.labels:
        labels = read_labels(given.labels, first.class_names)
        print(f"{given.labels}: {labels.describe()}", file=sys.stderr)
        return checked_zeros(given.labels, labels.counts, zeros), labels
    if given.counts:
        counts = read_counts(given.counts, zeros)
        print(f"{given.counts}: {counts.describe()}", file=sys.stderr)
        return in_order(counts, first.class_names), None
    names = tuple(first.class_names) if first.class_names else None
    return ClassCounts(conclusion.objective.benchmarks[0].counts, names), None


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def write_text(path: Path, text: str) -> None:
    """Write a file, and say where it is.

    Raises:
        UserError: it cannot be written, or there is one of this name.
    """
    if is_there(path):
        raise UserError(f"{path} exists; remove it, or give another --output FILE.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); give --output.") from error
    print(path)
