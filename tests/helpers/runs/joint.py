"""Helpers of the tests of joint searches: what must hold of every one that the Twin ends."""

from confirming import check_all_ended
from twin import JOINT, Twin, attempt, make_settings, results_of

from search.store.run_folder import RunFolder, part_key
from search.store.trials import Row, TrialState

SETTINGS = make_settings(benchmarks=("0123456789abcdef", "fedcba9876543210"))
LENGTHS = tuple(benchmark.epochs for benchmark in JOINT.benchmarks)
STAGES = ((1, 1), (2, 2), (4, 3), (6, 4))
"""Of two benchmarks of 6 and 4 epochs, with rungs at epochs 1, 2 and 4 of the first."""


def run_to_the_end(folder: RunFolder, trials: int, slots: int) -> Twin:
    twin = Twin(attempt(folder, SETTINGS, trials, objective=JOINT), slots)
    twin.run()
    return twin


def score_at(row: Row, epochs: tuple[int, ...]) -> float:
    """Return the score that the seed of a trial gives when its parts come so far."""
    pairs = zip(LENGTHS, epochs, strict=True)
    return JOINT.score([results_of(row.seed, n)[end - 1].best_score for n, end in pairs])


def check_finished(folder: RunFolder, trials: int) -> list[Row]:
    """Check all that must hold of a finished joint search, and return its rows."""
    rows = check_all_ended(folder, JOINT)
    assert len(rows) == len({row.seed for row in rows}) == trials
    for row in rows:
        assert row.state in (TrialState.COMPLETE, TrialState.PRUNED)
        ends = next(stage for stage in STAGES if stage[0] == row.epochs)
        for part, (length, end) in enumerate(zip(LENGTHS, ends, strict=True)):
            recorded = folder.read_epochs(part_key(row.key, part))
            assert recorded == results_of(row.seed, length)[:end]
            assert row.summaries[part].epochs == end
        assert row.value == score_at(row, ends)
        assert row.rungs == {stage[0]: score_at(row, stage) for stage in STAGES if stage <= ends}
        assert (row.state == TrialState.PRUNED) == (row.stop_epoch is not None)
        assert row.stop_epoch in (None, row.epochs)
    return rows
