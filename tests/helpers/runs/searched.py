"""Simulated searches that have come to their end, and what holds of them."""

from twin import CONTROLS, OBJECTIVE, Twin, attempt, make_settings, results_of

from search.config.settings import Settings
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import Row, TrialState

SETTINGS = make_settings()


def run_to_the_end(folder: RunFolder, settings: Settings, trials: int, slots: int) -> Twin:
    twin = Twin(attempt(folder, settings, trials), slots)
    twin.run()
    return twin


def check_finished(folder: RunFolder, trials: int) -> list[Row]:
    """Check all that must hold of a finished search, and return its rows."""
    record = Record(folder.record)
    rows = record.rows()
    assert all(row.state != TrialState.RUNNING for row in rows)
    assert len(rows) == len({row.key for row in rows}) == trials
    assert [row.label for row in rows if row.is_baseline] == list(CONTROLS)[:trials]
    for row in rows:
        epochs = row.epochs
        results = results_of(row.seed, epochs)
        assert folder.read_epochs(row.key) == results
        assert row.value == results[-1].best_score == row.rungs[epochs]
        if row.state == TrialState.COMPLETE:
            assert epochs == OBJECTIVE.epochs
            assert row.stop_epoch is None
        else:
            assert row.state == TrialState.PRUNED
            assert not row.is_baseline
            assert epochs == row.stop_epoch
    assert len({row.seed for row in rows}) == trials
    assert list(folder.checkpoints.iterdir()) == []
    return rows
