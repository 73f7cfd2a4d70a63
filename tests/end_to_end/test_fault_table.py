"""The table of faults in the documentation is the one that the tests wrote."""

import re

import pytest
from enduring import repeated
from fault_table import BEGIN, END, FAULTS, HEADS, put, table
from repository import REPOSITORY

TESTS = REPOSITORY / "tests"
DOCUMENT = REPOSITORY / "docs" / "faults.md"


def rows(faults: tuple[str, ...] = FAULTS) -> list[dict[str, str]]:
    return [{"fault": f, "seen": "s", "repeated": "r", "kept": f"k {f}"} for f in faults]


def test_every_fault_has_a_line_in_the_documentation_in_order() -> None:
    part = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines()]
    assert lines[0] == list(HEADS)
    assert [line[0] for line in lines[2:]] == list(FAULTS)
    assert all(cell for line in lines for cell in line)


def test_every_fault_is_told_by_exactly_one_test() -> None:
    files = [path.read_text() for path in TESTS.rglob("test_*.py")]
    sources = "".join(text for text in files if "fault: Tell" in text)
    told = re.findall(r'fault\(\s*"([^"]+)"', sources)
    assert sorted(told) == sorted(FAULTS)


def test_the_table_is_put_between_its_marks_and_replaced() -> None:
    once = put(f"before\n{BEGIN}old\n{END}after\n", rows())
    assert once == f"before\n{BEGIN}{table(rows())}{END}after\n"
    assert put(once, rows()) == once
    assert once.count("\n| ") == 2 + len(FAULTS)


@pytest.mark.parametrize("faults", (FAULTS[1:], (*FAULTS, "rain")))
def test_a_missing_or_unknown_fault_is_refused(faults: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="these faults have no row, or no place"):
        table(rows(faults))


@pytest.mark.parametrize("said", ("1 epoch was trained again", "2 epochs were trained again"))
def test_what_a_search_repeated_is_told_of_one_epoch_as_of_several(said: str) -> None:
    line = f"{said} from checkpoints"
    assert repeated(f"before\n{line}\nafter\n") == line
