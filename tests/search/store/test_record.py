"""The record of every trial, as it is written and read."""

import errno
from pathlib import Path

import pytest
from records import DRAWN, NAMES, SEED, SUMMARY, start_proposal
from twin import STRATEGY

from search.store.facts import Summary
from search.store.lease import LeaseLostError
from search.store.record import Record
from search.store.trials import BASELINES, PROPOSALS, Row, TrialState, trial_seed
from spaces import NAMED, STRATEGIES, Strategy
from spaces.errors import UserError


def test_strategies_of_the_space_run_after_the_controls_in_a_study_of_their_own(
    journal: Path,
) -> None:
    Record.create(journal, NAMES[:1], SEED, named=("drw", "vs"))
    rows = [row for _ in range(3) if (row := Record.reopen(journal).next_named())]
    assert Record.reopen(journal).next_named() is None
    assert [row.key for row in rows] == ["baselines-00000", "named-00000", "named-00001"]
    assert [row.label for row in rows] == [*NAMES[:1], "drw", "vs"]
    assert [row.strategy for row in rows[1:]] == [STRATEGIES[n].strategy for n in ("drw", "vs")]
    assert len({row.seed for row in rows}) == 3
    assert Record(journal).named() == ["drw", "vs"]
    assert Record(journal).rows() == rows


def test_a_complete_trial(journal: Path) -> None:
    record = Record.create(journal, (), SEED)
    key = start_proposal(record).key
    record.report(key, 5, 40.0)
    record.report(key, 10, 50.0)
    record.tell(key, "complete", score=50.0, summaries=[SUMMARY], hardware="an abacus")
    for row in (record.row(key), Record(journal).row(key)):
        assert row == Row(
            key="proposals-00000",
            label="#0",
            state=TrialState.COMPLETE,
            strategy=STRATEGY,
            seed=trial_seed(SEED, PROPOSALS, 0),
            value=50.0,
            rungs={5: 40.0, 10: 50.0},
            stop_epoch=None,
            summaries=(Summary(**SUMMARY),),
            reason=None,
            diverged=False,
            seed_index=None,
            hardware="an abacus",
            device_hours=0.0,
        )


def test_a_trial_stopped_early_has_the_value_of_its_last_epoch(journal: Path) -> None:
    record = Record.create(journal, (), SEED)
    key = start_proposal(record).key
    record.report(key, 10, 50.0)
    record.report(key, 20, 45.0, stop=True)
    record.tell(key, "stopped", score=45.0, summaries=[])
    row = Record(journal).row(key)
    assert (row.state, row.value, row.stop_epoch) == (TrialState.PRUNED, 45.0, 20)
    assert row.rungs == {10: 50.0, 20: 45.0}


def test_a_failed_trial_has_a_reason_and_no_value(journal: Path) -> None:
    record = Record.create(journal, (), SEED)
    key = start_proposal(record).key
    record.report(key, 10, 50.0)
    record.tell(key, "failed", reason="the loss is nan")
    row = Record(journal).row(key)
    assert (row.state, row.value, row.reason) == (TrialState.FAIL, None, "the loss is nan")
    assert row.rungs == {10: 50.0}
    assert row.summaries == ()


def test_a_repeated_report_changes_nothing(journal: Path) -> None:
    record = Record.create(journal, (), SEED)
    key = start_proposal(record).key
    record.report(key, 10, 50.0)
    before = journal.read_bytes()
    record.report(key, 10, 60.0)
    assert journal.read_bytes() == before


def test_a_trial_ends_once(journal: Path) -> None:
    record = Record.create(journal, (), SEED)
    key = start_proposal(record).key
    record.tell(key, "complete", score=50.0)
    before = journal.read_bytes()
    with pytest.raises(UserError, match="tells of proposals-00000, which does not run"):
        record.tell(key, "failed", reason="again")
    assert journal.read_bytes() == before
    assert record.row(key).state == TrialState.COMPLETE


def test_the_two_studies_keep_to_themselves(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    baseline, proposal = record.next_named(), start_proposal(record)
    assert baseline is not None
    assert (baseline.key, baseline.label) == ("baselines-00000", "uniform")
    assert (proposal.key, proposal.label) == ("proposals-00000", "#0")
    assert baseline.is_baseline
    assert not proposal.is_baseline
    assert baseline.seed != proposal.seed
    record.report(proposal.key, 5, 30.0)
    assert record.row(baseline.key).rungs == {}
    record.tell(proposal.key, "complete", score=30.0)
    assert record.row(baseline.key).state == TrialState.RUNNING
    assert [row.key for row in record.rows()] == [baseline.key, proposal.key]


def test_baselines_come_in_their_order_even_over_a_reopening(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    assert record.rows() == []
    taken = [record.next_named()]
    for _ in range(2):
        taken.append(Record.reopen(journal).next_named())
    assert [row.label for row in taken if row] == list(NAMES)
    assert [row.strategy for row in taken if row] == [
        Strategy.of(NAMED[name].weighting) for name in NAMES
    ]
    assert Record.reopen(journal).next_named() is None


def test_seeds_differ_between_trials_and_are_the_same_in_every_run() -> None:
    studies = (BASELINES, PROPOSALS)
    seeds = [trial_seed(s, study, n) for s in (1, 2) for study in studies for n in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert trial_seed(42, PROPOSALS, 3) == 13771258
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_nothing_is_recorded_once_another_process_may_write(journal: Path) -> None:
    def lost() -> None:
        raise LeaseLostError("taken over")

    Record.create(journal, NAMES, SEED)
    before = journal.read_bytes()
    with pytest.raises(LeaseLostError):
        start_proposal(Record.reopen(journal, lost))
    assert journal.read_bytes() == before


def test_what_a_failed_write_left_on_disk_is_cut_off_by_the_next(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(file: int) -> None:
        content.append(journal.read_bytes())
        raise OSError(errno.ENOSPC, "No space left on device")

    content: list[bytes] = []
    record = Record.create(journal, (), SEED)
    key = start_proposal(record).key
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", away)
        with pytest.raises(OSError, match="No space left"):
            record.report(key, 5, 40.0)
    assert content[0].count(b"\n") == 3
    journal.write_bytes(content[0])  # as where it could not be cut off, for the storage was away
    record.report(key, 5, 41.0)
    assert Record.reopen(journal).row(key).rungs == {5: 41.0}


def test_refused_draws_have_numbers_and_are_no_trials(journal: Path) -> None:
    record = Record.create(journal, (), SEED)
    first = start_proposal(record)
    second = record.start(STRATEGY, DRAWN, [(DRAWN, "too steep"), (DRAWN, "too flat")])
    record.refuse([(DRAWN, "too much")])
    assert (first.key, second.key) == ("proposals-00000", "proposals-00003")
    assert second.seed == trial_seed(SEED, PROPOSALS, 3)
    again = Record.reopen(journal)
    assert again.rows() == record.rows() == [first, second]
    refused = [None, "too steep", "too flat", None, "too much"]
    assert [trial.refused for trial in again.trials[PROPOSALS]] == refused
    assert [trial.number for trial in again.ended] == [1, 2, 4]
    assert all(trial.drawn == DRAWN for trial in again.trials[PROPOSALS])
    assert start_proposal(again).key == "proposals-00005"


def test_a_fact_costs_one_wait_for_the_disk(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    monkeypatch.setattr("os.fsync", waits.append)
    record = Record.create(journal, (), SEED)
    waits.clear()
    key = record.start(STRATEGY, DRAWN, [(DRAWN, "too steep")]).key
    record.report(key, 1, 1.0, stop=True)
    record.tell(key, "stopped", score=1.0, epoch=1)
    assert len(waits) == 3
