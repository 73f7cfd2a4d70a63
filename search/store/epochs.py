"""Epochs of a part of a trial, trials/KEY.jsonl: its lines, and what they must hold together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search.config.objective import BenchmarkObjective
from search.stats.scoring import Curve
from search.store.files.jsonl import finished_lines
from search.store.validation import json_of, read_content, read_json
from spaces import POSTHOC
from spaces.errors import UserError
from trainer.diagnosis.scenarios import check_correct
from trainer.results import PROFILE_COLUMNS, EpochResult, present_names


def epochs_in(path: Path) -> list[EpochResult]:
    """Return the recorded epochs in a file, 1 to n without a gap.

    Raises:
        UserError: a line is no epoch's result, or not the next one's.
    """
    results = []
    for number, line in enumerate(finished_lines(path), 1):
        where = f"line {number} of {path}"
        results.append(read_epoch(line, where))
        if results[-1].epoch != number:
            raise UserError(
                f"{where} is epoch {results[-1].epoch}, not {number}; restore the file, or "
                "delete the run."
            )
    return results


def read_epoch(line: bytes, where: str) -> EpochResult:
    """Return the result of an epoch in a line; ``where`` names it.

    Raises:
        UserError: it breaks a rule.
    """
    if b'"test_accuracy"' in line:  # of when accuracy was the only metric
        content = json_of(line, where)
        known = present_names(content) if isinstance(content, dict) else content
        return read_content(EpochResult, known, where)
    return read_json(EpochResult, line, where)


def checked_curve(
    path: Path, results: Sequence[EpochResult], benchmark: BenchmarkObjective
) -> Curve:
    """Return the evaluated images of the epochs in a file, if they can be those of a benchmark.

    Raises:
        UserError: they cannot.
    """
    try:
        curve = curve_of(results)
        benchmark.scoring.check(curve)
        profiles = [list(map(len, r.profile)) for r in results if r.profile is not None]
        if any(lengths != [PROFILE_COLUMNS] * len(POSTHOC) for lengths in profiles):
            raise ValueError("got a profile of other lengths")
        if len(results) > benchmark.epochs:
            raise ValueError(f"got {len(results)} epochs of {benchmark.epochs}")
        for diagnosis in filter(None, (result.diagnosis for result in results)):
            for found in filter(None, (diagnosis.best, diagnosis.last)):
                check_correct(found.scenarios or (), benchmark.scenarios)
    except ValueError as error:
        raise UserError(
            f"{path} does not hold epochs of {benchmark.name} ({error}); restore the file."
        ) from error
    return curve


def curve_of(results: Sequence[EpochResult]) -> Curve:
    """Return the evaluated images of epochs, or their scores where those are all that is known.

    Raises:
        ValueError: epochs of several lengths.
    """
    if any(result.correct is None for result in results):
        return Curve(None, reported=np.array([result.score for result in results]))
    known = all(result.predicted is not None for result in results)
    kinds = ("correct", "predicted") if known else ("correct",)
    return Curve(*(np.array([getattr(result, kind) for result in results]) for kind in kinds))
