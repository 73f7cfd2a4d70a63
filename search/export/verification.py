"""Verification of an exported module, in a fresh interpreter, against the family of weightings."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.export.winner import ExportError
from spaces import Weighting

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
