"""The examples of a training of one's own: they train, report, and go on from their checkpoints."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from repository import REPOSITORY

from spaces import Recipe
from trainer.own.declaration import own_training
from trainer.own.function import load_function
from trainer.own.running import Running
from trainer.own.training import OwnTraining
from trainer.results import EpochResult

EPOCHS = 3
EXAMPLES = ("resnet18_torch", "resnet18_lightning")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of torchvision's ResNet-18 with random weights."""
    from torchvision.models import resnet18

    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18().state_dict(), path)
    return path


@pytest.fixture
def images(
    tmp_path: Path,
    weights: Path,
    make_folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """A folder of images of which the examples are told, as a user tells them."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, value in {"IMAGES": tmp_path / "i", "WEIGHTS": weights, "SIDE": 32}.items():
        monkeypatch.setenv(name, str(value))
    yield make_folder(tmp_path / "i", (12, 6, 3), test=4)
    for name in EXAMPLES:
        sys.modules.pop(name, None)


def declared(name: str, counts: Path, capsys: pytest.CaptureFixture[str]) -> OwnTraining:
    """Return the training with the class counts that the example prints."""
    trainable = f"{REPOSITORY / 'examples' / name}.py:train"
    own_training(trainable, "[2, 1]", EPOCHS)  # imports it
    sys.modules[name].main()
    counts.write_text(capsys.readouterr().out)
    return own_training(trainable, str(counts), EPOCHS)


def begun(training: OwnTraining, folder: Path) -> Running:
    function = load_function(training.trainable, training.place)
    recipe = Recipe(training.train_counts, (0.5, 1.0, 1.5))
    return Running(training, function, recipe, 7, folder, threads=1)


def finished(training: OwnTraining, folder: Path) -> list[EpochResult]:
    running = begun(training, folder)
    results = [result for result in running.results() if result]
    running.stop()
    return results


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Lightning and what it brings
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_trains_and_goes_on_from_its_checkpoint(
    name: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "resnet18_lightning" and not importlib.util.find_spec("lightning"):
        pytest.skip("needs lightning")
    training = declared(name, tmp_path / "counts.csv", capsys)
    assert training.train_counts == (12, 6, 3)
    assert training.in_halves == (name == "resnet18_torch")
    running = begun(training, tmp_path / "stopped")
    found = (result for result in running.results() if result)
    first = [next(found), next(found)]  # by now there is a checkpoint of the first
    running.stop()
    results = finished(training, tmp_path / "stopped")
    assert results[:2] == first
    assert [result.epoch for result in results] == [1, 2, 3]
    if name == "resnet18_torch":  # each epoch of it has a seed of its own
        whole = finished(training, tmp_path / "whole")
        assert [result.correct for result in results] == [result.correct for result in whole]
