"""The streaming benchmark compares two ways, and refuses what makes no sense."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from training import DIGITS, digits_data

from benchmarks.streaming import __main__ as streaming
from benchmarks.streaming.__main__ import compare, main, measured, timed_batches
from spaces.errors import UserError


def test_both_ways_have_a_row_and_speeds_are_compared_in_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speeds = iter((10.0, 8.0, 20.0, 20.0))

    def made_up(words: list[str], way: str, action: str, folder: Path) -> dict[str, float]:
        found = {"seconds": 3.0} if action == "prepare" else {"speed": next(speeds)}
        return found | {"memory": 2000.0 if way == "memory" else 100.0}

    monkeypatch.setattr(streaming, "measured", made_up)
    _, _, *rows = compare([], 2)
    assert rows == [
        "| memory | 3.0 | 2,000 | 15.00 (10.00-20.00) | 2,000 |",
        "| disk | 3.0 | 100 | 14.00 (8.00-20.00) | 100 |",
        "disk / memory: 0.900 (0.800-1.000)",
    ]


def test_a_short_last_batch_counts_as_the_images_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "load", lambda *_: digits_data())
    sizes = [images for images, _ in timed_batches(DIGITS, Path(), 99)]
    assert sizes == [32] * 11 + [14]
    assert len(list(timed_batches(DIGITS, Path(), 2))) == 2
    with pytest.raises(UserError, match="resnet8-digitslt are one batch, and the first is not"):
        next(timed_batches(replace(DIGITS, batch_size=400), Path(), 1))


def test_a_process_that_is_killed_without_a_word_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed = subprocess.CompletedProcess([], -9, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: killed)
    with pytest.raises(UserError, match="a process ended with -9"):
        measured([], "memory", "train", Path())


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
