"""Verification of an exported module, in a fresh interpreter, against what was searched."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.export.expected_answers import epochs_to_check, expected_answers
from search.export.winner import ExportError
from spaces import Strategy

# The module answers in float32, whose rounding is 6e-8.
_TOLERANCE = 1e-6
# Importing torch from a cold network file system takes minutes at worst.
_VERIFY_SECONDS = 300

_PROBE = Path(__file__).with_name("probe.py")


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


def verify_export(path: Path, strategy: Strategy, list_of_counts: Sequence[Sequence[int]]) -> None:
    """Check an exported module in a fresh interpreter against `strategy`, to 1e-6 relative.

    Raises:
        ExportError: the module cannot be run, or gives another answer for one of the counts.
    """
    vectors = [[int(count) for count in counts] for counts in list_of_counts]
    epochs = [] if strategy.is_static else epochs_to_check(strategy)
    for counts, answer in zip(vectors, _answers(path, vectors, epochs), strict=True):
        expected = expected_answers(strategy, counts, epochs)
        wrong = [what for what in expected if not _agree(answer.get(what), expected[what])]
        if answer["dtype"] != "torch.float32":
            wrong = ["weights"]
        if wrong:
            raise ExportError(
                f"{path.name} does not give the {' or the '.join(wrong)} of "
                f"{strategy.describe()!r} for {len(counts)} classes of {max(counts)} to "
                f"{min(counts)} images; it is not fit for use."
            )


def _agree(answer: Any, expected: Any) -> bool:
    actual, wanted = (np.asarray(numbers, dtype=np.float64) for numbers in (answer, expected))
    # Only losses and logits may be 0, or near it.
    absolute = 0.0 if wanted.min() > 0 else _TOLERANCE
    return actual.shape == wanted.shape and np.allclose(actual, wanted, _TOLERANCE, absolute)


def _answers(
    path: Path, vectors: list[list[int]], epochs: list[tuple[int, int]]
) -> list[dict[str, Any]]:
    """The answers of the module at `path`, one per vector of counts."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            # Isolated, so that nothing of this project can be imported; -B leaves no __pycache__.
            done = subprocess.run(
                [sys.executable, "-I", "-B", str(_PROBE), str(path.absolute())],
                input=json.dumps({"counts": vectors, "epochs": epochs}),
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
