"""Options of benchmarks: a rule that is broken is told with the value and the choices."""

import math
from pathlib import Path

import pytest

from benchmarks import option_checks
from benchmarks.option_checks import check_choice, check_minimum, check_out, check_positive
from spaces.errors import UserError


def test_the_bounds_themselves_are_allowed(tmp_path: Path) -> None:
    check_out(tmp_path / "new")
    check_choice("--way", "a", {"a": 1})
    check_positive("--much", None)
    check_minimum("--much", 0, 0)


def test_a_rule_that_is_broken_is_told_with_the_value_and_the_choices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"^--way is 'c'; it must be one of a, b\.$"):
        check_choice("--way", "c", {"a": 1, "b": 2})
    with pytest.raises(UserError, match=r"^--much is nan; it must be at least 1\.$"):
        check_minimum("--much", math.nan, 1)
    with pytest.raises(UserError, match=r"^--much is inf; it must be more than 0 and finite\.$"):
        check_positive("--much", math.inf)
    for out in (Path(), Path("absent") / "new", tmp_path):
        with pytest.raises(UserError, match=rf"^--out is {out}; it must be a file name in an"):
            check_out(out)
    monkeypatch.setattr(option_checks, "find_spec", {}.get)
    check_out(tmp_path / "new")
    with pytest.raises(UserError, match=r"^matplotlib, which draws the results, is not"):
        check_out(tmp_path / "new", drawn=True)
