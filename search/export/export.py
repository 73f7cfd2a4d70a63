"""How does the best weighting leave the project, as a record and as a module that stands alone?

`best.json` is the record; `best_weighting.py` computes the weights with torch and nothing else. A
module that does not agree with `Weighting.weights` in a fresh interpreter is never put in place.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search.config.program import PROGRAM
from search.export.class_counts import ClassCounts
from search.export.module_template import render_module
from spaces import (
    Weighting,
    WeightingError,
    canonical_weights,
    check_counts,
    check_weights,
    effective_sample_fraction,
    weighting_key,
)
from spaces.errors import UserError
from trainer.files import write_atomic

RECORD_NAME = "best.json"
MODULE_NAME = "best_weighting.py"
SCHEMA_VERSION = 1

# The module answers in float32, whose rounding is 6e-8.
_RELATIVE_TOLERANCE = 1e-6
# Importing torch from a cold network file system takes minutes at worst.
_VERIFY_SECONDS = 300

_PROBE = """\
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("best_weighting", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
answers = []
for counts in json.load(sys.stdin):
    weights = module.compute_class_weights(counts, len(counts), {})
    answers.append({"dtype": str(weights.dtype), "weights": weights.tolist()})
json.dump(answers, sys.stdout)
"""


class ExportError(UserError):
    """An export that cannot be written, read or trusted: one sentence says which and why."""


@dataclass(frozen=True)
class ExportedPaths:
    """Where the two files of an export are."""

    record: Path
    module: Path


@dataclass(frozen=True)
class Best:
    """The best weighting of a run, on the class counts (C,) of the benchmark it was found on.

    Attributes:
        weighting: the point of the family.
        class_counts: C positive integers.
        class_names: C names, or None.
        benchmark: what it was found on, JSON-able.
        result: what it reached and how that was measured, JSON-able.

    Raises:
        ExportError: the counts or names are not valid.
    """

    weighting: Weighting
    class_counts: tuple[int, ...]
    class_names: tuple[str, ...] | None
    benchmark: Mapping[str, Any]
    result: Mapping[str, Any]

    def __post_init__(self) -> None:
        try:
            counts = check_counts(self.class_counts)
        except WeightingError as error:
            raise ExportError(f"{error}.") from error
        object.__setattr__(self, "class_counts", tuple(counts.tolist()))
        if self.class_names is None:
            return
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if len(self.class_names) != len(counts):
            raise ExportError(
                f"class_names: got {len(self.class_names)} names for {len(counts)} class counts; "
                "give one name per class, or none."
            )

    @property
    def weights(self) -> list[float]:
        """The canonical weights, C numbers that sum to C."""
        return [float(weight) for weight in canonical_weights(self._raw_weights())]

    @property
    def weighting_key(self) -> str:
        return weighting_key(self._raw_weights())

    def to_dict(self) -> dict[str, Any]:
        """The content of `best.json`."""
        names = None if self.class_names is None else list(self.class_names)
        return {
            "schema_version": SCHEMA_VERSION,
            "weighting": self.weighting.to_dict(),
            "weights": self.weights,
            "class_counts": list(self.class_counts),
            "class_names": names,
            "benchmark": dict(self.benchmark),
            "result": dict(self.result),
            "weighting_key": self.weighting_key,
            "description": self.weighting.describe(),
        }

    def _raw_weights(self) -> list[float]:
        return [float(weight) for weight in self.weighting.weights(self.class_counts)]


def export(folder: Path, best: Best) -> ExportedPaths:
    """Write `best.json` and `best_weighting.py` into a folder, each atomically.

    Raises:
        ExportError: the story is not JSON-able, the module disagrees with the family, or the
            folder cannot be written. The files of an earlier export are then as they were.
    """
    try:
        record = json.dumps(best.to_dict(), indent=2, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ExportError(f"the export cannot be written as JSON: {error}.") from error
    module = render_module(
        best.weighting, best.class_names, best.benchmark, best.result, best.weighting_key
    )
    with tempfile.TemporaryDirectory() as scratch:
        candidate = Path(scratch) / MODULE_NAME
        candidate.write_text(module, encoding="utf-8")
        verify_export(candidate, best.weighting, verification_counts(best.class_counts))
    paths = ExportedPaths(record=folder / RECORD_NAME, module=folder / MODULE_NAME)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(paths.module, module.encode())
        # The record comes last: while it is the old one, the export has not happened.
        write_atomic(paths.record, record.encode())
    except OSError as error:
        raise ExportError(
            f"the export cannot be written to {folder} ({error.strerror}); write it to a folder "
            f"of your own with {PROGRAM} export RUN --output FOLDER."
        ) from error
    return paths


def verification_counts(counts: Sequence[int]) -> list[list[int]]:
    """The class counts on which an export is checked: those given, and some of another kind."""
    given = [int(count) for count in counts]
    return [
        given,
        given[::-1],
        [*given[::2], 2 * max(given) + 1],
        [3, 1000, 40, 1],
        [7, 7, 7],
        [12],
    ]


def verify_export(
    path: Path, weighting: Weighting, list_of_counts: Sequence[Sequence[int]]
) -> None:
    """Check an exported module in a fresh interpreter against `weighting`, to 1e-6 relative.

    Raises:
        ExportError: the module cannot be run, or gives other weights for one of the counts.
    """
    vectors = [[int(count) for count in counts] for counts in list_of_counts]
    answers = _probe(path, vectors)
    for counts, answer in zip(vectors, answers, strict=True):
        actual = np.asarray(answer["weights"], dtype=np.float64)
        expected = weighting.weights(counts)
        agrees = actual.shape == expected.shape and np.allclose(
            actual, expected, rtol=_RELATIVE_TOLERANCE, atol=0.0
        )
        if not agrees or answer["dtype"] != "torch.float32":
            raise ExportError(
                f"{path.name} does not give the weights of {weighting.describe()!r} for "
                f"{len(counts)} classes of {max(counts)} to {min(counts)} images; "
                "it is not fit for use."
            )


def apply_to_counts(
    weighting: Weighting, class_names: Sequence[str] | None, given: ClassCounts
) -> dict[str, Any]:
    """A weighting on other class counts than its benchmark's, as a JSON-able dictionary.

    Its `classes` have a row each, with the name or the index, the count and the weight in the
    normalization of the weighting: in the order of the benchmark's `class_names` if they
    have the same names, else as given. `warning` is None, or says why training would go badly.

    Raises:
        ExportError: the weighting is too steep for the counts.
    """
    names, counts = given.class_names, given.counts
    if names and class_names and sorted(names) == sorted(class_names):
        by_name = dict(zip(names, counts, strict=True))
        names, counts = tuple(class_names), tuple(by_name[name] for name in class_names)
    try:
        weights = weighting.weights(counts).tolist()
    except WeightingError as error:
        raise ExportError(f"{error}.") from error
    rows = zip(names or range(len(counts)), counts, weights, strict=True)
    return {
        "weighting": weighting.to_dict(),
        "description": weighting.describe(),
        "weighting_key": weighting_key(weights),
        "effective_sample_fraction": effective_sample_fraction(counts, weights),
        "warning": _problem(counts, weights),
        "classes": [{"class": name, "count": n, "weight": weight} for name, n, weight in rows],
    }


def applied_json(applied: dict[str, Any]) -> str:
    """The JSON of what `apply_to_counts` returns, with a line for each class."""
    rows = ",\n".join(f"    {json.dumps(row)}" for row in applied["classes"])
    empty = json.dumps(applied | {"classes": []}, indent=2)
    return empty.replace('"classes": []', f'"classes": [\n{rows}\n  ]')


def _problem(counts: Sequence[int], weights: Sequence[float]) -> str | None:
    """Why training would go badly, in the words of the exported module, or None."""
    try:
        check_weights(counts, weights)
    except WeightingError:
        import torch  # takes seconds

        from search.export.best_weighting import training_problem

        return training_problem(
            torch.tensor(counts, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)
        )
    return None


def _probe(path: Path, vectors: list[list[int]]) -> list[dict[str, Any]]:
    """The answers of the module at `path`, one per vector of counts."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            # Isolated, so that nothing of this project can be imported; -B leaves no __pycache__.
            done = subprocess.run(
                [sys.executable, "-I", "-B", "-c", _PROBE, str(path.absolute())],
                input=json.dumps(vectors),
                capture_output=True,
                text=True,
                cwd=scratch,
                timeout=_VERIFY_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ExportError(
                f"{path.name} gave no answer in {_VERIFY_SECONDS} seconds."
            ) from error
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise ExportError(f"{path.name} fails in a fresh interpreter: {reason}".rstrip(".") + ".")
    try:
        answers: list[dict[str, Any]] = json.loads(done.stdout)
    except ValueError as error:
        raise ExportError(f"{path.name} prints when it is imported.") from error
    return answers
