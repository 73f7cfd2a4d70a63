"""What a record survives: torn lines, damage, kills and a full disk."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from records import NAMES, SEED, SUMMARY, start_proposal
from twin import STRATEGY

from search.store.files.jsonl import checksummed
from search.store.record import Record
from search.store.trials import FreshRun
from spaces.errors import UserError


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


def an_epoch_is_told_again(journal: Path) -> None:
    record = Record.create(journal, NAMES, SEED)
    record.report(start_proposal(record).key, 5, 51.25)
    with journal.open("ab") as file:
        file.write(checksummed(record.lines, "rung", RUNG))


RUNG = {"trial": "proposals-00000", "epoch": 5, "score": 40.0}

BEGUN = {"seed": SEED, "controls": []}
NO_STRATEGY = {"exponent": -1.0}
NO_STRATEGIES = {
    "a control": ("begun", BEGUN | {"controls": [{"name": "uniform", "weighting": NO_STRATEGY}]}),
    "a trial": ("asked", {"trial": "baselines-00000", "weighting": NO_STRATEGY, "seed": SEED}),
    "an arm": (
        "plan",
        {"search_trials": 1, "runs": 9, "candidates": {}, "controls": {"uniform": NO_STRATEGY}},
    ),
}

ASKED = {"trial": "baselines-00001", "name": "uniform", "weighting": {}, "seed": SEED}

NOT_WRITTEN = "is not as a search writes it"
ABSENT = "(is missing|cannot be read as the record of a search)"
UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), NOT_WRITTEN),
    "text": (lambda path: path.write_text("a diary\nof two lines\n"), NOT_WRITTEN),
    "bytes": (lambda path: path.write_bytes(b"\xff\xfe\x00\n" * 3), NOT_WRITTEN),
    "another JSON file": (lambda path: path.write_text('{"a": 1}\n{"b": 2}\n'), NOT_WRITTEN),
    "a JSON list": (lambda path: path.write_text("[1, 2]\n[3]\n"), NOT_WRITTEN),
    "an unknown fact": (
        lambda path: path.write_bytes(checksummed(0, "rogue", {})),
        "cannot be used: rogue is not known",
    ),
    "no fact": (
        lambda path: path.write_bytes(checksummed(0, "plan", None)),  # type: ignore[arg-type]
        "does not hold one fact",
    ),
    "no beginning": (
        lambda path: path.write_bytes(checksummed(0, "rung", RUNG)),
        "is not where a record begins",
    ),
    "two beginnings": (
        lambda path: path.write_bytes(
            checksummed(0, "begun", BEGUN) + checksummed(1, "begun", BEGUN)
        ),
        "is not where a record begins",
    ),
    "a trial before its turn": (
        lambda path: path.write_bytes(
            checksummed(0, "begun", BEGUN) + checksummed(1, "asked", ASKED)
        ),
        "begins baselines-00001 out of turn",
    ),
    "a trial that nobody asked for": (
        lambda path: path.write_bytes(
            checksummed(0, "begun", BEGUN) + checksummed(1, "rung", RUNG)
        ),
        "tells of proposals-00000, which does not run",
    ),
    "null": (lambda path: path.write_text("null\nnull\n"), NOT_WRITTEN),
    "damaged in the middle": (damaged_in_the_middle, NOT_WRITTEN),
    "damaged at the end": (damaged_at_the_end, NOT_WRITTEN),
    "a line is left out": (a_line_is_left_out, "has number 2, not 1"),
    "a digit is another": (a_digit_is_another, NOT_WRITTEN),
    "an epoch is told again": (an_epoch_is_told_again, "tells of epoch 5 of .* again"),
    "a folder": (lambda path: path.mkdir(), ABSENT),
    "missing": (lambda path: None, ABSENT),
}
"""How each is made, and what is said of it."""


@pytest.mark.parametrize("opened", (Record.reopen, Record), ids=("to go on", "to look at it"))
@pytest.mark.parametrize("content", UNUSABLE)
def test_an_unusable_journal_is_refused_in_one_sentence(
    journal: Path, content: str, opened: Callable[[Path], Record]
) -> None:
    make, words = UNUSABLE[content]
    make(journal)
    with pytest.raises(UserError, match=rf"record\.jsonl {words}.*restore") as caught:
        opened(journal)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("which", NO_STRATEGIES)
def test_the_line_of_what_is_no_strategy_is_named(which: str, journal: Path) -> None:
    kind, content = NO_STRATEGIES[which]
    before = b"" if kind == "begun" else checksummed(0, "begun", BEGUN)
    journal.write_bytes(before + checksummed(1 if before else 0, kind, content))
    with pytest.raises(UserError) as caught:
        Record(journal)
    line = f"line {2 if before else 1} of {journal} cannot be used: "
    assert str(caught.value).startswith(f"{line}exponent: got -1.0; ")
    assert str(caught.value).endswith("; restore the file.")


@pytest.mark.parametrize(("limit", "most"), (("MOST_LINES", 0), ("LONGEST_LINE", 9)))
def test_too_many_or_too_long_lines_are_refused(
    limit: str, most: int, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Record.create(journal, NAMES, SEED)
    assert Record(journal).lines == 1
    monkeypatch.setattr(f"search.store.files.jsonl.{limit}", most)
    with pytest.raises(UserError, match=r"record\.jsonl has 1 lines of up to \d+ bytes; it must"):
        Record(journal)


def test_the_line_of_a_damaged_journal_is_named(journal: Path) -> None:
    damaged_in_the_middle(journal)
    with pytest.raises(UserError, match=r"line 3 of .*record\.jsonl"):
        Record.reopen(journal)


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
