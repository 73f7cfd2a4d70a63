"""What happens next in a search that simulated slots drive, up to its end."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from searched import SETTINGS, check_finished, run_to_the_end
from twin import (
    CONTROLS,
    Twin,
    attempt,
    fast_folder,
    make_run,
    make_settings,
    results_of,
)

from search.session.search import MAX_FAILURES_IN_A_ROW
from search.store.record import Record
from search.store.trials import PROPOSALS, TrialState
from spaces import WeightingError
from spaces.errors import UserError


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


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
