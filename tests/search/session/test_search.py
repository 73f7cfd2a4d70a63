"""What happens next in a search: driven by simulated slots, killed at every point, resumed."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from twin import (
    CONTROLS,
    OBJECTIVE,
    SAVE_EVERY,
    Killed,
    Killer,
    Twin,
    attempt,
    fast_folder,
    make_run,
    make_settings,
    results_of,
)

from search.config.settings import Settings
from search.session.running import Running
from search.session.search import MAX_FAILURES_IN_A_ROW, Search
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import PROPOSALS, Row, TrialState
from spaces import CLASS_WEIGHTS, WeightingError
from spaces.errors import UserError
from trainer.results import EpochResult

SETTINGS = make_settings()
HOW = ("before", "torn")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


def run_to_the_end(folder: RunFolder, settings: Settings, trials: int, slots: int) -> Twin:
    twin = Twin(attempt(folder, settings, trials), slots)
    twin.run()
    return twin


def lines(folder: RunFolder, key: str) -> list[int]:
    text = (folder.trials / f"{key}.jsonl").read_text()
    return [json.loads(line)["epoch"] for line in text.splitlines()]


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


@pytest.mark.parametrize("slots", (1, 2, 5))
def test_a_whole_search(tmp_path: Path, slots: int) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    twin = run_to_the_end(folder, SETTINGS, 16, slots)
    assert twin.search.finished()
    rows = check_finished(folder, 16)
    assert all(key.startswith("baselines") for key in twin.started[:4])
    assert all(row.state == TrialState.COMPLETE for row in rows if row.is_baseline)
    assert sum(row.state == TrialState.PRUNED for row in rows) >= 3
    assert twin.search.spending.trained_epochs == sum(row.epochs for row in rows)
    assert sorted(row.key for row in twin.search.ended) == [row.key for row in rows]


def test_without_early_stopping_every_trial_has_its_full_length(tmp_path: Path) -> None:
    settings = make_settings(early_stopping="none")
    folder = make_run(tmp_path / "run", settings)
    run_to_the_end(folder, settings, 8, slots=3)
    assert {row.state for row in check_finished(folder, 8)} == {TrialState.COMPLETE}


def test_a_budget_below_the_number_of_baselines_runs_the_first_of_them(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    run_to_the_end(folder, SETTINGS, 2, slots=3)
    check_finished(folder, 2)


def test_the_result_of_one_slot_is_repeatable(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        folder = make_run(tmp_path / name, SETTINGS)
        run_to_the_end(folder, SETTINGS, 10, slots=1)
        found.append(Record(folder.record).rows())
    assert found[0] == found[1]


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


def test_an_epoch_of_a_trial_that_has_ended_is_told_to_stop(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    search = attempt(folder, SETTINGS, 16)
    trial = search.next_trial()
    assert trial is not None
    search.fail(trial.row.key, "it diverged")
    assert search.report(trial.row.key, 0, results_of(0)[0])
    assert not (folder.trials / f"{trial.row.key}.jsonl").exists()


def test_a_failure_keeps_its_reason_and_details_and_is_not_tried_again(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    failing = "proposals-00001"
    twin = Twin(
        attempt(folder, SETTINGS, 10), 2, lambda row, epoch: row.key == failing and epoch == 1
    )
    twin.run()
    assert twin.search.finished()
    rows = {row.key: row for row in Record(folder.record).rows()}
    assert len(rows) == 10
    assert rows[failing].state == TrialState.FAIL
    assert rows[failing].reason == "it diverged"
    assert rows[failing].value is None
    assert "the details" in (folder.trials / f"{failing}.error.txt").read_text()
    assert not folder.checkpoint_folder(failing).exists()
    twin.search.fail(failing, "again")  # Ray may tell it twice
    assert attempt(folder, SETTINGS, 10).finished()


def test_three_failures_in_a_row_stop_the_search(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    twin = Twin(attempt(folder, SETTINGS, 16), 1, lambda row, epoch: not row.is_baseline)
    twin.run()
    reason = twin.search.must_stop()
    assert reason == "3 trials failed in a row: it diverged"
    assert len(twin.started) == len(CONTROLS) + MAX_FAILURES_IN_A_ROW
    assert twin.search.next_trial() is None
    assert not twin.search.finished()

    resumed = run_to_the_end(folder, SETTINGS, 16, slots=1)  # once the cause is mended
    assert resumed.search.finished()
    assert len(Record(folder.record).rows()) == 16


def test_a_success_forgives_the_failures_before_it(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    fates: dict[str, bool] = {}
    twin = Twin(
        attempt(folder, SETTINGS, 16),
        1,
        lambda row, epoch: fates.setdefault(row.key, len(fates) % 3 != 2),
    )
    twin.run()
    assert twin.search.must_stop() is None
    assert twin.search.finished()
    assert sum(row.state == TrialState.FAIL for row in twin.search.ended) == 11


def test_the_hours_are_of_this_attempt_and_leave_trials_resumable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("search.session.spending.time", SimpleNamespace(monotonic=lambda: now[0]))
    folder = make_run(tmp_path / "run", SETTINGS)
    for reached in (1, 2):
        search = attempt(folder, SETTINGS, None, hours=0.5)
        trial = search.next_trial()
        assert trial is not None
        search.report(trial.row.key, 0, results_of(trial.row.seed)[reached - 1])
        now[0] += 1799
        assert search.must_stop() is None
        now[0] += 2
        assert search.must_stop() == "the budget of 0.5 hours is used up"
        assert search.next_trial() is None
        assert not search.finished()
        assert list(search.running) == ["baselines-00000"]


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


def test_refused_weightings_are_recorded_and_cost_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [0]

    def refuse_some(recipe: object) -> None:
        asked[0] += 1
        if asked[0] % 3:
            raise WeightingError("too steep")

    monkeypatch.setattr("search.session.proposer.check_recipe", refuse_some)
    folder = make_run(tmp_path / "run", SETTINGS)
    run_to_the_end(folder, SETTINGS, 9, slots=2)
    check_finished(folder, 9)
    refused = [trial for trial in Record(folder.record).trials[PROPOSALS] if trial.refused]
    assert [trial.refused for trial in refused] == ["too steep"] * 10


def test_counts_for_which_every_weighting_is_refused_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(recipe: object) -> None:
        raise WeightingError("too steep")

    monkeypatch.setattr("search.session.proposer.check_recipe", refuse)
    monkeypatch.setattr("search.session.proposer.MAX_REFUSALS", 5)
    settings = make_settings(baselines=())
    search = attempt(make_run(tmp_path / "run", settings), settings, 4)
    with pytest.raises(UserError, match="5 strategies in a row were refused"):
        search.next_trial()
