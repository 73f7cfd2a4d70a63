"""Charts: scales with round ticks, marks where their values are, and text that is escaped."""

import re
from itertools import pairwise

import pytest
from markupsafe import Markup

from search.report.page.figure import MOST_ROWS, DataTable, shown
from search.report.page.scales import MOST_TICKS, Scale, around, around_log, beyond, number
from search.report.page.svg import Plot, tag, x_range, y_range


@pytest.mark.parametrize(
    ("low", "high"), ((0, 1), (93.1, 93.4), (-3e-7, 2e-7), (0, 12_345), (-50, 950), (2, 2.0001))
)
def test_ticks_of_a_linear_scale_are_even_inside_and_few(low: float, high: float) -> None:
    ticks = Scale(low, high, 0, 100).ticks()
    assert 2 <= len(ticks) <= MOST_TICKS
    assert all(low <= tick <= high for tick in ticks)
    steps = [b - a for a, b in pairwise(ticks)]
    assert max(steps) == pytest.approx(min(steps))


@pytest.mark.parametrize(("low", "high"), ((1, 10), (2, 5000), (1e-4, 1e6), (5, 6), (0.9, 1.1)))
def test_ticks_of_a_logarithmic_scale_are_inside_and_few(low: float, high: float) -> None:
    ticks = Scale(low, high, 0, 100, log=True).ticks()
    assert 1 <= len(ticks) <= MOST_TICKS
    assert all(low <= tick <= high for tick in ticks)


def test_a_scale_places_its_ends_and_its_middle() -> None:
    assert [Scale(1, 3, 10, 30)(v) for v in (1, 2, 3, 99)] == [10, 20, 30, 30]
    assert Scale(1, 100, 0, 50, log=True)(10) == pytest.approx(25)
    assert Scale(0, 4, 100, 0)(1) == 75


def test_values_beyond_a_scale_are_counted_and_a_missing_one_is_not() -> None:
    scale = Scale(1, 3, 10, 30)
    assert beyond([0.9, 1, 3, 4, float("nan")], scale).endswith("at its edge: 2.")
    assert beyond([1, 2, 3], scale) == ""


@pytest.mark.parametrize("values", ([], [5.0], [0.0, 0.0], [-2.0, 7.0]))
def test_a_scale_around_values_has_room_for_them(values: list[float]) -> None:
    scale = around(values, 0, 100, zero=True)
    assert scale.low < 0 < scale.high
    assert all(scale.low < value < scale.high for value in values)


def test_a_logarithmic_scale_around_one_value_has_room_for_it() -> None:
    scale = around_log([7.0], 0, 100)
    assert scale.low < 7 < scale.high


@pytest.mark.parametrize(
    ("value", "text"), ((0.0, "0"), (1500, "1,500"), (2e6, "2e6"), (1e-5, "1e-5"), (0.25, "0.25"))
)
def test_labels_of_ticks_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_marks_lie_where_their_values_are_and_say_them() -> None:
    plot = Plot(Scale(0, 10, 0, 100), Scale(0, 10, 100, 0), "x", "y")
    plot.dot(5, 2, 1, "five")
    plot.bar(2, -3, 10, 0, "two")
    plot.interval(4, 1, 2, 3, 0, "three")
    drawing = str(plot.drawn("name", "what it shows"))
    assert 'cx="50" cy="80"' in drawing
    assert 'data-tip="five"' in drawing
    assert re.search(r'<rect x="15" y="100" width="10" height="0.5"', drawing)  # drawn at the end
    assert 'x1="10" x2="30" y1="60" y2="60"' in drawing
    assert "<title>what it shows</title>" in drawing


def test_text_and_attributes_of_a_drawing_are_escaped() -> None:
    drawn = tag("text", "<b>&", data_tip='"><script>', class_="tick", x=None)
    assert drawn == Markup(
        '<text data-tip="&#34;&gt;&lt;script&gt;" class="tick">&lt;b&gt;&amp;</text>'
    )


def test_ranges_leave_room_for_the_names_of_axes() -> None:
    assert x_range()[0] > 0
    assert y_range()[0] > y_range()[1] > 0


@pytest.mark.parametrize(
    ("more", "note"),
    ((0, ""), (1, "1 more row is not shown."), (7, "7 more rows are not shown.")),
)
def test_a_long_table_is_cut_and_says_by_how_much(more: int, note: str) -> None:
    table = DataTable.of(("n",), [(n,) for n in range(MOST_ROWS + more)])
    assert len(table.rows) == MOST_ROWS
    assert (table.left_out, table.note) == (more, note)


@pytest.mark.parametrize(
    ("cell", "text"), ((None, ""), ("a", "a"), (3, "3"), (0.01234, "0.01234"), (93.456, "93.46"))
)
def test_cells_show_as_many_digits_as_they_need(cell: str | float | None, text: str) -> None:
    assert shown(cell) == text
