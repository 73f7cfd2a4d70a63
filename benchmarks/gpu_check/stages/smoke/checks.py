"""Stage that checks what the trainer computes on a device: captured, repeated, streamed or not."""

import contextlib
import dataclasses
import faulthandler
import os
import threading
import time
import traceback
from collections.abc import Iterator

import torch

from benchmarks.gpu_check.context import Context
from benchmarks.gpu_check.stages.smoke.case import Case, Check
from benchmarks.gpu_check.stages.smoke.streaming import Streaming
from benchmarks.throughput.worker import one_line
from spaces.parts.words import number_of
from trainer.runtime import PRECISIONS, configure

IMAGES, TEST_IMAGES = 4 * 128 + 95, 1000
BATCH = 128
EPOCHS = 2
HUNG_SECONDS = 90.0
"""The first kernels of our own take 20 to 40 s to compile."""
STREAMED_PRECISION = "tf32"


def run(context: Context) -> None:
    """Check each precision, with one of them streamed images, then a loss against the CPU's."""
    benchmark, data = context.images(IMAGES, TEST_IMAGES)
    benchmark = dataclasses.replace(benchmark, epochs=EPOCHS)
    failed = 0
    for precision in PRECISIONS:
        configure(precision, 1)
        case = Case(benchmark, data, precision, context.device)
        checks = case.checks()
        if precision == STREAMED_PRECISION:
            checks |= Streaming(case, data, context.scratch).checks()
        failed += failures(context, precision, checks)
    configure("fp32", 1)
    batch = context.images(BATCH, TEST_IMAGES)  # after further steps, chaos tells
    host, case = (Case(*batch, "fp32", device) for device in (torch.device("cpu"), context.device))
    failed += failures(context, "fp32", {"the loss is the CPU's": lambda: case.agrees(host)})
    if failed:
        raise RuntimeError(f"{number_of(failed, 'check')} failed.")


def failures(context: Context, precision: str, checks: dict[str, Check]) -> int:
    """Make the checks and return how many do not hold."""
    return sum(not check(context, f"{precision}: {name}", checks[name]) for name in checks)


def check(context: Context, name: str, action: Check) -> bool:
    """Put a row about one check and return whether it held; one that hangs ends the process."""
    start = time.perf_counter()
    try:
        with ended_if_hung(context, name):
            held, found = action()
    except Exception as error:  # a finding like others: the next check may hold
        traceback.print_exc()
        held, found = False, one_line(error)
    seconds = round(time.perf_counter() - start, 2)
    context.results.put(check=name, ok=held, seconds=seconds, found=found)
    return held


@contextlib.contextmanager
def ended_if_hung(context: Context, name: str) -> Iterator[None]:
    """End the process, with every thread's stack, if the enclosed code takes too long."""
    limit = HUNG_SECONDS * (10 if context.tiny else 1)

    def end() -> None:
        context.results.put(check=name, ok=False, seconds=limit, found="it hangs")
        faulthandler.dump_traceback(all_threads=True)
        os._exit(3)

    timer = threading.Timer(limit, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
