"""A watchdog ends a process whose GPU no longer answers, and which would wait without end."""

import os
import sys
import threading
import time
from collections.abc import Iterable

from trainer.execution.graphs import Queue

SILENT_SECONDS = 120.0
"""The longest step takes a second or so, even where many trials share a GPU."""
LOOKS = 12
"""In that time: so a process that was itself stopped for a while is not taken for a silent GPU."""


def watch(queues: Iterable[Queue], hardware: str) -> None:
    """End this process, with a sentence and exit code 1, if the queues' GPU hangs from now on.

    It hangs if it has work and reaches no mark in any of the queues for ``SILENT_SECONDS``.
    Another thread looks after it, because the one that gives it work may be stuck as well.
    """
    on_gpu = [queue for queue in queues if queue.stream]
    if on_gpu:
        threading.Thread(target=keep_watch, args=(on_gpu, hardware), daemon=True).start()


def keep_watch(queues: list[Queue], hardware: str) -> None:
    silent, before = 0, -1
    while silent < LOOKS:
        time.sleep(SILENT_SECONDS / LOOKS)
        answers = sum(queue.answers for queue in queues)
        waits = any(queue.marks for queue in queues)
        silent = silent + 1 if waits and answers == before else 0
        before = answers
    try:
        print(
            f"error: {hardware} has done none of its work for {SILENT_SECONDS:g} s; this process "
            "ends. What was saved goes on from there; if it happens again, look at nvidia-smi and "
            "restart the machine.",
            file=sys.stderr,
            flush=True,
        )
    finally:  # also where stderr is closed or full
        os._exit(1)
