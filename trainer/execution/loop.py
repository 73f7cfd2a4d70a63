"""A network is trained under the fixed protocol: one generator of per-epoch results."""

import math
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from spaces.errors import UserError
from spaces.loss import POSTHOC
from trainer.benchmarks.benchmark import Benchmark
from trainer.benchmarks.metrics import score
from trainer.benchmarks.schedules import SCHEDULES
from trainer.diagnosis.examination import class_losses, examined
from trainer.diagnosis.records import ClassLosses, Diagnosis
from trainer.errors import CheckpointError
from trainer.execution import checkpoint
from trainer.execution.slot import Progress, Slot
from trainer.execution.task import Task
from trainer.results import (
    EpochResult,
    half_counts,
    posthoc_profile,
    selection,
    shot_groups,
)
from trainer.trial import Trial

P = ParamSpec("P")
R = TypeVar("R")
DISK_THREADS = ThreadPoolExecutor(thread_name_prefix="disk")
"""Read and write checkpoints; the process ends when they are done."""
NAP_SECONDS = 0.0005
"""Between looks at what is waited for; an epoch takes a hundred times as long, and more."""


class TrainingError(Exception):
    """Training cannot go on; ``epoch`` (1-based) is where and the message is why."""

    def __init__(self, epoch: int, reason: str) -> None:
        super().__init__(f"epoch {epoch}: {reason}")
        self.epoch = epoch


def learning_rates(benchmark: Benchmark, retraining: int | None = None) -> list[float]:
    """Return the learning rate of each epoch; from epoch ``retraining`` on the schedule is new."""
    schedule, first = SCHEDULES[benchmark.schedule], (retraining or benchmark.epochs + 1) - 1
    lengths = [first, benchmark.epochs - first] if retraining else [first]
    return [rate for length in lengths for rate in schedule(benchmark.learning_rate, length)]


def epoch_result(slot: Slot, epoch: int, rate: float, seconds: float, best: float) -> EpochResult:
    """Return what the slot's finished epoch amounts to; ``best`` is of the epochs before it.

    Raises:
        TrainingError: the training or the test loss is not finite.
    """
    train_loss, test_loss, counts = slot.outcome()
    for name, loss in (("training", train_loss), ("test", test_loss)):
        if not math.isfinite(loss):
            raise TrainingError(epoch, f"the {name} loss is {loss}; the network diverged.")
    benchmark, images = slot.trial.benchmark, slot.task.half_counts
    metric, held_out = benchmark.metric, benchmark.test_held_out
    correct, predicted = counts[POSTHOC.index(slot.trial.posthoc)]
    percent = score(metric, *(selection(n, held_out) for n in (correct, predicted, images)))
    assert percent is not None  # predicted counts are known here
    diagnosis = diagnosed(slot, epoch, is_best=not slot.history or bool(percent > best))
    return EpochResult(
        epoch=epoch,
        train_loss=train_loss,
        test_loss=test_loss,
        learning_rate=rate,
        seconds=seconds,
        score=float(percent),
        best_score=max(best, float(percent)),
        correct=half_counts(correct.tolist()),
        predicted=half_counts(predicted.tolist()),
        profile=posthoc_profile(counts, images, metric, held_out),
        diagnosis=diagnosis,
        class_losses=losses_by_class(slot) if slot.trial.diagnosed else None,
    )


def losses_by_class(slot: Slot) -> ClassLosses:
    """Return the losses of the classes in the slot's finished epoch."""
    classes = slot.task.num_classes
    said, labels = chosen_images(slot)
    shown = slot.inputs.training_labels()
    train = class_losses(slot.read_losses.numpy(), shown, classes)
    return ClassLosses(class_losses(said[2], labels, classes), train)


def chosen_images(slot: Slot) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return what was said, (3, T'), of the images that choose, and their classes, (T',)."""
    task = slot.task
    chosen = task.choosing if slot.trial.benchmark.test_held_out else slice(None)
    return slot.read_said.numpy()[:, chosen], task.evaluated_labels[chosen]


def diagnosed(slot: Slot, epoch: int, is_best: bool) -> Diagnosis | None:
    """Return the diagnosis of the slot's trial in its last epoch, and keep that of its best one."""
    trial, task, last = slot.trial, slot.task, epoch == slot.trial.benchmark.epochs
    if not is_best and not last:
        return None
    groups = shot_groups(task.classes.counts.tolist()).values()
    found = examined(epoch, *chosen_images(slot), groups, trial.diagnosed)
    if task.scenarios is not None:
        right = slot.read_said[0].numpy() == task.evaluated_labels
        found = replace(found, scenarios=task.scenarios.by_half(right, task.choosing))
    slot.examined = found if is_best else slot.examined
    if not last:
        return None
    summary = found if trial.diagnosed else replace(found, reliability=())
    return Diagnosis(slot.examined, None if is_best else summary)


def epochs(
    slot: Slot, trial: Trial, folder: Path | None, save_every: int
) -> Iterator[EpochResult | Progress]:
    """Train ``trial`` in ``slot`` as ``train`` does, yielding between batches too.

    To be advanced by ``advance``.
    """
    slot.queue.mark()
    slot.enter(trial)
    if folder:
        state = yield from elsewhere(checkpoint.newest, folder, slot.configuration(trial))
        if state:
            slot.restore(state)
    slot.resumable = True
    yield from list(slot.history)
    rates = learning_rates(trial.benchmark, slot.first_retraining_epoch)
    for epoch in range(len(slot.history) + 1, trial.benchmark.epochs + 1):
        yield from slot.epoch(epoch, rates[epoch - 1])
        seconds = time.perf_counter() - slot.began
        best = slot.history[-1].best_score if slot.history else 0.0
        result = epoch_result(slot, epoch, rates[epoch - 1], seconds, best)
        slot.history.append(result)
        if folder and epoch % save_every == 0 and epoch < trial.benchmark.epochs:
            state = slot.state()
            yield from slot.caught_up()
            yield from elsewhere(checkpoint.save, folder, epoch, state)
        yield result


def elsewhere(
    work: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> Generator[Progress, None, R]:
    """Yield until another thread has done the work, which waits for a disk, and return its result.

    So the slots beside this one go on. Who gives up the generator does not end the work.
    """
    future = DISK_THREADS.submit(work, *args, **kwargs)
    while not future.done():
        yield Progress.WAITING
    return future.result()


def save_position(slot: Slot, folder: Path) -> None:
    """Save where the slot's trial is, between two batches, so that nothing is trained again.

    Raises:
        CheckpointError: it cannot be written.
    """
    epoch, saved = len(slot.history), checkpoint.last_saved_epoch(folder)
    is_saved = epoch == saved and not slot.batch
    if is_saved or not slot.resumable or epoch == slot.trial.benchmark.epochs:
        return
    with slot.queue.here():
        state = slot.state()
    slot.queue.mark()
    slot.queue.wait()
    checkpoint.save(folder, epoch, state)


def advance(slot: Slot, work: Iterator[EpochResult | Progress]) -> EpochResult | Progress | None:
    """Return the next item of the slot's work, queued on the slot's stream; None at its end.

    Marks that were reached are seen also while it waits for a disk: a watchdog looks at them.
    """
    with slot.queue.here():
        slot.queue.reached()
        try:
            return next(work, None)
        except (OSError, UserError, CheckpointError):  # of a disk, between two batches
            raise
        except Exception:
            slot.resumable = False
            raise


def train(
    trial: Trial,
    task: Task,
    folder: Path | None = None,
    save_every: int = 10,
    slot: Slot | None = None,
) -> Iterator[EpochResult]:
    """Yield the result of every epoch of ``trial``, from the first to the last.

    With a ``folder``, progress is saved there every ``save_every`` epochs, before the epoch is
    yielded. Epochs already behind the newest checkpoint are yielded from it without training, and
    training goes on bit-exactly from there. A ``slot`` that is given is used, else one is made.

    Raises:
        TrainingError: the loss is no longer finite.
        CheckpointError: the folder's checkpoints cannot be used, or one cannot be written.
    """
    for item in train_by_batches(slot or Slot(trial, task), trial, folder, save_every):
        if item is not None:
            yield item


def train_by_batches(
    slot: Slot, trial: Trial, folder: Path | None, save_every: int
) -> Iterator[EpochResult | None]:
    """Train as ``train`` does, yielding None after every batch, too."""
    work = epochs(slot, trial, folder, save_every)
    while (item := advance(slot, work)) is not None:
        if isinstance(item, EpochResult):
            yield item
        elif item is Progress.WAITING:
            time.sleep(NAP_SECONDS)
        else:
            yield None
