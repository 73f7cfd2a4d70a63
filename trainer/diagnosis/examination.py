"""Examination of a network's predictions: reliability, confusion and losses by class, on the host.

All of it is counted in whole numbers, or summed in float64 in the order of the images.
"""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from trainer.diagnosis.records import (
    BINS,
    CONFIDENCE_UNIT,
    LOSS_DIGITS,
    Bin,
    Confusion,
    Examined,
    Losses,
)

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


def examined(
    epoch: int,
    said: Floats,
    labels: Integers,
    groups: Collection[npt.NDArray[np.bool_]],
    with_confusion: bool,
) -> Examined:
    """Return what a network says of images after an epoch.

    Args:
        said: (3, T): the predicted class of each image, its probability, and the image's loss.
        labels: (T,), true classes.
        groups: of classes, masks (C,).
    """
    classes = len(next(iter(groups)))
    predicted = said[0].astype(np.int64)
    return Examined(
        epoch=epoch,
        reliability=tuple(
            reliability(said[1][mask[labels]], (predicted == labels)[mask[labels]])
            for mask in groups
        ),
        losses=class_losses(said[2], labels, classes),
        confusion=confusion(labels, predicted, classes) if with_confusion else None,
    )


def reliability(confidences: Floats, correct: npt.NDArray[np.bool_]) -> tuple[Bin, ...]:
    """Return the images, correct images and sum of confidences in each bin of confidence.

    Bin b holds confidences, rounded to their unit, in [b / 15, (b + 1) / 15), the last one 1, too.
    """
    units = np.rint(confidences.astype(np.float64) / CONFIDENCE_UNIT).astype(np.int64)
    places = np.minimum((units * CONFIDENCE_UNIT * BINS).astype(np.int64), BINS - 1)
    columns = []
    for values in (np.ones_like(units), correct, units):  # sums below 2^53 are exact
        columns.append(np.bincount(places, weights=values, minlength=BINS).astype(np.int64))
    images, hits, sums = (column.tolist() for column in columns)
    return tuple(zip(images, hits, sums, strict=True))


def calibration_error(bins: Collection[Bin]) -> float | None:
    """Return the expected calibration error in [0, 1]; None without images.

    The mean over images of |accuracy - mean confidence| of their bin (Guo et al., ICML 2017).
    """
    images = sum(number for number, _, _ in bins)
    if not images:
        return None
    return sum(abs(hits - units * CONFIDENCE_UNIT) for _, hits, units in bins) / images


def together(reliability: Collection[Collection[Bin]]) -> tuple[Bin, ...]:
    """Return the bins of all groups in one."""
    return tuple(
        tuple(map(sum, zip(*bins, strict=True)))  # type: ignore[misc]
        for bins in zip(*reliability, strict=True)
    )


def confusion(labels: Integers, predicted: Integers, classes: int) -> Confusion:
    """Return (true class, predicted class, images) wherever there are images."""
    cells, images = np.unique(labels * classes + predicted, return_counts=True)
    rows, columns = np.divmod(cells, classes)
    return tuple(zip(rows.tolist(), columns.tolist(), images.tolist(), strict=True))


def class_losses(losses: Floats, labels: Integers, classes: int) -> Losses:
    """Return the mean loss of each class, to three digits; None for a class without images."""
    sums = np.bincount(labels, weights=losses, minlength=classes)
    images = np.bincount(labels, minlength=classes)
    return tuple(
        float(f"{total / number:.{LOSS_DIGITS - 1}e}") if number else None
        for total, number in zip(sums.tolist(), images.tolist(), strict=True)
    )
