"""Tables on narrow terminals, where they are read whole."""

import io

import pytest
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

from search.report.tables import FittingTable

NAMES = ("trial", "estimate", "mean (n)", "last 10", "weighting")
CELLS = ["mlsbench_softmax", "92.65", "95.17 (1)", "94.87", "p=0.3261 split s=0.7971 h=0.1785"]


def printed(width: int, boxed: bool) -> list[str]:
    def empty(numbers: list[int]) -> Table:
        columns = [Column(NAMES[n], no_wrap=n < 4) for n in numbers]
        box, pad = (SIMPLE, True) if boxed else (None, False)
        return Table(*columns, box=box, padding=(0, 1, 0, 0), pad_edge=pad)

    console = Console(file=io.StringIO(), width=width)
    console.print(FittingTable(empty, len(NAMES), [(list(CELLS), None), (list(CELLS), "dim")]))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("boxed", (True, False))
@pytest.mark.parametrize("width", range(36, 100, 4))
def test_every_word_and_number_is_whole_at_any_width(width: int, boxed: bool) -> None:
    lines = printed(width, boxed)
    assert max(map(len, lines)) <= width
    words = " ".join(lines)
    assert "…" not in words
    for cell in (*NAMES, *CELLS[:4], *CELLS[4].split()):
        assert cell in words
    assert sum("mlsbench_softmax" in line for line in lines) == 2 * words.count("trial")


def test_a_table_that_fits_is_one() -> None:
    assert "".join(printed(100, boxed=True)).count("trial") == 1
