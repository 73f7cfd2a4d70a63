"""Class counts: what is refused, and in which types they may come."""

import math

import numpy as np
import pytest

from spaces import WeightingError, check_counts


@pytest.mark.parametrize(
    ("counts", "sentence"),
    (
        ([], r"class_counts: got shape \(0,\)"),
        (5, r"class_counts: got shape \(\)"),
        ([[5, 3]], r"class_counts: got shape \(1, 2\)"),
        ([5, 0], r"class_counts\[1\]: got 0; must be a positive integer.*insert 1.0 for a class"),
        ([5, 4, -2], r"class_counts\[2\]: got -2.*correct the count of class 2"),
        ([math.nan, 1], r"class_counts\[0\]: got nan"),
        ([1, math.inf], r"class_counts\[1\]: got inf"),
        ([1, 2.5], r"class_counts\[1\]: got 2.5"),
        ([1, True], r"class_counts\[1\]: got True"),
        ([1, "7"], r"class_counts\[1\]: got '7'"),
        ([1, None], r"class_counts\[1\]: got None"),
        ([[1], [2, 3]], r"class_counts\[0\]: got \[1\]"),
        ([1, 10**400], r"class_counts\[1\]: got 1000"),
        ({"cat": 3}, "class_counts: got a dict, whose counts have labels; pass a list"),
    ),
)
def test_counts_that_are_not_positive_integers_are_refused(counts, sentence):
    with pytest.raises(WeightingError, match=sentence):
        check_counts(counts)


def test_whole_numbers_of_any_type_are_counts():
    for counts in ([3, 1], (3.0, 1.0), np.array([3, 1], dtype=np.uint8), np.array([3.0, 1.0])):
        checked = check_counts(counts)
        assert checked.dtype == np.int64
        assert checked.tolist() == [3, 1]
