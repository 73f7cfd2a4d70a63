"""The winner of a run, as it is exported."""

from search.export.export import Best, ExportedPaths, export
from search.results.conclusion import Conclusion


def winner_of(run: Conclusion) -> Best | None:
    """Return the winner on the run's first benchmark; None if no trial has finished yet."""
    if run.winner is None:
        return None
    first = run.content["benchmarks"][0]
    return Best(
        run.winner[1],
        run.objective.benchmarks[0].counts,
        first["class_names"],
        first["benchmark"],
        run.story(),
    )


def export_winner(run: Conclusion) -> ExportedPaths | None:
    """Write best.json and best_weighting.py; None if no trial has finished yet.

    Raises:
        ExportError: they cannot be written, or do not agree.
    """
    winner = winner_of(run)
    return export(run.folder.path, winner) if winner else None
