"""The folder of a recorded table: its trials, each a file of arrays that is read only if whole.

``TABLE/BENCHMARK/table.json`` says what is recorded; ``trials/00012-001.npz`` there is weighting 12
of the design with seed 1. Nothing in either depends on which machine began the table, so folders
that several machines recorded are merged by copying them together.
"""

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recording.design import design_fingerprint
from spaces.errors import UserError
from trainer.benchmarks import Benchmark
from trainer.files import is_there, write_atomic
from trainer.prepared import ImageData
from trainer.results import EpochResult

Arrays = dict[str, NDArray[Any]]
_DESCRIPTION = "description"
FORMAT = 1
DECISIVE = ("format", "protocol", "fingerprint", "data_fingerprint", "precision", "design")
"""Entries of a description that all trials of a table share."""


class ArrayFileError(UserError):
    """A file that is missing, damaged or something else; the sentence names it and the remedy."""


@dataclass(frozen=True, order=True)
class Job:
    """A trial to record: weighting ``number`` of the design, trained with ``seed``."""

    number: int
    seed: int


@dataclass(frozen=True, eq=False)
class RecordedTrial:
    """One trial as it is stored.

    Attributes:
        story: the point of the design, ``seed``, ``table`` (the identity of its table), ``seconds``
            of training and testing, ``finished`` (UTC), ``diverged`` (why, or None), and
            ``recording`` (versions, hardware and so on of all trials of one start); JSON-able.
        correct: correct test images by half and class, unsigned (epochs, 2, C).
        train_loss, test_loss: of each epoch, float32 (epochs,).
    """

    story: dict[str, Any]
    correct: NDArray[Any]
    train_loss: NDArray[np.float32]
    test_loss: NDArray[np.float32]

    @property
    def job(self) -> Job:
        return Job(self.story["number"], self.story["seed"])

    @classmethod
    def of(
        cls, story: dict[str, Any], results: list[EpochResult], test_counts: NDArray[np.int64]
    ) -> "RecordedTrial":
        """Return the trial of these epochs, none perhaps; test_counts (2, C) bound the counts."""
        counts = np.array([result.correct for result in results], dtype=np.int64)
        return cls(
            story,
            counts.reshape(len(results), *test_counts.shape).astype(count_type(test_counts)),
            np.array([result.train_loss for result in results], dtype=np.float32),
            np.array([result.test_loss for result in results], dtype=np.float32),
        )

    def to_bytes(self) -> bytes:
        names = ("correct", "train_loss", "test_loss")
        return array_bytes(self.story, {name: getattr(self, name) for name in names})

    @classmethod
    def read(cls, path: Path) -> "RecordedTrial":
        """Return the trial of a file.

        Raises:
            ArrayFileError: the file is not whole.
            UserError: it is another trial than its name says.
        """
        story, arrays = read_arrays(path)
        try:
            trial = cls(story, arrays["correct"], arrays["train_loss"], arrays["test_loss"])
            named = path.name == file_name(trial.job)
        except KeyError as error:
            raise ArrayFileError(f"{path} lacks a part ({error}); delete it.") from error
        if not named:
            raise UserError(f"{path} holds {file_name(trial.job)}; give it that name again.")
        return trial


def count_type(test_counts: NDArray[np.int64]) -> np.dtype[Any]:
    """Return the smallest unsigned type that holds every number of correct test images."""
    return np.min_scalar_type(int(test_counts.max()))


def file_name(job: Job) -> str:
    return f"{job.number:05d}-{job.seed:03d}.npz"


def describe(benchmark: Benchmark, data: ImageData, precision: str) -> dict[str, Any]:
    """Return what table.json says: what its trials share, and what is needed to read them."""
    classes = len(data.class_names)
    halves = [data.test_labels[half] for half in (data.half_a, ~data.half_a)]
    return {
        "format": FORMAT,
        "benchmark": benchmark.name,
        "protocol": benchmark.protocol_note(),
        "fingerprint": benchmark.fingerprint(),
        "data_fingerprint": data.fingerprint,
        "precision": precision,
        "design": design_fingerprint(),
        "definition": benchmark.to_dict(),
        "class_counts": data.counts.tolist(),
        "test_counts": [np.bincount(half, minlength=classes).tolist() for half in halves],
    }


def identity(description: dict[str, Any]) -> str:
    """Return 16 hexadecimal digits, equal for trials that may stand in one table."""
    text = json.dumps([description[key] for key in DECISIVE])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class TableFolder:
    """The folder of one benchmark's table."""

    def __init__(self, path: Path) -> None:
        self.path, self.header, self.trials = path, path / "table.json", path / "trials"

    def open(self, description: dict[str, Any]) -> None:
        """Begin the table, or check that what is there is of this description.

        Raises:
            UserError: it is not, or the folder cannot be written.
        """
        try:
            self.trials.mkdir(parents=True, exist_ok=True)
            if not is_there(self.header):
                write_atomic(self.header, json.dumps(description, indent=1).encode())
        except OSError as error:
            raise unwritable(self.path, "--table", error) from error
        there = self.description()
        different = [key for key in DECISIVE if there[key] != description[key]]
        if different:
            found = ", ".join(f"{key} {there[key]!r}" for key in different)
            wanted = ", ".join(f"{description[key]!r}" for key in different)
            raise UserError(
                f"{self.path} is a table of {found}, but {wanted} is asked for; "
                "give the options of its recording, or another --table."
            )

    def description(self) -> dict[str, Any]:
        """Raises UserError where there is no table of a format that this program reads."""
        try:
            content: dict[str, Any] = json.loads(self.header.read_bytes())
            readable = content["format"] == FORMAT and not set(DECISIVE) - set(content)
        except OSError as error:
            raise UserError(
                f"{self.header} cannot be read ({error.strerror}); give the folder of a table."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.header} is damaged ({error}); copy it again.") from error
        if not readable:
            raise UserError(
                f"{self.header} has format {content['format']!r}, this program reads {FORMAT}."
            )
        return content

    def file(self, job: Job) -> Path:
        return self.trials / file_name(job)

    def store(self, trial: RecordedTrial) -> None:
        path = self.file(trial.job)
        try:
            write_atomic(path, trial.to_bytes())
        except OSError as error:
            raise unwritable(path, "--table", error) from error

    def read(self) -> tuple[list[RecordedTrial], dict[Path, ArrayFileError]]:
        """Return the trials in the order of recording, and the files that are damaged.

        Raises:
            UserError: a trial was copied here from a table of something else.
        """
        belongs = identity(self.description())
        trials: list[RecordedTrial] = []
        damaged: dict[Path, ArrayFileError] = {}
        for path in sorted(self.trials.glob("*.npz")):
            try:
                trial = RecordedTrial.read(path)
            except ArrayFileError as error:
                damaged[path] = error
                continue
            if trial.story.get("table") != belongs:
                raise UserError(
                    f"{path} belongs to another table than {self.header}; move it to its own."
                )
            trials.append(trial)
        return sorted(trials, key=lambda trial: (trial.job.seed, trial.job.number)), damaged


def unwritable(path: Path, option: str, error: OSError) -> UserError:
    return UserError(
        f"{path} cannot be written ({error.strerror}); make room, or give another {option}."
    )


def array_bytes(description: dict[str, Any], arrays: Arrays) -> bytes:
    """Return the content of an .npz file; equal input gives equal bytes."""
    words = json.dumps(description, separators=(",", ":")).encode()
    buffer = io.BytesIO()
    members = arrays | {_DESCRIPTION: np.frombuffer(words, dtype=np.uint8)}
    np.savez_compressed(buffer, allow_pickle=False, **members)
    return buffer.getvalue()


def read_arrays(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Return the description and the arrays that ``array_bytes`` was given.

    Raises:
        ArrayFileError: there is no such file, or it is not whole.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # read whole, which checks the CRC of each member
            members = {name: archive.read(name) for name in archive.namelist()}
        arrays = {
            name.removesuffix(".npy"): np.load(io.BytesIO(content), allow_pickle=False)
            for name, content in members.items()
        }
        description = json.loads(arrays.pop(_DESCRIPTION).tobytes())
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError) as error:
        raise ArrayFileError(
            f"{path} is damaged or was not written by this program ({error}); delete it, and "
            "record or copy it again."
        ) from error
    except OSError as error:
        raise ArrayFileError(f"{path} cannot be read ({error.strerror}).") from error
    return description, arrays
