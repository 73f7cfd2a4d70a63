"""A network is trained with class weights under the fixed protocol of a benchmark.

The public names are loaded when they are first used: `train` needs torch, which takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.benchmarks import Benchmark, get_benchmark
    from trainer.execution.loop import train
    from trainer.results import EpochResult
    from trainer.trial import Trial

__all__ = ["Benchmark", "EpochResult", "Trial", "get_benchmark", "train"]

_MODULES = {
    "Benchmark": "trainer.benchmarks",
    "EpochResult": "trainer.results",
    "Trial": "trainer.trial",
    "get_benchmark": "trainer.benchmarks",
    "train": "trainer.execution.loop",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
