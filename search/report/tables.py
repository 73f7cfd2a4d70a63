"""Tables that are read whole on terminals of any width."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

LONGEST_NAME = 16
"""Characters of a name on one line of a table, so that its numbers fit 80 columns."""


@dataclass(frozen=True)
class FittingTable:
    """A table that is split by its columns where a terminal is too narrow, rather than cut.

    Attributes:
        columns: without cells; the first one is in every part.
        rows: cells of all columns, and the style of the row.
        title: of every part.
        gap: blanks to the right of each cell.
    """

    columns: Sequence[Column]
    rows: list[tuple[list[str | Text], str | None]]
    title: str | None = None
    box: Box | None = None
    gap: int = 1

    def part(self, columns: list[int]) -> Table:
        table = Table(
            *(self.columns[column].copy() for column in columns),
            title=self.title,
            title_justify="left",
            box=self.box,
            padding=(0, self.gap, 0, 0),
            pad_edge=self.box is not None,
        )
        for cells, style in self.rows:
            table.add_row(*(cells[column] for column in columns), style=style)
        return table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = [0]
        for column in range(1, len(self.columns)):
            if len(shown) > 1 and least_width(self.part([*shown, column])) > options.max_width:
                yield self.part(shown)
                shown = [0]
            shown.append(column)
        yield self.part(shown)


def least_width(table: Table) -> int:
    """Return the width in which a table breaks no word, with a blank behind each column."""
    width = len(table.columns) + 1 if table.box else 0  # its lines are blanks
    for column in table.columns:
        cells = [str(cell) for cell in (column.header, *column.cells)]
        pieces = [
            piece
            for cell in cells
            for piece in (cell.splitlines() if column.no_wrap else cell.split())
        ]
        width += max(map(cell_len, pieces), default=0) + 1
    return width


def folded(name: str) -> str:
    """Return a name as tables show it: a long one on two lines, divided at an underscore."""
    end = name.rfind("_", 0, LONGEST_NAME) + 1
    return f"{name[:end]}\n{name[end:]}" if len(name) > LONGEST_NAME and end else name
