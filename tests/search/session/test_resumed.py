"""A search that is killed at any point and resumed loses nothing and doubles nothing."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from searched import SETTINGS, check_finished, run_to_the_end
from twin import (
    SAVE_EVERY,
    Killed,
    Killer,
    attempt,
    fast_folder,
    make_run,
    make_settings,
    results_of,
)

from search.session.running import Running
from search.session.search import Search
from search.store.run_folder import RunFolder
from search.store.trials import TrialState
from spaces import CLASS_WEIGHTS
from trainer.results import EpochResult

HOW = ("before", "torn")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


def lines(folder: RunFolder, key: str) -> list[int]:
    text = (folder.trials / f"{key}.jsonl").read_text()
    return [json.loads(line)["epoch"] for line in text.splitlines()]


def whole_run_writes(folder: RunFolder, killer: Killer, slots: int) -> int:
    before = killer.writes
    run_to_the_end(folder, SETTINGS, 8, slots)
    return killer.writes - before


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("slots", (1, 3))
def test_a_kill_at_any_write_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slots: int, how: str
) -> None:
    killer = Killer(monkeypatch)
    total = whole_run_writes(make_run(tmp_path / "whole", SETTINGS), killer, slots)
    assert total > 5 * 8
    for writes in range(HOW.index(how) + 1, total, 2):  # the two ways take turns at the writes
        folder = make_run(tmp_path / f"run-{writes}", SETTINGS)
        killer.arm(writes, how)
        with pytest.raises(Killed):
            run_to_the_end(folder, SETTINGS, 8, slots)
        killer.disarm()
        run_to_the_end(folder, SETTINGS, 8, slots)
        check_finished(folder, 8)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("every", (23, 37, 53))
def test_many_kills_in_one_search_lose_and_double_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int, how: str
) -> None:
    killer = Killer(monkeypatch)
    folder, kills = make_run(tmp_path / "run", SETTINGS), 0
    while True:
        killer.arm(every + kills, how)
        try:
            twin = run_to_the_end(folder, SETTINGS, 16, slots=3)
            break
        except Killed:
            kills += 1
    killer.disarm()
    assert kills >= 3
    assert twin.search.finished()
    check_finished(folder, 16)


def next_stop(search: Search) -> tuple[Running, EpochResult]:
    """Run trials, one after the other, up to an epoch that early stopping will end one at."""
    while trial := search.next_trial():
        for result in results_of(trial.row.seed):
            seen = copy.deepcopy(search.rungs.rules[CLASS_WEIGHTS])
            worse = seen.observe(trial.row.key, result.epoch, result.best_score)
            if worse and not trial.row.is_baseline:
                return trial, result
            search.report(trial.row.key, 0, result)
        search.finish(trial.row.key)
    raise AssertionError("no trial is stopped")


@pytest.mark.parametrize("writes", range(1, 5))
def test_a_decision_to_stop_survives_a_kill_before_the_trial_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    killer = Killer(monkeypatch)
    folder = make_run(tmp_path / "run", SETTINGS)
    search = attempt(folder, SETTINGS, 16)
    trial, result = next_stop(search)
    key = trial.row.key

    def report_and_finish() -> None:
        assert search.report(key, 0, result)
        search.finish(key)

    killer.arm(writes, "after")
    with pytest.raises(Killed):
        report_and_finish()
    killer.disarm()

    again = attempt(folder, SETTINGS, 16)
    assert not again.running
    row = again.record.row(key)
    assert row.state == TrialState.PRUNED
    assert row.stop_epoch == result.epoch == lines(folder, key)[-1]
    assert row.epochs == result.epoch


def test_a_full_length_trial_whose_end_was_lost_is_not_trained_again(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    search = attempt(folder, SETTINGS, 16)
    trial = search.next_trial()
    assert trial is not None
    for result in results_of(trial.row.seed):
        search.report(trial.row.key, 0, result)

    again = attempt(folder, SETTINGS, 16)
    assert not again.running
    assert [row.state for row in again.ended] == [TrialState.COMPLETE]
    assert again.ended[0].summaries == again.record.row(trial.row.key).summaries


def test_trials_go_on_before_new_ones_start_and_keep_their_weighting(tmp_path: Path) -> None:
    settings = make_settings(early_stopping="none")
    folder = make_run(tmp_path / "run", settings)
    search = attempt(folder, settings, 16)
    trials = [search.next_trial() for _ in range(6)]
    for trial in trials:
        assert trial is not None
        search.report(trial.row.key, 0, results_of(trial.row.seed)[0])

    again = attempt(folder, settings, 16)
    adopted = [again.next_trial() for _ in range(6)]
    assert [a.row.strategy for a in adopted if a] == [t.row.strategy for t in trials if t]
    assert [a.epochs for a in adopted if a] == [1] * 6
    new = again.next_trial()
    assert new is not None
    assert new.row.key == "proposals-00002"


def test_epochs_known_already_change_nothing(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    search = attempt(folder, SETTINGS, 16)
    trial = search.next_trial()
    assert trial is not None
    key, results = trial.row.key, results_of(trial.row.seed)
    for result in results[:4]:
        search.report(key, 0, result)
    journal, trained = folder.record.read_bytes(), search.spending.trained_epochs
    for result in results_of(trial.row.seed + 1)[:4]:  # even if they were not the same
        assert not search.report(key, 0, result)
    assert folder.record.read_bytes() == journal
    assert search.spending.trained_epochs == trained == 4
    assert folder.read_epochs(key) == results[:4]


def test_a_trial_that_goes_on_trains_from_its_checkpoint_only(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    search = attempt(folder, SETTINGS, 1)
    trial = search.next_trial()
    assert trial is not None
    for result in results_of(trial.row.seed)[:3]:
        search.report(trial.row.key, 0, result)

    twin = run_to_the_end(folder, SETTINGS, 1, slots=1)
    assert twin.trained == {trial.row.key: [SAVE_EVERY + 1, 4, 5, 6]}
    assert twin.search.spending.trained_epochs == 3
    check_finished(folder, 1)


def test_trials_to_go_on_are_not_started_after_the_search_must_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    folder = make_run(tmp_path / "run", SETTINGS)
    attempt(folder, SETTINGS, 16).next_trial()
    monkeypatch.setattr("search.session.spending.time", SimpleNamespace(monotonic=lambda: now[0]))
    search = attempt(folder, SETTINGS, 16, hours=1.0)
    now[0] = 3601.0
    assert len(search.adopted) == 1
    assert search.next_trial() is None


def test_more_trials_on_resume_continue_a_finished_search(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    run_to_the_end(folder, SETTINGS, 6, slots=2)
    first = check_finished(folder, 6)
    assert attempt(folder, SETTINGS, 6).finished()
    run_to_the_end(folder, SETTINGS, 12, slots=2)
    rows = check_finished(folder, 12)
    assert rows[: len(first)] == first
    assert attempt(folder, SETTINGS, 3).finished()  # fewer than there are: nothing to do


def test_checkpoints_left_by_a_kill_after_the_end_of_a_trial_are_removed(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    run_to_the_end(folder, SETTINGS, 2, slots=1)
    folder.checkpoint_folder("baselines-00001").mkdir()
    attempt(folder, SETTINGS, 2)
    assert list(folder.checkpoints.iterdir()) == []
