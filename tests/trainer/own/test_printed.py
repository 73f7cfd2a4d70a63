"""What the function of an own training prints is kept, and never its fault."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spaces import Recipe
from trainer.own.running import Running
from trainer.own.training import OwnTraining

Report = Callable[..., None]
RECIPE = Recipe((50, 20), (0.5, 1.5))
PLAIN = OwnTraining("own", "own:train", 3, (50, 20), dataset="photos")


def rising(weights: object, seed: int, report: Report) -> None:
    for epoch in (1, 2, 3):
        report(epoch, accuracy=epoch / 4)


def test_what_a_function_prints_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def train(weights: object, seed: int, report: Report) -> None:
        print("begins")
        print("warns", file=sys.stderr)
        rising(weights, seed, report)

    for function, text in ((rising, None), (train, "begins\nwarns\n")):
        printed, folder = tmp_path / "out.txt", tmp_path / str(text)[:2]
        trial = Running(PLAIN, function, RECIPE, 7, folder, threads=1, printed=printed)
        assert len(list(trial.results())) == 3
        trial.stop()
        assert (printed.read_text() if printed.exists() else None) == text
    assert capsys.readouterr() == ("", "")


def test_a_print_that_cannot_be_written_is_no_fault_of_the_function(tmp_path: Path) -> None:
    def train(weights: object, seed: int, report: Report) -> None:
        for epoch in (1, 2, 3):
            print("epoch", epoch, flush=True)
            report(epoch, accuracy=epoch / 4)

    printed = tmp_path / "out.txt"
    printed.symlink_to("/dev/full")
    trial = Running(PLAIN, train, RECIPE, 7, tmp_path / "trial", threads=1, printed=printed)
    assert [result.epoch for result in trial.results() if result] == [1, 2, 3]
    trial.stop()
