"""The trials in flight of a run, as its folder tells anybody who looks."""

import time

from search.report.durations import rough_duration
from search.report.event_lines import run_text
from search.results.conclusion import Conclusion
from search.store.jsonl import read_lines
from search.store.lease import living_holder
from search.store.run_folder import RunFolder, part_key
from search.store.trials import HOLDOUT, Row, TrialState
from trainer.results import EpochResult


def in_flight_text(conclusion: Conclusion) -> list[str]:
    """Return who searches the run now, if anybody does, and how far its unfinished trials are."""
    holder = living_holder(conclusion.folder.path)
    rows = [row for row in conclusion.rows if row.state == TrialState.RUNNING]
    if holder:
        head = f"Being searched by {holder}. Running trials: {len(rows)}"
    elif rows:
        head = f"Nobody is searching it now. Trials that go on with --resume: {len(rows)}"
    else:
        return []
    return [head, *(f"  {trial_text(conclusion, row)}" for row in rows)]


def trial_text(conclusion: Conclusion, row: Row) -> str:
    """Return how far a trial is on each of its benchmarks."""
    objective = conclusion.objective
    held_out = [objective.holdout] if objective.holdout else []
    benchmarks = held_out if row.study == HOLDOUT else objective.benchmarks
    parts = [
        part_text(conclusion.folder, part_key(row.key, part), benchmark.epochs)
        for part, benchmark in enumerate(benchmarks)
    ]
    described = run_text(row.label, row.seed_index, row.strategy.describe())
    return f"{described}: {'; '.join(parts)}"


def part_text(folder: RunFolder, key: str, length: int) -> str:
    """Return how far one part of a trial is, of ``length`` epochs."""
    path = folder.trials / f"{key}.jsonl"
    lines = read_lines(path)
    if not lines:
        return f"in the first of {length} epochs"
    last, ago = EpochResult.from_dict(lines[-1]), max(0.0, time.time() - path.stat().st_mtime)
    return (
        f"{last.epoch} of {length} epochs, {last.score:.2f} % (best {last.best_score:.2f}), "
        f"the last one {rough_duration(ago)} ago"
    )
