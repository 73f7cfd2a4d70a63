"""Tables on narrow terminals, where they are read whole."""

import io

import pytest
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column
from rich.text import Text

from search.report.tables import FittingTable

NAMES = ("trial", "estimate", "mean (n)", "last 10", "weighting")
CELLS = ["mlsbench_softmax", "92.65", "95.17 (1)", "94.87", "p=0.3261 split s=0.7971 h=0.1785"]


def printed(width: int, boxed: bool) -> list[str]:
    columns = [Column(name, no_wrap=name != "weighting") for name in NAMES]
    rows: list[tuple[list[str | Text], str | None]] = [([*CELLS], None), ([*CELLS], "dim")]
    console = Console(file=io.StringIO(), width=width)
    console.print(FittingTable(columns, rows, box=SIMPLE if boxed else None))
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
