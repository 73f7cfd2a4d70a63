"""Where weightings reached the same, the simplest is named: uniform, a control, few parameters."""

from search.stats.ties import TIE, in_order


def test_the_highest_comes_first_whatever_is_preferred() -> None:
    assert in_order([1.0, 3.0, 2.0], lambda index: index) == [1, 2, 0]


def test_equal_ones_come_by_preference_also_where_rounding_parts_them() -> None:
    scores = [99.0, 100.0, 100.0 + 1e-12, 100.0 - TIE / 2]
    assert in_order(scores, lambda index: -index) == [3, 2, 1, 0]
    assert in_order(scores, lambda index: index) == [1, 2, 3, 0]


def test_what_is_further_apart_than_rounding_is_no_tie() -> None:
    assert in_order([100.0, 100.0 + 3 * TIE], lambda index: index) == [1, 0]


def test_nothing_has_no_order() -> None:
    assert in_order([], lambda index: index) == []
