"""The trials in flight of a run, as its folder tells anybody who looks."""

import time

from search.config.objective import BenchmarkObjective
from search.report.durations import rough_duration
from search.report.event_lines import run_text
from search.results.conclusion import Conclusion
from search.store.lease import living_holder
from search.store.run_folder import RunFolder, part_key
from search.store.stored_run import parts_of
from search.store.trials import Row, TrialState
from spaces.parts.words import number_of


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
    parts = [
        part_text(conclusion.folder, part_key(row.key, part), benchmark)
        for part, benchmark in enumerate(parts_of(conclusion.objective, row.study))
    ]
    described = run_text(row.label, row.seed_index, row.strategy.describe())
    return f"{described}: {'; '.join(parts)}"


def part_text(folder: RunFolder, key: str, benchmark: BenchmarkObjective) -> str:
    """Return how far the part of a trial on a benchmark is."""
    results = folder.read_part(key, benchmark)
    if not results:
        return f"in the first of {number_of(benchmark.epochs, 'epoch')}"
    last, written = results[-1], folder.epochs_file(key).stat().st_mtime
    ago = max(0.0, time.time() - written)
    return (
        f"{last.epoch} of {number_of(benchmark.epochs, 'epoch')}, {last.score:.2f} % "
        f"(best {last.best_score:.2f}), the last one {rough_duration(ago)} ago"
    )
