"""The reports of an own training: what they may hold, and how they are kept on disk."""

import math
from pathlib import Path

import numpy as np

from spaces.counts import as_number
from spaces.parts.words import number_of
from spaces.validation import checked_json
from trainer.benchmarks.metrics import score
from trainer.files import patiently
from trainer.own.class_counts import labels_of
from trainer.own.training import OwnTraining
from trainer.results import EpochResult, HalfCounts, half_counts, selection

REPORTS = "reports.jsonl"
"""In a trial's folder: every report, on disk before ``report`` returns."""

LONGEST_SECONDS = 1e9
"""Of an epoch."""


class ReportError(ValueError):
    """A report that breaks a rule; the function that called ``report`` ends with it."""


class DivergedError(ReportError):
    """A report of an accuracy that is no number: the network diverged."""


def share(epoch: int, accuracy: object) -> float:
    """Return a reported accuracy, 0 to 1."""
    value = as_share(accuracy)
    if isinstance(accuracy, str | bool) or not 0 <= value <= 1:
        raise ReportError(
            f"epoch {epoch}: accuracy is {accuracy!r}; report the share of correct images, from 0 "
            "to 1."
        )
    return value


def as_share(accuracy: object) -> float:
    """Return a reported accuracy as a number, -1 for what is none."""
    try:
        return float(accuracy)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return -1.0


def correct_images(epoch: int, correct: object, images: HalfCounts, in_halves: bool) -> HalfCounts:
    """Return reported correct images (2, C), of as many as ``images`` names."""
    classes = len(images[0])
    shape, fault = (2, classes) if in_halves else (classes,), ""
    try:
        labels = labels_of(correct)
        if labels and labels != sorted(labels):  # type: ignore[type-var]
            fault = "has labels that are in no order"
        if hasattr(correct, "tolist"):  # also of a tensor on a GPU
            correct = correct.tolist()
        numbers = np.asarray(correct)
        if numbers.shape != shape:
            fault = f"has the shape {numbers.shape}"
        elif numbers.dtype.kind not in "iu" and (numbers != np.floor(numbers)).any():
            fault = "has numbers that are not whole"
    except (TypeError, ValueError):
        fault = "is no list of numbers"
    if fault:
        wanted = f"two lists of {classes}" if in_halves else f"a list of {classes}"
        raise ReportError(
            f"epoch {epoch}: correct {fault}; report {wanted} whole numbers, of correct images in "
            "the order of the class counts."
        )
    halves = numbers if in_halves else np.stack([numbers, np.zeros_like(numbers)])
    there = np.asarray(images)
    wrong = np.argwhere((halves < 0) | (halves > there))
    if len(wrong):
        half, label = wrong[0]
        raise ReportError(
            f"epoch {epoch}: correct is {halves[half, label]} for class {label}, which has "
            f"{number_of(there[half, label], 'evaluated image')} by the class counts."
        )
    return half_counts(halves.astype(int).tolist())


def reported_score(
    training: OwnTraining, epoch: int, accuracy: object, correct: object
) -> tuple[float, HalfCounts | None]:
    """Return the score of a report in percent, and the correct images if it has them.

    Raises:
        ReportError: a value breaks a rule, or is an accuracy that is no number.
    """
    if correct is None and math.isnan(as_share(accuracy)):  # whatever the counts name
        raise DivergedError(f"epoch {epoch}: the accuracy is nan; the network diverged.")
    images = training.half_counts
    if (accuracy is None) is (correct is None) or (correct is None) is not (images is None):
        wanted, why = (
            ("accuracy=...", "the class counts name no evaluated images")
            if images is None
            else ("correct=...", "the class counts name evaluated images")
        )
        raise ReportError(f"epoch {epoch}: report {wanted} alone, as {why}.")
    if images is None:
        return 100 * share(epoch, accuracy), None
    numbers = correct_images(epoch, correct, images, training.in_halves)
    hits, there = (selection(n, training.test_held_out) for n in (numbers, images))
    percent = score(training.metric, hits, None, there)
    assert percent is not None
    return float(percent), numbers


def result_of(
    epoch: int, percent: float, best: float, images: HalfCounts | None, seconds: float
) -> EpochResult:
    """Return the result of an epoch of which a score is known; ``best`` is of those before."""
    return EpochResult(
        epoch=epoch,
        train_loss=None,
        test_loss=None,
        learning_rate=None,
        seconds=seconds,
        score=percent,
        best_score=max(best, percent),
        correct=images,
    )


def told_result(
    training: OwnTraining, accuracy: object, correct: object, seconds: object
) -> EpochResult:
    """Return the result of a training elsewhere, of which its end alone is told.

    Raises:
        ReportError: a value breaks a rule.
    """
    took = as_number(seconds)
    if not 0 <= took <= LONGEST_SECONDS:
        raise ReportError(f"seconds is {seconds!r}; tell a number from 0 to {LONGEST_SECONDS:g}.")
    percent, images = reported_score(training, 1, accuracy, correct)
    return result_of(1, percent, 0.0, images, took)


def recorded(folder: Path) -> list[EpochResult]:
    """Return the reports in a trial's folder, without a last line that is torn, which is cut.

    An epoch may be there twice, also of a process that was given up and had not ended; its last
    report counts.
    """
    path = folder / REPORTS
    try:
        content = patiently(path.read_bytes, path, "read")
    except FileNotFoundError:
        return []
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    results = (checked_json(EpochResult, line) for line in whole.splitlines())
    by_epoch = {result.epoch: result for result in results}
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]
