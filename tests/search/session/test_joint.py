"""A search on several benchmarks at once: parts, scores and rungs, killed at every point."""

import json
from pathlib import Path

import pytest
from confirming import PLAIN, check_all_ended, complete, rows_of, seeds_by_arm, twin_run
from joint import LENGTHS, SETTINGS, STAGES, check_finished, run_to_the_end, score_at
from twin import (
    CONTROLS,
    JOINT,
    SAVE_EVERY,
    Twin,
    attempt,
    make_run,
    make_settings,
    results_of,
)

from search.session.running import Running
from search.session.search import Search
from search.store.record import Record
from search.store.run_folder import RunFolder, part_key
from search.store.trials import CONFIRMATION, TrialState


@pytest.fixture
def folder(place: Path) -> RunFolder:
    return make_run(place / "run", SETTINGS)


@pytest.mark.parametrize("slots", (1, 2, 5))
def test_a_whole_search(folder: RunFolder, slots: int) -> None:
    twin = run_to_the_end(folder, 16, slots)
    assert twin.search.finished()
    rows = check_finished(folder, 16)
    assert [row.label for row in rows[:4]] == list(CONTROLS)
    assert all(row.state == TrialState.COMPLETE for row in rows[:4])
    assert sum(row.state == TrialState.PRUNED for row in rows) >= 3
    assert twin.search.spending.trained_epochs == sum(
        s.epochs for row in rows for s in row.summaries
    )


def test_both_parts_are_recorded_under_the_key(folder: RunFolder) -> None:
    run_to_the_end(folder, 5, slots=1)
    names = {path.name for path in folder.trials.iterdir()}
    for row in Record(folder.record).rows():
        assert {f"{row.key}.jsonl", f"{row.key}.1.jsonl"} <= names
    assert len(names) == 10


def test_without_early_stopping_every_part_has_its_full_length(place: Path) -> None:
    plain = make_settings(early_stopping="none", benchmarks=SETTINGS.benchmarks)
    folder = make_run(place / "plain", plain)
    Twin(attempt(folder, plain, 7, objective=JOINT), 2).run()
    rows = check_all_ended(folder, JOINT)
    assert [tuple(s.epochs for s in row.summaries) for row in rows] == [LENGTHS] * 7
    assert all(row.value == score_at(row, LENGTHS) for row in rows)


def first_trial(folder: RunFolder) -> tuple[Search, Running]:
    search = attempt(folder, SETTINGS, 16, objective=JOINT)
    trial = search.next_trial()
    assert trial is not None
    return search, trial


def test_a_rung_judges_a_trial_when_both_parts_have_reached_it(folder: RunFolder) -> None:
    search, trial = first_trial(folder)
    key = trial.row.key
    first, second = (results_of(trial.row.seed, n) for n in LENGTHS)
    assert trial.stages == STAGES
    for result in first[:3]:
        search.report(key, 0, result)
    assert trial.passed == 0
    assert search.record.row(key).rungs == {}
    search.report(key, 1, second[0])
    assert list(search.record.row(key).rungs) == [1]
    search.report(key, 1, second[1])
    assert list(search.record.row(key).rungs) == [1, 2]
    search.report(key, 1, second[2])
    assert trial.passed == 2
    search.report(key, 0, first[3])
    assert trial.passed == 3
    assert search.record.row(key).rungs == {s[0]: score_at(trial.row, s) for s in STAGES[:3]}


def test_the_value_counts_no_epoch_behind_the_rung(folder: RunFolder) -> None:
    """Where one part is ahead, its later epochs are no part of the score at the rung."""
    search, trial = first_trial(folder)
    for result in results_of(trial.row.seed, LENGTHS[0])[:4]:
        search.report(trial.row.key, 0, result)
    search.report(trial.row.key, 1, results_of(trial.row.seed, LENGTHS[1])[0])
    assert search.record.row(trial.row.key).rungs == {1: score_at(trial.row, (1, 1))}


def test_epochs_of_each_part_are_taken_once_and_in_order(folder: RunFolder) -> None:
    search, trial = first_trial(folder)
    key, results = trial.row.key, results_of(trial.row.seed, LENGTHS[1])
    for result in (results[0], results[0], results[2], results[1], results[0]):
        search.report(key, 1, result)
    assert [r.epoch for r in folder.read_epochs(f"{key}.1")] == [1, 2]
    assert folder.read_epochs(key) == []
    assert search.spending.trained_epochs == 2


def test_every_part_goes_on_from_its_own_checkpoint(folder: RunFolder) -> None:
    search, trial = first_trial(folder)
    key = trial.row.key
    for part, known in enumerate((5, 3)):
        for result in results_of(trial.row.seed, LENGTHS[part])[:known]:
            search.report(key, part, result)
        folder.checkpoint_folder(part_key(key, part)).mkdir()
    twin = run_to_the_end(folder, 1, slots=1)
    behind = [list(range(k // SAVE_EVERY * SAVE_EVERY + 1, n + 1)) for k, n in ((5, 6), (3, 4))]
    assert twin.trained == {key: behind[0], f"{key}.1": behind[1]}
    assert twin.search.spending.trained_epochs == 2
    check_finished(folder, 1)


def test_it_is_told_from_where_each_part_goes_on(folder: RunFolder) -> None:
    search, trial = first_trial(folder)
    for part, known in enumerate((5, 3)):
        for result in results_of(trial.row.seed, LENGTHS[part])[:known]:
            search.report(trial.row.key, part, result)
    again = attempt(folder, SETTINGS, 16, objective=JOINT)
    assert again.resumed == [
        "uniform was unfinished after epoch 5 and 3; it goes on from epoch 0 and 0"
    ]
    assert again.spending.repeated_epochs == 8


def test_checkpoints_of_all_parts_go_with_the_trial(folder: RunFolder) -> None:
    search, trial = first_trial(folder)
    for part in range(2):
        folder.checkpoint_folder(part_key(trial.row.key, part)).mkdir()
    other = folder.checkpoint_folder("baselines-00001")
    other.mkdir()
    search.fail(trial.row.key, "it diverged", diverged=True)
    assert list(folder.checkpoints.iterdir()) == [other]


def test_a_joint_confirmation_trains_every_arm_on_all_benchmarks(place: Path) -> None:
    folder = make_run(place / "confirmed", PLAIN)
    twin = twin_run(folder, 18, 12, JOINT, slots=3)
    assert twin.search.finished()
    check_all_ended(folder, JOINT)
    confirmed = rows_of(folder, CONFIRMATION)
    assert sum(map(len, seeds_by_arm(confirmed).values())) == 12
    for row in complete(confirmed):
        assert [summary.epochs for summary in row.summaries] == list(LENGTHS)
        assert list(row.rungs) == [LENGTHS[0]]
        lines = (folder.trials / f"{row.key}.1.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == list(range(1, LENGTHS[1] + 1))
