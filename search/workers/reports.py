"""The reports of a worker to the driver: some epochs at a time, and how the trial ended."""

import json
import logging
import platform
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from ray.exceptions import RayError

from search.workers.schedule import Batches, Leg, PartResult
from search.workers.setup import WorkerSetup
from spaces.errors import UserError
from trainer.errors import CheckpointError
from trainer.execution.loop import TrainingError
from trainer.own.running import FunctionError
from trainer.results import EpochResult

REPORT_SECONDS = 5.0
"""A worker that has trained so long reports; a driver hears of a fast trial at its stages only."""


class Warnings(logging.Handler):
    """Keeps what the trainer warns of until it is taken, to be told where people look."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


def report(
    results: Iterator[PartResult],
    legs: Sequence[Leg],
    hardware: Callable[[], str | None],
    warnings: Warnings,
) -> dict[str, Any]:
    """Take results until the driver must hear of them, and return the report.

    It holds the ``epochs`` since the last one, a JSON list of pairs (part, epoch), the
    ``hardware`` that trained them, the ``warnings`` that came up, and whether the trial is
    ``done``, which it is after the last of its ``legs``. In the middle of an epoch, ``within``
    is (part, batches done, of how many), which nobody records. A failure of the training is in
    it as ``failure`` and ``traceback``, with ``diverged`` if it is the weights' fault; what is
    not the trial's fault (a file system or Ray that fails, data or a device that is missing) as
    ``halt``.
    """
    epochs: list[tuple[int, EpochResult]] = []
    end = take_epochs(results, legs, epochs)
    # As text: Tune flattens nested dicts on the way to its schedulers.
    text = json.dumps([(part, result.to_dict()) for part, result in epochs])
    # A worker knows its hardware only once it has begun to train.
    facts = {"epochs": text, "hardware": hardware(), "warnings": warnings.take(), "within": None}
    return facts | end


def take_epochs(
    results: Iterator[PartResult], legs: Sequence[Leg], epochs: list[tuple[int, EpochResult]]
) -> dict[str, Any]:
    """Add a report's epochs to ``epochs``; return whether, and if need be why, it is the last.

    The epochs before a failure stay in the list.
    """
    begin = time.monotonic()
    stage_ends = [(leg.part, leg.until) for leg in legs if leg.ends_stage]
    try:
        for part, item in results:
            late = time.monotonic() - begin >= REPORT_SECONDS
            if isinstance(item, Batches):
                if late:
                    return {"done": False, "within": (part, *item)}
                continue
            epochs.append((part, item))
            if late or (part, item.epoch) in stage_ends:
                return {"done": (part, item.epoch) == stage_ends[-1]}
        return {"done": True}
    except TrainingError as error:
        return failure(str(error), diverged=True)
    except FunctionError as error:
        return failure(error.reason, error.details, error.diverged)
    except (OSError, CheckpointError, UserError) as error:
        return {"halt": f"{type(error).__name__} on a worker: {error}", "done": True}
    except RayError as error:  # which brings the images; its text has several lines
        text = " ".join(str(error).split())
        return {"halt": f"{type(error).__name__} on a worker: {text}", "done": True}
    except torch.OutOfMemoryError:
        # Not again: it would find as little room. What else is on the GPU is not ours to end.
        return failure("the GPU's memory is full; give fewer --slots", traceback.format_exc())
    except Exception as error:
        # Whatever went wrong in the code or the data would go wrong again on another worker.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return failure(reason, traceback.format_exc())


def failure(reason: str, details: str = "", diverged: bool = False) -> dict[str, Any]:
    """Return the end of the report of a trial that failed."""
    return {"failure": reason, "traceback": details, "diverged": diverged, "done": True}


def refusal(error: Exception, setup: WorkerSetup, slots: int, hardware: str | None) -> Exception:
    """Return what all trials are told where engines cannot be made: it is no fault of theirs.

    Args:
        slots: of each engine.
        hardware: that was to train; None if even its name could not be read.
    """
    if isinstance(error, (UserError, OSError, RayError)):
        return error
    traceback.print_exception(error)
    hardware = hardware or f"the GPU of worker {platform.node()}"
    names = " and ".join(benchmark.name for benchmark in setup.benchmarks)
    if isinstance(error, torch.OutOfMemoryError):
        return UserError(
            f"the memory of {hardware} does not hold --slots {slots} of {names}; give fewer."
        )
    reason = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(".")
    return UserError(
        f"{hardware} cannot train {names} ({reason}); try --device cpu, or without --compile."
    )
