"""The streaming benchmark compares two ways, and refuses what makes no sense."""

from pathlib import Path

import pytest

from benchmarks.streaming import __main__ as streaming
from benchmarks.streaming.__main__ import compare, main


def test_both_ways_have_a_row_and_speeds_are_compared_in_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speeds = iter((10.0, 8.0, 20.0, 20.0))

    def measured(words: list[str], way: str, action: str, folder: Path) -> dict[str, float]:
        found = {"seconds": 3.0} if action == "prepare" else {"speed": next(speeds)}
        return found | {"memory": 2000.0 if way == "memory" else 100.0}

    monkeypatch.setattr(streaming, "measured", measured)
    _, _, *rows = compare([], 2)
    assert rows == [
        "| memory | 3.0 | 2,000 | 15.00 (10.00-20.00) | 2,000 |",
        "| disk | 3.0 | 100 | 14.00 (8.00-20.00) | 100 |",
        "disk / memory: 0.900 (0.800-1.000)",
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    (
        (["resnet8-digitslt"], "--benchmark is resnet8-digitslt; it must be images of your own"),
        (["resnet8-digitslt", "--batches", "0"], "--batches is 0; it must be at least 1"),
        (["none.toml"], "none.toml"),
    ),
)
def test_options_that_make_no_sense_are_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--benchmark", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert sentence in line
