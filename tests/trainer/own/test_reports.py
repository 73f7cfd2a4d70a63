"""The reports of a trial: what they may hold, and that storage may be away for a moment."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

from spaces import Recipe
from trainer import files
from trainer.own.reports import REPORTS, ReportError, correct_images, recorded, result_of
from trainer.own.running import CHECKPOINTS, Running
from trainer.own.training import OwnTraining

TWICE = ((1, 50.0), (2, 60.0), (2, 70.0))


def test_storage_that_comes_back_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = result_of(1, 50.0, 0.0, None, 1.0)
    (tmp_path / REPORTS).write_text(json.dumps(result.to_dict()) + "\n")
    read, errors = Path.read_bytes, iter([OSError(errno.EIO, "away")])

    def away(path: Path) -> bytes:
        for error in errors:
            raise error
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", away)
    monkeypatch.setattr(files, "RETRY_SECONDS", 0.0)
    assert recorded(tmp_path) == [result]


def test_an_epoch_that_two_processes_reported_counts_once_and_training_goes_on_behind_it(
    tmp_path: Path,
) -> None:
    """The first one was cut off from the cluster, and not from the storage."""
    reports = [result_of(epoch, percent, 0.0, None, 1.0) for epoch, percent in TWICE]
    lines = "".join(json.dumps(result.to_dict()) + "\n" for result in reports)
    (tmp_path / REPORTS).write_text(lines)

    def train(weights: object, seed: int, report: Callable[..., None]) -> None:
        for epoch in (3, 4):
            report(epoch, accuracy=0.9)

    training = OwnTraining("own", "own:train", 4, (50, 20))
    running = Running(training, train, Recipe((50, 20), (1.0, 1.0)), 7, tmp_path, threads=1)
    found = [(r.epoch, r.score) for r in running.results() if r is not None]
    assert found == [(1, 50.0), (2, 70.0), (3, 90.0), (4, 90.0)]


def test_the_folder_of_checkpoints_is_made_when_storage_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, errors = Path.mkdir, iter([OSError(errno.EIO, "away")])

    def away(path: Path, **options: bool) -> None:
        for error in errors:
            raise error
        make(path, **options)

    monkeypatch.setattr(Path, "mkdir", away)
    monkeypatch.setattr(files, "RETRY_SECONDS", 0.0)
    training = OwnTraining("own", "own:train", 3, (50, 20))

    def train(weights: object, seed: int, report: object) -> None:
        """Nothing: it is not begun."""

    Running(training, train, Recipe((50, 20), (1.0, 1.0)), 7, tmp_path, threads=1)
    assert (tmp_path / CHECKPOINTS).is_dir()


def test_correct_images_in_the_order_of_their_frequency_are_refused() -> None:
    hits, images = pandas.Series([0, 1, 1]), ((8, 4), (0, 0))
    ranked = hits.value_counts()
    assert correct_images(1, ranked.sort_index(), images, False)[0] == (1, 2)
    with pytest.raises(ReportError, match=r"^epoch 1: correct has labels that are in no order; re"):
        correct_images(1, ranked, images, False)
