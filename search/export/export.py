"""Export of the best strategy: a record, `best.json`, and a module that needs torch alone.

The module is `best_weighting.py` for class weights, and `best_strategy.py` for any other strategy.
One that does not agree in a fresh interpreter with what was searched is never put in place.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from search.config.program import PROGRAM
from search.export.module_template import BEGINNINGS, render_module
from search.export.verification import verification_counts, verify_export
from search.export.winner import ExportError, Winner, winner_of
from search.results.conclusion import Conclusion
from trainer.files import is_file, write_together

RECORD_NAME = "best.json"
WEIGHTING_NAME = "best_weighting.py"
STRATEGY_NAME = "best_strategy.py"


@dataclass(frozen=True)
class ExportedPaths:
    """Where the two files of an export are."""

    record: Path
    module: Path


def export_winner(run: Conclusion) -> ExportedPaths | None:
    """Write best.json and the module; None if no trial has finished yet.

    Raises:
        ExportError: they cannot be written, or do not agree.
    """
    winner = winner_of(run)
    return export(run.folder.path, winner) if winner else None


def export(folder: Path, winner: Winner) -> ExportedPaths:
    """Write `best.json` and the module into a folder, both or none.

    A module of the other name that an earlier export wrote there is removed.

    Raises:
        ExportError: the story is not JSON-able, the module disagrees with the strategy, or the
            folder cannot be written. The files of an earlier export are then as they were.
    """
    try:
        record = json.dumps(winner.to_dict(), indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ExportError(f"the export cannot be written as JSON: {error}.") from error
    module = render_module(
        winner.strategy, winner.class_names, winner.benchmark, winner.result, winner.key
    )
    name, other = WEIGHTING_NAME, STRATEGY_NAME
    if not winner.strategy.is_static:
        name, other = other, name
    with tempfile.TemporaryDirectory() as scratch:
        candidate = Path(scratch) / name
        candidate.write_text(module, encoding="utf-8")
        verify_export(candidate, winner.strategy, verification_counts(winner.class_counts))
    paths = ExportedPaths(record=folder / RECORD_NAME, module=folder / name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The record comes last: while it is the old one, the export has not happened.
        write_together({paths.module: module.encode(), paths.record: record.encode()})
        remove_exported(folder / other)
    except OSError as error:
        raise ExportError(
            f"the export cannot be written to {folder} ({error.strerror}); write it to a folder "
            f"of your own with {PROGRAM} export RUN --output FOLDER."
        ) from error
    return paths


def remove_exported(path: Path) -> None:
    """Remove a module that an export wrote, and no other file."""
    if not is_file(path):
        return
    with path.open("rb") as file:
        ours = file.read(max(map(len, BEGINNINGS))).startswith(BEGINNINGS)
    if ours:
        path.unlink()
