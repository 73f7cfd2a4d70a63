"""Context of a stage: what it is to do, where, and on which device."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.gpu_check.made_up import TEST_IMAGES, made_up
from benchmarks.gpu_check.plan import Stage
from benchmarks.gpu_check.results import Results
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.prepared import ImageData
from trainer.trial import Trial

TINY = (148, 60)
"""Training and test images of a rehearsal: a full batch and a short one of 128."""


class LeftOutError(Exception):
    """The stage cannot run here, and that is no fault; the message is why."""


@dataclass(frozen=True)
class Context:
    """A stage and its surroundings.

    Attributes:
        seconds: it is ended after about as many.
        scratch: folder for what is not kept.
    """

    stage: Stage
    device: torch.device
    tiny: bool
    seconds: float
    data_root: Path | None
    scratch: Path
    results: Results

    @property
    def benchmark(self) -> Benchmark:
        """The stage's benchmark, with a small network in a rehearsal."""
        benchmark = BENCHMARKS[self.stage.benchmark]
        return dataclasses.replace(benchmark, network="resnet8") if self.tiny else benchmark

    def images(
        self, number: int | None = None, test_images: int = TEST_IMAGES
    ) -> tuple[Benchmark, ImageData]:
        """Return the benchmark and so many made-up images, or as few as a rehearsal takes."""
        sizes = TINY if self.tiny else (number, test_images)
        return made_up(self.benchmark, *sizes)

    def trial(self, benchmark: Benchmark, seed: int = 0) -> Trial:
        """Return an unweighted trial in the stage's precision."""
        weights = (1.0,) * benchmark.num_classes
        return Trial.weighted(benchmark, weights, seed, self.stage.precision, self.stage.compiled)

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
