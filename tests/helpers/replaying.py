"""Small tables with known truths, for the tests of replays."""

from collections.abc import Callable

import numpy as np

from benchmarks.recording.design import first_points
from benchmarks.recording.table import Table
from benchmarks.replay.surrogate import Replicates, Surrogate
from benchmarks.replay.world import World
from spaces import gradient_shares
from spaces.counts import FloatArray
from trainer.benchmarks import BENCHMARKS

COUNTS = np.array(BENCHMARKS["resnet8-digitslt"].counts)
EPOCHS = 8
TEST_IMAGES = 100_000

Curve = Callable[[FloatArray], FloatArray]
"""Final accuracies (W,) -> curves (W, EPOCHS) that never fall."""


def smooth(shares: FloatArray) -> FloatArray:
    """True final accuracies, 54 to 60 %, best inside the space: a peak in the head's share."""
    return np.asarray(54 + 6 * np.exp(-((shares[:, 0] - 0.22) ** 2) / 0.02))


def faithful(finals: FloatArray) -> FloatArray:
    """Curves that keep the order of the finals from the first epoch on."""
    return np.asarray(finals[:, None] - (EPOCHS - np.arange(1, EPOCHS + 1)))


def misleading(finals: FloatArray) -> FloatArray:
    """Curves whose order is reversed until the last epoch."""
    early = 30 + np.arange(1, EPOCHS + 1) - (finals[:, None] - finals.mean()) / 4
    return np.asarray(np.where(np.arange(1, EPOCHS + 1) == EPOCHS, finals[:, None], early))


def made_table(
    noise: float = 0.0,
    seed_effects: tuple[float, ...] = (0.0, 0.0, 0.0),
    truth: Curve = smooth,
    curve: Curve = faithful,
    weightings: int = 60,
    seed: int = 0,
) -> Table:
    """Return a table of digits weightings, one trial per weighting and seed effect (points)."""
    random = np.random.default_rng(seed)
    points = tuple(first_points(COUNTS, weightings))
    shares = np.stack([gradient_shares(COUNTS, p.weighting.weights(COUNTS)) for p in points])
    means, seeds = curve(truth(shares)), len(seed_effects)
    shift = np.add.outer(np.array(seed_effects), np.zeros(weightings))
    shift += noise * random.standard_normal(shift.shape)
    accuracies = (means[None] + shift[:, :, None]).reshape(-1, EPOCHS)
    correct = np.zeros((len(accuracies), EPOCHS, 2, len(COUNTS)), dtype=np.uint32)
    correct[:, :, 0, 0] = np.round(accuracies * TEST_IMAGES / 100)
    halves = np.zeros((2, len(COUNTS)), dtype=np.int64)
    halves[0, 0] = TEST_IMAGES
    trials = len(accuracies)
    return Table(
        description={"class_counts": COUNTS.tolist(), "test_counts": halves.tolist()},
        points=points,
        point=np.tile(np.arange(weightings), seeds),
        seed=np.repeat(np.arange(seeds), weightings),
        epochs=np.full(trials, EPOCHS),
        correct=correct,
        train_loss=np.zeros((trials, EPOCHS), dtype=np.float32),
        test_loss=np.zeros((trials, EPOCHS), dtype=np.float32),
        seconds=np.ones(trials, dtype=np.float32),
        finished=np.full(trials, "2026-01-01T00:00:00+00:00"),
        recordings=({},),
        recording=np.zeros(trials, dtype=np.int64),
        diverged={},
    )


def made_world(table: Table, space: str = "core") -> World:
    return World(Surrogate(Replicates.of(table)), COUNTS, space)
