"""The record of every trial, and what it survives."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twin import STRATEGY, fast_folder

from search.store.facts import Drawn, Summary
from search.store.files.jsonl import checksummed
from search.store.lease import LeaseLostError
from search.store.record import Record
from search.store.trials import BASELINES, PROPOSALS, FreshRun, Row, TrialState, trial_seed
from spaces import NAMED, STRATEGIES, Strategy
from spaces.errors import UserError

NAMES = ("uniform", "sqrt_inverse", "mlsbench_balanced_softmax")
SEED = 7
SUMMARY: dict[str, Any] = {
    "epochs": 10,
    "best_score": 50.0,
    "last_ten_score": 45.0,
    "shots": {"many": 60.0},
}


DRAWN = Drawn({"exponent": 0.5}, {"a": "b"}, {"position": 3})


@pytest.fixture
def journal() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder / "record.jsonl"


def start_proposal(record: Record) -> Row:
    return record.start(STRATEGY, DRAWN)


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
    assert trial_seed(42, PROPOSALS, 3) == trial_seed(42, PROPOSALS, 3)
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_torn_last_line_is_cut_and_the_record_can_be_written_again(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    start_proposal(record)
    whole = journal.read_bytes()
    with journal.open("ab") as file:
        file.write(b'{"n":4,"asked":{"trial":"pro')
    assert len(Record(journal).rows()) == 1  # reading takes nothing away
    assert journal.read_bytes() != whole
    reopened = Record.reopen(journal)
    assert journal.read_bytes() == whole
    start_proposal(reopened)
    assert len(Record(journal).rows()) == 2


def test_nothing_is_recorded_once_another_process_may_write(journal: Path) -> None:
    def lost() -> None:
        raise LeaseLostError("taken over")

    Record.create(journal, NAMES, SEED)
    before = journal.read_bytes()
    with pytest.raises(LeaseLostError):
        start_proposal(Record.reopen(journal, lost))
    assert journal.read_bytes() == before


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


def damaged_in_the_middle(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    for _ in NAMES:
        record.next_named()
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([*lines[:2], b"what is this", *lines[2:]]))


def damaged_at_the_end(journal: Path) -> None:
    Record.create(journal, NAMES, SEED)
    with journal.open("ab") as file:
        file.write(b"what is this\nand what is that\n")


def a_line_is_left_out(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    for _ in NAMES:
        record.next_named()
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:1], *lines[2:]]))


def a_digit_is_another(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    for _ in NAMES:
        key = start_proposal(record).key
        record.report(key, 5, 51.25)
    content = journal.read_bytes()
    journal.write_bytes(content.replace(b"51.25", b"51.26", 1))


RUNG = {"trial": "proposals-00000", "epoch": 5, "score": 40.0}
BEGUN = {"seed": SEED, "controls": []}
UNUSABLE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("a diary\nof two lines\n"),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\x00\n" * 3),
    "another JSON file": lambda path: path.write_text('{"a": 1}\n{"b": 2}\n'),
    "a JSON list": lambda path: path.write_text("[1, 2]\n[3]\n"),
    "an unknown fact": lambda path: path.write_bytes(checksummed(0, "rogue", {})),
    "no fact": lambda path: path.write_bytes(checksummed(0, "plan", None)),  # type: ignore[arg-type]
    "no beginning": lambda path: path.write_bytes(checksummed(0, "rung", RUNG)),
    "two beginnings": lambda path: path.write_bytes(
        checksummed(0, "begun", BEGUN) + checksummed(1, "begun", BEGUN)
    ),
    "null": lambda path: path.write_text("null\nnull\n"),
    "damaged in the middle": damaged_in_the_middle,
    "damaged at the end": damaged_at_the_end,
    "a line is left out": a_line_is_left_out,
    "a digit is another": a_digit_is_another,
    "a folder": lambda path: path.mkdir(),
    "missing": lambda path: None,
}


@pytest.mark.parametrize("content", UNUSABLE)
def test_an_unusable_journal_is_refused_in_one_sentence(journal: Path, content: str) -> None:
    UNUSABLE[content](journal)
    with pytest.raises(UserError, match=r"record\.jsonl") as caught:
        Record.reopen(journal)
    assert "restore" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", sorted(UNUSABLE.keys() - {"missing"}))
def test_an_unusable_journal_cannot_be_looked_at_either(journal: Path, content: str) -> None:
    UNUSABLE[content](journal)
    with pytest.raises(UserError, match=r"record\.jsonl"):
        Record(journal)


def test_the_line_of_a_damaged_journal_is_named(journal: Path) -> None:
    damaged_in_the_middle(journal)
    with pytest.raises(UserError, match=r"line 3 of .*record\.jsonl"):
        Record.reopen(journal)


def test_a_fact_costs_one_wait_for_the_disk(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    monkeypatch.setattr("os.fsync", waits.append)
    record = Record.create(journal, (), SEED)
    waits.clear()
    key = record.start(STRATEGY, DRAWN, [(DRAWN, "too steep")]).key
    record.report(key, 1, 1.0, stop=True)
    record.tell(key, "stopped", score=1.0, epoch=1)
    assert len(waits) == 3


def test_a_last_line_whose_content_the_disk_lost_is_cut(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    start_proposal(record)
    whole = journal.read_bytes()
    record.report("proposals-00000", 5, 40.0)
    lost = len(journal.read_bytes()) - len(whole)
    journal.write_bytes(whole + b"\0" * (lost - 1) + b"\n")
    assert Record(journal).row("proposals-00000").rungs == {}
    assert Record.reopen(journal).lines == 2
    assert journal.read_bytes() == whole


def test_what_cannot_be_written_is_not_taken_for_recorded(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    record = Record.create(journal, NAMES, SEED)
    before = journal.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            record.next_named()
    assert journal.read_bytes() == before
    assert record.rows() == []
    assert record.next_named() == Record(journal).rows()[0]


def test_a_fact_that_could_not_be_read_is_not_checksummed(journal: Path) -> None:
    record = Record.create(journal, (), SEED)
    key = start_proposal(record).key
    before = journal.read_bytes()
    with pytest.raises(UserError, match="seed_index is -1"):
        record.start_run("confirmation", FreshRun("uniform", STRATEGY, -1, 3))
    with pytest.raises(ValueError, match="not JSON compliant"):
        record.report(key, 5, float("nan"))
    assert journal.read_bytes() == before


def test_no_changed_byte_goes_unnoticed(journal: Path) -> None:
    record = Record.create(journal, NAMES[:1], SEED)
    record.next_named()
    key = start_proposal(record).key
    record.report(key, 5, 40.0)
    record.tell(key, "complete", score=50.0, summaries=[SUMMARY], epoch=10)
    whole, lines = journal.read_bytes(), record.lines
    for place in range(len(whole)):
        journal.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            found = Record(journal)
        except UserError:
            continue
        assert lines - 2 <= found.lines < lines, place  # the end, which may have been torn, is cut


def test_a_record_cut_anywhere_has_its_whole_lines(journal: Path) -> None:
    record = Record.create(journal, NAMES[:1], SEED)
    first = len(journal.read_bytes())
    record.next_named()
    record.report(start_proposal(record).key, 5, 40.0)
    whole = journal.read_bytes()
    for size in range(first, len(whole)):
        journal.write_bytes(whole[:size])
        assert Record.reopen(journal).lines == whole[:size].count(b"\n")
        assert whole.startswith(journal.read_bytes())
