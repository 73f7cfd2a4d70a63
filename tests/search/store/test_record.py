"""The record of every trial, and what it survives."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from twin import WEIGHTING, fast_folder

from search.store.lease import LeaseLostError
from search.store.record import Record
from search.store.trials import BASELINES, PROPOSALS, Outcome, Row, Summary, TrialState, trial_seed
from spaces import NAMED
from spaces.errors import UserError

NAMES = ("uniform", "sqrt_inverse", "mlsbench_balanced_softmax")
SEED = 7
SUMMARY: dict[str, Any] = {
    "epochs": 10,
    "best_score": 50.0,
    "last_ten_score": 45.0,
    "shots": {"many": 60.0},
}


@pytest.fixture
def journal() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder / "study.journal"


def start_proposal(record: Record) -> Row:
    trial = record.studies[PROPOSALS].ask()
    trial.suggest_float("exponent", 0.0, 1.0)
    return record.start(trial.number, WEIGHTING, trial_seed(SEED, PROPOSALS, trial.number))


def test_a_complete_trial(journal: Path) -> None:
    record = Record.create(journal, (), SEED)
    key = start_proposal(record).key
    record.report(key, 5, 40.0)
    record.report(key, 10, 50.0)
    record.tell(key, Outcome.complete(50.0, {"summaries": [SUMMARY], "hardware": "an abacus"}))
    for row in (record.row(key), Record(journal).row(key)):
        assert row == Row(
            key="proposals-00000",
            label="#0",
            state=TrialState.COMPLETE,
            weighting=WEIGHTING,
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
    record.decide_stop(key, 20)
    record.report(key, 20, 45.0)
    record.tell(key, Outcome.stopped(45.0, {"summaries": []}))
    row = Record(journal).row(key)
    assert (row.state, row.value, row.stop_epoch) == (TrialState.PRUNED, 45.0, 20)
    assert row.rungs == {10: 50.0, 20: 45.0}
    assert record.studies[PROPOSALS].trials[0].value == 45.0


def test_a_failed_trial_has_a_reason_and_no_value(journal: Path) -> None:
    record = Record.create(journal, (), SEED)
    key = start_proposal(record).key
    record.report(key, 10, 50.0)
    record.tell(key, Outcome.failed("the loss is nan"))
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
    record.tell(key, Outcome.complete(50.0, {}))
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        record.tell(key, Outcome.failed("again"))
    assert record.row(key).state == TrialState.COMPLETE


def test_the_two_studies_keep_to_themselves(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    baseline, proposal = record.next_baseline(), start_proposal(record)
    assert baseline is not None
    assert (baseline.key, baseline.label) == ("baselines-00000", "uniform")
    assert (proposal.key, proposal.label) == ("proposals-00000", "#0")
    assert baseline.is_baseline
    assert not proposal.is_baseline
    assert baseline.seed != proposal.seed
    record.report(proposal.key, 5, 30.0)
    assert record.row(baseline.key).rungs == {}
    record.tell(proposal.key, Outcome.complete(30.0, {}))
    assert record.row(baseline.key).state == TrialState.RUNNING
    assert [row.key for row in record.rows()] == [baseline.key, proposal.key]
    assert all(not trial.params for trial in record.studies[BASELINES].trials)


def test_baselines_come_in_their_order_even_over_a_reopening(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    assert record.rows() == []
    taken = [record.next_baseline()]
    for _ in range(2):
        taken.append(Record.reopen(journal).next_baseline())
    assert [row.label for row in taken if row] == list(NAMES)
    assert [row.weighting for row in taken if row] == [NAMED[name].weighting for name in NAMES]
    assert Record.reopen(journal).next_baseline() is None


def test_seeds_differ_between_trials_and_are_the_same_in_every_run() -> None:
    studies = (BASELINES, PROPOSALS)
    seeds = [trial_seed(s, study, n) for s in (1, 2) for study in studies for n in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert trial_seed(42, PROPOSALS, 3) == trial_seed(42, PROPOSALS, 3)
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_torn_last_line_is_cut_and_the_record_can_be_written_again(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    start_proposal(record)
    whole = journal.read_bytes()
    with journal.open("ab") as file:
        file.write(b'{"op_code":5,"worker_id":"ab')
    assert len(Record(journal).rows()) == 1  # reading takes nothing away
    assert journal.read_bytes() != whole
    reopened = Record.reopen(journal)
    assert journal.read_bytes() == whole
    start_proposal(reopened)
    assert len(Record(journal).rows()) == 2


def test_the_lock_of_another_writer_blocks_nobody(journal: Path) -> None:
    Record.create(journal, NAMES, SEED)
    journal.with_name(journal.name + ".lock").symlink_to(journal)  # as Optuna's own locks
    start = time.monotonic()
    start_proposal(Record.reopen(journal))
    assert time.monotonic() - start < 5


def test_nothing_is_recorded_once_another_process_may_write(journal: Path) -> None:
    def lost() -> None:
        raise LeaseLostError("taken over")

    Record.create(journal, NAMES, SEED)
    before = journal.read_bytes()
    with pytest.raises(LeaseLostError):
        start_proposal(Record.reopen(journal, lost))
    assert journal.read_bytes() == before


def test_a_proposal_killed_between_ask_and_start_is_no_trial(journal: Path) -> None:
    record = Record.create(journal, (), SEED)
    started = start_proposal(record)
    study = record.studies[PROPOSALS]
    study.ask().suggest_float("exponent", 0.0, 1.0)
    half = study.ask()
    record.storage.set_trial_user_attr(half._trial_id, "weighting", json.dumps({}))

    reopened = Record.reopen(journal)
    assert [row.key for row in reopened.rows()] == [started.key]
    reopened.fail_unstarted()
    states = [trial.state for trial in reopened.studies[PROPOSALS].trials]
    assert states == [TrialState.RUNNING, TrialState.FAIL, TrialState.FAIL]
    assert [row.key for row in reopened.rows()] == [started.key]
    assert start_proposal(reopened).key == "proposals-00003"


def other_study(journal: Path) -> None:
    storage = JournalStorage(JournalFileBackend(str(journal)))
    optuna.create_study(study_name="mine", storage=storage)


def damaged_in_the_middle(journal: Path) -> None:
    Record.create(journal, NAMES, SEED)
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:2], b"what is this", *lines[2:]]))


def damaged_at_the_end(journal: Path) -> None:
    Record.create(journal, NAMES, SEED)
    with journal.open("ab") as file:
        file.write(b"what is this\n")


UNUSABLE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("a diary\nof two lines\n"),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\x00\n" * 3),
    "another JSON file": lambda path: path.write_text('{"a": 1}\n{"b": 2}\n'),
    "a JSON list": lambda path: path.write_text("[1, 2]\n[3]\n"),
    "unknown operation": lambda path: path.write_text('{"op_code": 99}\n'),
    "operation without fields": lambda path: path.write_text('{"op_code": 0}\n'),
    "null": lambda path: path.write_text("null\nnull\n"),
    "another study": other_study,
    "damaged in the middle": damaged_in_the_middle,
    "damaged at the end": damaged_at_the_end,
    "a folder": lambda path: path.mkdir(),
    "missing": lambda path: None,
}


@pytest.mark.parametrize("content", UNUSABLE)
def test_an_unusable_journal_is_refused_in_one_sentence(journal: Path, content: str) -> None:
    UNUSABLE[content](journal)
    with pytest.raises(UserError, match=r"study\.journal") as caught:
        Record.reopen(journal)
    assert "restore" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", sorted(UNUSABLE.keys() - {"missing", "damaged at the end"}))
def test_an_unusable_journal_cannot_be_looked_at_either(journal: Path, content: str) -> None:
    UNUSABLE[content](journal)
    with pytest.raises(UserError, match=r"study\.journal"):
        Record(journal)


def test_the_line_of_a_damaged_journal_is_named(journal: Path) -> None:
    damaged_in_the_middle(journal)
    with pytest.raises(UserError, match=r"line 3 of .*study\.journal"):
        Record.reopen(journal)


def test_the_cost_of_a_report_does_not_grow_with_the_record(journal: Path) -> None:
    """Bytes read per operation, since a whole reading of the journal would be easy to overlook."""
    record = Record.create(journal, (), SEED)
    read: list[int] = []
    backend = record.storage._backend
    original = backend.read_logs

    def counted(log_number_from: int) -> Iterator[dict[str, object]]:
        logs = list(original(log_number_from))
        read.append(len(logs))
        return iter(logs)

    backend.read_logs = counted  # type: ignore[method-assign]
    for _ in range(40):
        key = start_proposal(record).key
        record.report(key, 1, 1.0)
        record.tell(key, Outcome.complete(1.0, {}))
    assert max(read) <= 3
