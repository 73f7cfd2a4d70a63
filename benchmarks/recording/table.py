"""Recorded table: what is known of every trial and epoch, as arrays and as one small file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.recording.design import Point
from benchmarks.recording.table_folder import (
    FORMAT,
    ArrayFileError,
    RecordedTrial,
    TableFolder,
    array_bytes,
    read_arrays,
)
from spaces import gradient_shares
from spaces.errors import UserError

Half = Literal["A", "B"]
_HALVES: dict[Half | None, list[int]] = {None: [0, 1], "A": [0], "B": [1]}
_ARRAYS = (
    "point",
    "seed",
    "epochs",
    "correct",
    "train_loss",
    "test_loss",
    "seconds",
    "finished",
    "recording",
)


@dataclass(frozen=True, eq=False)
class Table:
    """T trials of E epochs on C classes, seed by seed and in the order of the design.

    Attributes:
        description: what table.json says: benchmark, precision, class counts and so on.
        points: the W weightings that have trials, in the order of the design.
        point: index into ``points`` of each trial, int64 (T,).
        seed: training seed of each trial, int64 (T,).
        epochs: how many epochs were recorded, int64 (T,): fewer than E where the trial diverged.
        correct: correct test images by half and class, unsigned (T, E, 2, C), 0 behind ``epochs``.
        train_loss, test_loss: float32 (T, E), NaN behind ``epochs``.
        seconds: wall time of each trial, with the others beside it, float32 (T,).
        finished: when each trial ended, UTC, ISO 8601, (T,).
        recordings: hardware, versions and so on of each start of the program.
        recording: index into ``recordings`` of each trial, int64 (T,).
        diverged: trial -> why it has fewer epochs.
    """

    description: dict[str, Any]
    points: tuple[Point, ...]
    point: NDArray[np.int64]
    seed: NDArray[np.int64]
    epochs: NDArray[np.int64]
    correct: NDArray[Any]
    train_loss: NDArray[np.float32]
    test_loss: NDArray[np.float32]
    seconds: NDArray[np.float32]
    finished: NDArray[np.str_]
    recordings: tuple[dict[str, Any], ...]
    recording: NDArray[np.int64]
    diverged: dict[int, str]

    @classmethod
    def load(cls, path: Path) -> "Table":
        """Return the table of a packed file, or of a folder TABLE/BENCHMARK.

        Raises:
            UserError: it is neither, or a file of it is damaged.
        """
        return from_folder(TableFolder(path)) if path.is_dir() else from_packed(path)

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """Training images of each class, int64 (C,)."""
        return np.array(self.description["class_counts"], dtype=np.int64)

    @property
    def test_counts(self) -> NDArray[np.int64]:
        """Test images by half and class, int64 (2, C)."""
        return np.array(self.description["test_counts"], dtype=np.int64)

    def accuracies(self, half: Half | None = None) -> NDArray[np.float64]:
        """Return top-1 in percent, float64 (T, E), NaN behind ``epochs``; on one half if given."""
        halves = _HALVES[half]
        hits = self.correct[:, :, halves].sum(axis=(2, 3), dtype=np.int64)
        behind = np.arange(self.correct.shape[1]) >= self.epochs[:, None]
        return np.where(behind, np.nan, 100.0 * hits / self.test_counts[halves].sum())

    def best_so_far(self, half: Half | None = None) -> NDArray[np.float64]:
        """Return the highest accuracy of the epochs up to each, float64 (T, E), in percent.

        Behind ``epochs`` it stays what it was; NaN where there is no epoch at all.
        """
        return np.asarray(np.fmax.accumulate(self.accuracies(half), axis=1))

    def weights(self) -> NDArray[np.float64]:
        """Return each weighting's class weights, float64 (W, C), scaled to sum to C."""
        return np.stack([p.weighting.weights(self.class_counts) for p in self.points])

    def gradient_shares(self) -> NDArray[np.float64]:
        """Return each weighting's expected gradient shares, float64 (W, C)."""
        return np.stack([gradient_shares(self.class_counts, w) for w in self.weights()])

    def replicates(self) -> list[NDArray[np.int64]]:
        """Return the trials of each of ``points``, seeds ascending, int64 arrays."""
        return [np.flatnonzero(self.point == index) for index in range(len(self.points))]

    def named(self, name: str) -> int:
        """Return the index into ``points`` of a named weighting; KeyError if it has no trial."""
        for index, point in enumerate(self.points):
            if name in point.names:
                return index
        raise KeyError(name)

    def to_bytes(self) -> bytes:
        """Return the packed file."""
        content = {
            "packed": FORMAT,
            "description": self.description,
            "design": [point.to_dict() for point in self.points],
            "recordings": self.recordings,
            "diverged": {str(trial): reason for trial, reason in self.diverged.items()},
        }
        return array_bytes(content, {name: getattr(self, name) for name in _ARRAYS})


def from_packed(path: Path) -> Table:
    content, arrays = read_arrays(path)
    if content.get("packed") != FORMAT:
        raise UserError(f"{path} is no packed table of format {FORMAT}; pack the folder again.")
    try:
        return Table(
            description=content["description"],
            points=tuple(Point.from_dict(point) for point in content["design"]),
            recordings=tuple(content["recordings"]),
            diverged={int(trial): reason for trial, reason in content["diverged"].items()},
            **{name: arrays[name] for name in _ARRAYS},
        )
    except KeyError as error:
        raise ArrayFileError(f"{path} lacks a part ({error}); pack the folder again.") from error


def from_folder(folder: TableFolder) -> Table:
    description = folder.description()
    trials, damaged = folder.read()
    for error in damaged.values():
        raise error
    if not trials:
        raise UserError(f"{folder.path} holds no trials yet; record some first.")
    return assemble(description, trials)


def assemble(description: dict[str, Any], trials: list[RecordedTrial]) -> Table:
    """Return the table of these trials, one at least, in their order."""
    stories = [trial.story for trial in trials]
    points = {story["number"]: Point.from_dict(story) for story in stories}
    numbers = sorted(points)
    recordings, recording = distinct([story["recording"] for story in stories])
    full = int(description["definition"]["epochs"])
    return Table(
        description=description,
        points=tuple(points[number] for number in numbers),
        point=np.searchsorted(numbers, [trial.job.number for trial in trials]).astype(np.int64),
        seed=np.array([trial.job.seed for trial in trials], dtype=np.int64),
        epochs=np.array([len(trial.correct) for trial in trials], dtype=np.int64),
        correct=stacked([t.correct for t in trials], full, 0),
        train_loss=stacked([t.train_loss for t in trials], full, np.nan),
        test_loss=stacked([t.test_loss for t in trials], full, np.nan),
        seconds=np.array([story["seconds"] for story in stories], dtype=np.float32),
        finished=np.array([story["finished"] for story in stories]),
        recordings=tuple(recordings),
        recording=np.array(recording, dtype=np.int64),
        diverged={i: s["diverged"] for i, s in enumerate(stories) if s["diverged"]},
    )


def distinct(stories: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[int]]:
    """Return each story once, and where every one of ``stories`` is among them."""
    found: list[dict[str, Any]] = []
    places = []
    for story in stories:
        if story not in found:
            found.append(story)
        places.append(found.index(story))
    return found, places


def stacked(parts: list[NDArray[Any]], epochs: int, missing: float) -> NDArray[Any]:
    """Return parts (n <= epochs, ...) as one array (len(parts), epochs, ...), filled up."""
    whole = np.full((len(parts), epochs, *parts[0].shape[1:]), missing, dtype=parts[0].dtype)
    for row, part in zip(whole, parts, strict=True):
        row[: len(part)] = part
    return whole
