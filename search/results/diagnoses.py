"""Diagnoses of arms, each over all of its runs that have one, as the run folder has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from search.config.objective import BenchmarkObjective
from search.store.run_folder import RunFolder, part_key
from search.store.trials import Row, TrialState
from spaces.counts import FloatArray
from trainer.diagnosis.records import Bin, Confusion, Losses
from trainer.results import EpochResult

RECENT = 0.1
"""Share of the epochs, the last ones, over which the progress of learning is measured."""


@dataclass(frozen=True)
class ArmDiagnosis:
    """What is known of an arm at the best epochs of its runs, and of its losses on the way there.

    All but ``train_losses`` is of the images that choose.

    Attributes:
        runs: that have a diagnosis.
        reliability: bins of each shot group, summed over the runs.
        confusion: images by true and predicted class, summed over the runs.
        test_losses: mean cross entropy by epoch and class, mean over the runs, (E, C).
        train_losses: the same of the training images; None where it is not kept. NaN where no run
            showed an image of the class in the epoch, as draws of few images may not; else the mean
            is over the runs that did.
    """

    runs: int
    reliability: tuple[tuple[Bin, ...], ...]
    confusion: Confusion
    test_losses: FloatArray
    train_losses: FloatArray | None

    @property
    def progress(self) -> FloatArray | None:
        """How much the training loss of each class falls in an epoch, of late, (C,)."""
        if self.train_losses is None:
            return None
        epochs = len(self.train_losses)
        back = max(round(RECENT * epochs), 1)
        first = max(epochs - 1 - back, 0)
        fall: FloatArray = (self.train_losses[first] - self.train_losses[-1]) / (
            epochs - 1 - first or 1
        )
        return fall

    @property
    def gaps(self) -> FloatArray | None:
        """The generalisation gap of each class: test less training loss in the last epoch, (C,)."""
        if self.train_losses is None:
            return None
        gap: FloatArray = self.test_losses[-1] - self.train_losses[-1]
        return gap


def arm_diagnosis(
    folder: RunFolder, rows: Iterable[Row], part: int, benchmark: BenchmarkObjective
) -> ArmDiagnosis | None:
    """Return the diagnosis of an arm, given the rows of its runs; None if none has one.

    Raises:
        UserError: the file of one is damaged.
    """
    runs = [
        folder.read_part(part_key(row.key, part), benchmark)
        for row in rows
        if row.state == TrialState.COMPLETE
    ]
    found = [
        (epochs[-1].diagnosis.best, epochs)
        for epochs in runs
        if epochs and epochs[-1].diagnosis and epochs[-1].diagnosis.best
    ]
    known = [(best, epochs) for best, epochs in found if best and best.confusion is not None]
    if not known:
        return None
    cells: Counter[tuple[int, int]] = Counter()
    for best, _ in known:
        cells.update({(true, named): n for true, named, n in best.confusion or ()})
    sums = np.sum([best.reliability for best, _ in known], axis=0).tolist()
    tests, trains = zip(*(_by_epoch(epochs) for _, epochs in known), strict=True)
    return ArmDiagnosis(
        runs=len(known),
        reliability=tuple(tuple((n, hits, units) for n, hits, units in bins) for bins in sums),
        confusion=tuple((true, named, n) for (true, named), n in sorted(cells.items())),
        test_losses=_mean(tests),
        train_losses=None if any(t is None for t in trains) else _mean(trains),
    )


def _by_epoch(epochs: Sequence[EpochResult]) -> tuple[FloatArray, FloatArray | None]:
    """The losses of the classes by epoch, of the test images and of the training images."""
    losses = [epoch.class_losses for epoch in epochs if epoch.class_losses]
    trains = [found.train for found in losses if found.train is not None]
    return _array([found.test for found in losses]), _array(trains) if trains else None


def _array(losses: Sequence[Losses]) -> FloatArray:
    return np.array(losses, dtype=np.float64)


def _mean(runs: Sequence[FloatArray]) -> FloatArray:
    """The mean over the runs where they are no NaN; NaN where all are."""
    losses = np.array(runs)
    known = ~np.isnan(losses)
    sums, numbers = np.where(known, losses, 0.0).sum(axis=0), known.sum(axis=0)
    return np.where(numbers > 0, sums / np.maximum(numbers, 1), np.nan)
