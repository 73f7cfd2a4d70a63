"""The public names of the trainer: they are all there, and torch is loaded for training alone."""

import subprocess
import sys

import pytest

import trainer
import trainer.benchmarks

LIGHT = """
import sys
import trainer
from trainer import Benchmark, EpochResult, Trial, get_benchmark
assert not {"torch", "pydantic"} & sys.modules.keys()
"""


@pytest.mark.parametrize("module", (trainer, trainer.benchmarks))
def test_every_public_name_is_there_and_comes_from_the_package(module: object) -> None:
    names = module.__all__  # type: ignore[attr-defined]
    assert names == sorted(names)
    assert all(getattr(module, name) is not None for name in names)
    with pytest.raises(AttributeError, match="trian"):
        getattr(module, "trian")  # noqa: B009 (a name that is no attribute)


def test_only_training_loads_torch() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)
