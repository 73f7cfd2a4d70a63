"""Stage that compiles what timed stages will run, into the compiler's cache on disk."""

import time

from benchmarks.gpu_check.context import Context
from trainer.execution.slot import Slot
from trainer.execution.task import Task


def run(context: Context) -> None:
    """Run every step once, kernel by kernel."""
    benchmark, data = context.images()
    start = time.perf_counter()
    task = Task(data, benchmark.padding, context.device)
    slot = Slot(context.trial(benchmark), task, graphs=False)
    with slot.queue.here():
        slot.enter(slot.like)
        for step in slot.steps.values():
            slot.rewind()
            step()
    context.synchronize()
    context.results.put(compiled=context.stage.precision, seconds=time.perf_counter() - start)
