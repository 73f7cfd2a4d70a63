"""View of a run in a notebook: the verdict in words, and a table of what it rests on."""

from __future__ import annotations

from search.report.page.arms import arms_figure
from search.report.page.figure import DataTable
from search.report.page.write import headline, rendered, sentences
from search.results.conclusion import Conclusion

MOST_ROWS = 10


def notebook_html(conclusion: Conclusion) -> str:
    """Return the view, a piece of HTML without styles of its own, in which texts are escaped."""
    folder, benchmarks = conclusion.folder.path, conclusion.manifest.benchmarks
    where = "; ".join(f"{b.facts.name}: {b.protocol}" for b in benchmarks)
    return rendered(
        "notebook.html.j2",
        headline=headline(conclusion),
        lines=[f"{where}; run folder {folder}", *sentences(conclusion)],
        table=_table(conclusion),
    )


def _table(conclusion: Conclusion) -> DataTable | None:
    """The arms of the confirmation; before it, the best of the search; None before a result."""
    if conclusion.judgement:
        return arms_figure(conclusion.judgement).table
    ranking = conclusion.standings.ranking()
    if ranking is None:
        return None
    rows = [
        (conclusion.standings.first_row(known.group).label, known.n, known.raw_mean, known.mean)
        for known in ranking.groups[:MOST_ROWS]
    ]
    return DataTable.of(("weighting", "runs", "plain mean", "estimate"), rows)
