"""A figure of the page: a finding in a sentence, a chart below it, and its data as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from search.report.page.svg import colour
from spaces.parts.words import number_of

MOST_ROWS = 300
"""Of a table on the page; a longer one is cut, and says so."""

Cell = str | float | int | None


@dataclass(frozen=True)
class DataTable:
    """Data of a chart.

    Attributes:
        headers: of the columns.
        rows: of cells; None is empty.
        left_out: rows that are not shown, the last ones.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    left_out: int = 0

    @property
    def note(self) -> str:
        """What is said of rows that are not shown; nothing where all are."""
        verb = "is" if self.left_out == 1 else "are"
        return f"{number_of(self.left_out, 'more row')} {verb} not shown." if self.left_out else ""

    @classmethod
    def of(cls, headers: Sequence[str], rows: Iterable[Sequence[Cell]]) -> DataTable:
        """Return the table of rows, the most important ones first."""
        whole = list(rows)
        return cls(headers, whole[:MOST_ROWS], max(len(whole) - MOST_ROWS, 0))


@dataclass(frozen=True)
class Figure:
    """A chart with its finding and its data.

    Attributes:
        name: the id of the drawing in the page.
        finding: what it shows, in one sentence.
        chart: the drawing.
        table: its data.
        legend: class of the colour and name of each series.
        note: how it is to be read.
    """

    name: str
    finding: str
    chart: Markup
    table: DataTable
    legend: tuple[tuple[str, str], ...] = ()
    note: str = ""


def legend(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the legend of series in the order of their colours."""
    return tuple((colour(series), name) for series, name in enumerate(names))


def shown(value: Cell) -> str:
    """Return a cell's text."""
    return (
        ""
        if value is None
        else value
        if isinstance(value, str)
        else f"{value:.4g}"
        if (isinstance(value, float) and abs(value) < 10)
        else f"{value:.2f}"
        if isinstance(value, float)
        else f"{value}"
    )
