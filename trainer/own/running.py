"""The running of an own training: its function in a thread of its own, its reports on disk."""

import contextlib
import io
import json
import operator
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TextIO

from spaces.parts.words import number_of
from spaces.recipe import Recipe
from trainer.files import append_whole, patiently
from trainer.own.function import Function, values_for
from trainer.own.reports import (
    REPORTS,
    DivergedError,
    ReportError,
    recorded,
    reported_score,
    result_of,
)
from trainer.own.training import OwnTraining
from trainer.results import EpochResult

CHECKPOINTS = "own"
"""In a trial's folder: what the function itself writes."""
LOOK_SECONDS = 1.0
"""Between looks at how far a trial is, while its next report is waited for."""
LEAVE_SECONDS = 10.0
"""How long a function that is ended has for its last lines."""


class FunctionError(Exception):
    """A function failed; ``details`` is where, ``diverged`` if it is the weights' fault."""

    def __init__(self, reason: str, details: str = "", diverged: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.details, self.diverged = reason, details, diverged


class TrainingStopped(BaseException):
    """What ``report`` raises where the trial goes no further: early stopping, or the search ends.

    A BaseException, so that a function which handles errors does not go on; its ``finally`` runs.
    """


class Printed(io.TextIOWrapper):
    """A text file for what is printed: what its disk does not take is dropped, or written later.

    Else a function would fail at a print, and its trial with it, while storage is away.
    """

    def __init__(self, file: io.BufferedWriter, line_buffering: bool) -> None:
        super().__init__(file, "utf-8", "backslashreplace", line_buffering=line_buffering)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


class Running:
    """A trial of an own training, which runs only while its next report is waited for.

    The function has a thread of its own. In ``report`` it waits until somebody wants another
    epoch, so that early stopping can decide at a rung; of an earlier process's reports it is told
    nothing and repeats them at will, for what is on disk counts.
    """

    def __init__(
        self,
        training: OwnTraining,
        function: Function,
        recipe: Recipe,
        seed: int,
        folder: Path,
        threads: int,
        device: str = "cpu",
        printed: Path | None = None,
    ) -> None:
        """Begin nothing yet.

        Args:
            folder: of the trial's reports and checkpoints; it is made.
            threads: CPUs that the trial holds.
            device: "cuda" if it holds a GPU or a share of one, else "cpu".
            printed: file to which all that this process prints is added meanwhile; None to leave
                it where it goes.
        """
        self.training, self.folder, self.printed = training, folder, printed
        self.known = recorded(folder)
        self.reported = 0
        self.outcomes: SimpleQueue[EpochResult | FunctionError | OSError | None] = SimpleQueue()
        self.output: TextIO | None = None
        self.turn = threading.Semaphore(0)
        self.stopped = False
        checkpoints = folder / CHECKPOINTS
        patiently(partial(checkpoints.mkdir, parents=True, exist_ok=True), checkpoints)
        values = {
            "weights": recipe.weights,
            "recipe": recipe,
            "seed": seed,
            "report": self.report,
            "epochs": training.epochs,
            "counts": training.train_counts,
            "dataset": training.dataset,
            "checkpoints": checkpoints,
            "threads": threads,
            "device": device,
        }
        given = values_for(function, training.trainable, values)
        self.thread = threading.Thread(target=self._run, args=(partial(function, **given),))
        self.thread.daemon = True  # what never reports must not hold the process
        self.began = 0.0

    def results(self) -> Iterator[EpochResult | None]:
        """Yield the result of every epoch, those on disk first; None while the next is waited for.

        Raises:
            FunctionError: the function raised, reported what breaks a rule, or returned too early.
            OSError: a report, or the file of what is printed, cannot be written.
        """
        yield from list(self.known)
        if len(self.known) == self.training.epochs:
            return
        if path := self.printed:  # here, where a full disk is no fault of the function
            self.output = Printed(patiently(lambda: path.open("ab"), path), line_buffering=True)
        self.began = time.perf_counter()
        self.thread.start()
        while True:
            try:
                outcome = self.outcomes.get(timeout=LOOK_SECONDS)
            except Empty:
                yield None
                continue
            if outcome is None:
                raise self._early_end()
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome
            if outcome.epoch == self.training.epochs:
                return
            self.turn.release()

    def stop(self) -> None:
        """Let the function end at its next report, and give it some seconds for that."""
        self.stopped = True
        self.turn.release()
        if self.thread.is_alive():
            self.thread.join(LEAVE_SECONDS)

    def report(self, epoch: int, accuracy: float | None = None, correct: object = None) -> None:
        """Take the result of an epoch, and wait until the next one is wanted.

        Args:
            epoch: 1, 2, 3 and so on. A function that goes on from a checkpoint begins with the
                epoch after it; epochs that were reported before change nothing.
            accuracy: share of correct images, 0 to 1; where the class counts name no evaluated
                images.
            correct: correct images of each class, (C,), or (2, C) where they come by half; where
                the class counts name evaluated images.

        Raises:
            ReportError: a value breaks a rule; the trial has failed.
        """
        if self.stopped:
            raise TrainingStopped
        try:
            result = self._result(epoch, accuracy, correct)
        except ReportError as error:
            self._fail(error)
            raise
        self.reported = int(epoch)
        if result is None:
            self.began = time.perf_counter()
            return
        line = json.dumps(result.to_dict()).encode() + b"\n"
        try:
            append_whole(self.folder / REPORTS, line, sync=True)
        except OSError as error:  # no fault of the function
            self.outcomes.put(error)
            raise TrainingStopped from error
        self.known.append(result)
        self.outcomes.put(result)
        if result.epoch == self.training.epochs:
            return
        self.turn.acquire()
        if self.stopped:
            raise TrainingStopped
        self.began = time.perf_counter()

    def _run(self, function: Callable[[], object]) -> None:
        try:
            with printing_to(self.output):
                function()
            self.outcomes.put(None)
        except TrainingStopped:
            self.outcomes.put(None)
        except BaseException as error:  # a function that ends the process, too, fails its trial
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        lines = traceback.format_exception(error)
        if isinstance(error, ReportError):  # it is raised here; where ``report`` is called counts
            lines = [*traceback.format_stack(), *lines]
        details = "".join(lines)
        reason = str(error).partition("\n")[0]
        if not isinstance(error, ReportError):
            reason = f"{type(error).__name__}: {reason}"
        self.outcomes.put(FunctionError(reason, details, isinstance(error, DivergedError)))

    def _early_end(self) -> FunctionError:
        done, epochs = len(self.known), self.training.epochs
        said = f"reported {done} of {number_of(epochs, 'epoch')}" if done else "reported no epoch"
        return FunctionError(
            f"{self.training.trainable} returned and {said}; it must call report(epoch, ...) after "
            f"each of the epochs 1 to {epochs}."
        )

    def _result(self, epoch: object, accuracy: object, correct: object) -> EpochResult | None:
        """Return what a report amounts to; None for an epoch that is known."""
        number = self._epoch(epoch)
        percent, images = reported_score(self.training, number, accuracy, correct)
        if number <= len(self.known):
            return None
        best = max((result.score for result in self.known), default=0.0)
        return result_of(number, percent, best, images, time.perf_counter() - self.began)

    def _epoch(self, epoch: object) -> int:
        try:
            number = operator.index(epoch)  # type: ignore[arg-type]
        except TypeError:
            number = 0
        last = self.training.epochs
        if isinstance(epoch, bool) or not 1 <= number <= last:
            raise ReportError(f"epoch is {epoch!r}; report whole numbers from 1 to {last}.")
        before = self.reported
        if before and number != before + 1:
            raise ReportError(
                f"epoch {number} was reported after epoch {before}; report 1, 2, 3 and so on, each "
                "once."
            )
        if number > len(self.known) + 1:
            raise ReportError(
                f"epoch {number} was reported first, but the epoch before was never; begin with 1, "
                "and report an epoch before a checkpoint of it is saved."
            )
        return number


@contextlib.contextmanager
def printing_to(file: TextIO | None) -> Iterator[None]:
    """Add what this process prints to a file, if one is given, which is closed at the end."""
    if file is None:
        yield
        return
    try:
        with file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            yield
    finally:
        path = Path(file.name)
        with contextlib.suppress(OSError):  # it is on a disk that is away, too
            if not path.stat().st_size:
                path.unlink()
