"""Stage that measures the seconds of a trial by the number of trials side by side.

Seconds of a whole trial are extrapolated from segments in steady state, the test after each epoch
included, and shared among the trials side by side.
"""

import dataclasses
import time

import torch

from benchmarks.gpu_check.context import Context
from benchmarks.gpu_check.stages.variants import VARIANTS
from benchmarks.gpu_check.stored import stored
from benchmarks.throughput.arms import Arm
from benchmarks.throughput.comparison import Segment
from benchmarks.throughput.rounds import SEGMENT_SECONDS
from benchmarks.throughput.worker import EngineTraining, peak_memory
from trainer.benchmarks import Benchmark
from trainer.execution.slot import Slot
from trainer.execution.task import Task
from trainer.trial import Trial

SEGMENTS = 3
"""Timed of each arm."""
STEP_REPETITIONS = 15
TINY_SLOTS = 2


def run(context: Context) -> None:
    """Measure all numbers of trials side by side, with slots added from one to the next."""
    stage = context.stage
    VARIANTS[stage.variant]()
    benchmark, data = context.images()
    if stage.variant == "streamed":
        data = stored(data, context.scratch)
    start = time.perf_counter()
    trial = context.trial(benchmark)
    training = EngineTraining([trial], Task(data, benchmark.padding, context.device), graphs=True)
    context.results.put(first_slot_seconds=time.perf_counter() - start)
    if context.device.type == "cuda":
        steps(context, training.engine.free[0])
    for slots in [n for n in stage.slots if n <= TINY_SLOTS or not context.tiny]:
        try:
            grow(training, trial, slots)
        except torch.OutOfMemoryError as error:
            context.results.put(slots=slots, out_of_memory=str(error)[:200])
            return
        measure(context, training, benchmark, slots)


def grow(training: EngineTraining, like: Trial, slots: int) -> None:
    """Let so many trials train side by side."""
    for seed in range(len(training.trials), slots):
        training.engine.free.append(Slot(like, training.task))
        training.trials[str(seed)] = dataclasses.replace(like, seed=seed)


def measure(context: Context, training: EngineTraining, benchmark: Benchmark, slots: int) -> None:
    """Put a row for each segment, after an epoch that says how long the others are."""
    stage = context.stage
    arm = Arm(stage.precision, slots, None, stage.compiled, stage.variant != "fast")
    first = timed(context, training, 1)["seconds"]
    epochs = 1 if context.tiny else max(1, round(SEGMENT_SECONDS / first))
    for number in range(SEGMENTS):
        answer = timed(context, training, epochs)
        segment = Segment.of([answer], benchmark)
        context.results.put(
            benchmark=benchmark.name,
            arm=dataclasses.asdict(arm),
            variant=stage.variant,
            segment=number,
            epochs=epochs,
            seconds_per_trial=segment.seconds_per_trial,
            images_per_second=segment.images_per_second,
            host_share=answer["host_share"],
            **peak_memory(context.device),
        )


def timed(context: Context, training: EngineTraining, epochs: int) -> dict[str, float]:
    """Train so many epochs; return what they took, and the share of it that the host worked."""
    context.synchronize()
    start, busy = time.perf_counter(), time.thread_time()
    trained, tested = training.epochs(epochs)
    context.synchronize()
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "train_images": trained,
        "test_images": tested,
        "host_share": (time.thread_time() - busy) / seconds,
    }


def steps(context: Context, slot: Slot) -> None:
    """Tell the milliseconds of each of a slot's steps on the GPU, one after another."""
    times = 1 if context.tiny else STEP_REPETITIONS  # each goes on to the next images
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with slot.queue.here():
        slot.enter(slot.like)
        for name, step in slot.steps.items():
            slot.rewind()
            step()
            slot.rewind()
            begin.record()
            for _ in range(times):
                step()
            end.record()
            end.synchronize()
            milliseconds = begin.elapsed_time(end) / times
            context.results.put(step=name, milliseconds=milliseconds)
