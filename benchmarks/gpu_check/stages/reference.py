"""Stage that measures the seconds of a trial in the plain script, on the same device."""

import dataclasses
import time

from benchmarks.gpu_check.context import Context
from benchmarks.gpu_check.stages.speed import SEGMENTS
from benchmarks.throughput.arms import REFERENCE_PRECISION, Arm
from benchmarks.throughput.comparison import Segment
from benchmarks.throughput.plain import PlainTraining
from benchmarks.throughput.worker import peak_memory

SEED = 42


def run(context: Context) -> None:
    """Measure an epoch at a time with each number of loader workers, after one that is not."""
    benchmark, data = context.images()
    for workers in context.stage.workers:
        training = PlainTraining(benchmark, data, context.device, workers, SEED)
        training.epochs(1)
        arm = Arm(REFERENCE_PRECISION[context.device.type], workers=workers)
        for number in range(SEGMENTS):
            context.synchronize()
            start = time.perf_counter()
            trained, tested = training.epochs(1)
            context.synchronize()
            seconds = time.perf_counter() - start
            answer = {"seconds": seconds, "train_images": trained, "test_images": tested}
            segment = Segment.of([answer], benchmark)
            context.results.put(
                benchmark=benchmark.name,
                arm=dataclasses.asdict(arm),
                variant="none",
                segment=number,
                epochs=1,
                seconds_per_trial=segment.seconds_per_trial,
                images_per_second=segment.images_per_second,
                **peak_memory(context.device),
            )
