"""Process of a stage: runs it by its name, and appends its figures to the results."""

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.gpu_check.context import Context, LeftOutError
from benchmarks.gpu_check.plan import STAGES
from benchmarks.gpu_check.results import FILE, Results
from benchmarks.gpu_check.stages import (
    accuracy,
    device,
    kernels,
    reference,
    resumed_search,
    speed,
    warm,
)
from benchmarks.gpu_check.stages.smoke import checks
from benchmarks.gpu_check.stages.suite import stage as suite
from benchmarks.throughput.worker import Warned, one_line
from trainer.arguments import Parser
from trainer.provenance import device_name, provenance
from trainer.runtime import available_cpus, configure, select_device

KINDS: dict[str, Callable[[Context], None]] = {
    "accuracy": accuracy.run,
    "facts": device.run,
    "plain": reference.run,
    "profile": kernels.run,
    "search": resumed_search.run,
    "smoke": checks.run,
    "speed": speed.run,
    "tests": suite.run,
    "warm": warm.run,
}
LOOK_SECONDS = 0.2
LOGGERS = ("trainer", "torch._dynamo", "torch._inductor")


def parser() -> Parser:
    made = Parser(prog="python -m benchmarks.gpu_check.stages")
    add = made.add_argument
    add("stage", choices=STAGES)
    add("--out", type=Path, required=True)
    add("--scratch", type=Path, required=True)
    add("--seconds", type=float, required=True)
    add("--device", required=True)
    add("--data-root", type=Path)
    add("--tiny", action="store_true")
    return made


def end_with_parent() -> None:
    """End the process, and its helpers, when the one that started it is gone, however that ended.

    Otherwise it would go on using the GPU beside what is measured next.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def main() -> int:
    """Run the stage; return 0, or 1 if it failed."""
    options = parser().parse_args()
    faulthandler.enable()
    end_with_parent()
    results = Results(options.out / FILE, options.stage)
    warned = Warned()
    for name in LOGGERS:
        logging.getLogger(name).addHandler(warned)
    try:
        stage = STAGES[options.stage]
        if stage.kind != "plain":  # before CUDA starts, which reads some of it then
            configure(
                stage.precision,
                threads=1,
                reproducible=stage.variant != "fast",
                native_batch_norm=stage.variant == "native-bn",
                fused=stage.variant in ("none", "streamed"),
            )
        found = select_device(options.device)
        if found.type == "cuda":
            torch.cuda.set_device(found)  # Triton's kernels run on the current one
        story = {"hardware": device_name(found), "cpus": available_cpus(), **provenance()}
        results.put(story=story, tiny=options.tiny)
        KINDS[stage.kind](
            Context(
                stage=stage,
                device=found,
                tiny=options.tiny,
                seconds=options.seconds,
                data_root=options.data_root,
                scratch=options.scratch,
                results=results,
            )
        )
    except LeftOutError as reason:
        results.put(left_out=str(reason))
    except Exception as error:  # told where the other figures are
        traceback.print_exc()
        results.put(failed=one_line(error))
        return 1
    finally:
        if warned.lines:
            results.put(warnings=sorted({line[:300] for line in warned.lines}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
