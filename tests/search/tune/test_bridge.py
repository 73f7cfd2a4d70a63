"""The reports that Ray Tune hands over, and what they do to a search."""

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from ray.exceptions import RayActorError
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from twin import OBJECTIVE, attempt, fast_folder, lines_told, make_run, make_settings, results_of

from search.session.running import Running
from search.session.search import MAX_LOSSES_IN_A_ROW, Search
from search.store.lease import LeaseLostError
from search.store.trials import TrialState
from search.tune.bridge import StudyCallback, StudyScheduler, StudySearcher
from search.tune.saving import Saving
from spaces.errors import UserError
from trainer.entry_point import sentence_of

FULL = OSError(errno.ENOSPC, "No space left on device", "runs/a/file")


@pytest.fixture
def search() -> Iterator[Search]:
    settings = make_settings()
    with fast_folder() as folder:
        yield attempt(make_run(Path(folder) / "run", settings), settings, 16)


def started(search: Search) -> Running:
    trial = search.next_trial()
    assert trial is not None
    return trial


def callback_of(search: Search) -> StudyCallback:
    return StudyCallback(search, Saving(search, lambda: None), lambda: None)


@pytest.mark.parametrize("saved", (True, False))
def test_workers_that_save_by_themselves_are_not_asked_to(search: Search, saved: bool) -> None:
    key, saving = started(search).row.key, Saving(search, lambda: None)
    callback = StudyCallback(search, saving, lambda: None, saved)
    state = SimpleNamespace(ray_actor="worker")
    tune_trial: Any = SimpleNamespace(config={"key": key}, temporary_state=state)
    callback.on_trial_start(iteration=1, trials=[], trial=tune_trial)
    assert saving.workers == ({key: "worker"} if saved else {})


def report_of(trial: Running, epochs: range, **end: object) -> dict[str, Any]:
    """Return what a worker reports of these epochs."""
    rows = [
        (0, result.to_dict()) for result in results_of(trial.row.seed) if result.epoch in epochs
    ]
    facts = {"epochs": json.dumps(rows), "hardware": "an abacus", "warnings": [], "done": False}
    return facts | {"within": None} | end


def hand_over(search: Search, trial: Running, result: dict[str, Any]) -> bool:
    """Do what Tune does with a result; return whether it ends the trial."""
    tune_trial: Any = SimpleNamespace(config={"key": trial.row.key})
    if not result["done"]:
        scheduler = StudyScheduler(search, lambda: None)
        decision = scheduler.on_trial_result(None, tune_trial, dict(result))
        result["done"] = decision == TrialScheduler.STOP
    callback = callback_of(search)
    callback.on_trial_result(iteration=1, trials=[], trial=tune_trial, result=result)
    return bool(result["done"])


def recorded(search: Search, trial: Running) -> list[int]:
    return [result.epoch for result in search.folder.read_epochs(trial.row.key)]


def test_all_epochs_of_a_report_are_recorded_once_and_in_order(search: Search) -> None:
    trial = started(search)
    assert not hand_over(search, trial, report_of(trial, range(1, 5)))
    assert search.folder.read_epochs(trial.row.key) == results_of(trial.row.seed)[:4]
    assert trial.hardware == "an abacus"
    assert search.spending.trained_epochs == 4


def test_epochs_that_are_reported_again_change_nothing(search: Search) -> None:
    trial = started(search)
    hand_over(search, trial, report_of(trial, range(1, 5)))
    hand_over(search, trial, report_of(trial, range(3, 6)))
    assert recorded(search, trial) == [1, 2, 3, 4, 5]


def test_a_report_within_an_epoch_is_shown_and_records_nothing(search: Search) -> None:
    trial = started(search)
    hand_over(search, trial, report_of(trial, range(1, 3), within=(0, 3, 12)))
    assert (trial.epochs, trial.progress) == (2, 2.25)
    assert not hand_over(search, trial, report_of(trial, range(0), within=(0, 6, 12)))
    assert (recorded(search, trial), trial.progress) == ([1, 2], 2.5)
    hand_over(search, trial, report_of(trial, range(3, 4)))
    assert trial.progress == 3


def test_a_trial_that_reports_to_a_search_that_stops_waits_for_its_end(search: Search) -> None:
    trial = started(search)
    tune_trial: Any = SimpleNamespace(config={"key": trial.row.key})
    scheduler = StudyScheduler(search, lambda: "SIGINT")
    decision = scheduler.on_trial_result(None, tune_trial, report_of(trial, range(1, 3)))
    assert decision == TrialScheduler.NOOP
    assert recorded(search, trial) == [1, 2]


def test_the_last_report_ends_the_trial(search: Search) -> None:
    trial = started(search)
    assert hand_over(search, trial, report_of(trial, range(1, OBJECTIVE.epochs + 1), done=True))
    assert [row.state for row in search.ended] == [TrialState.COMPLETE]
    assert recorded(search, trial) == [1, 2, 3, 4, 5, 6]


def test_a_trial_ends_at_the_rung_where_the_search_says_so(search: Search) -> None:
    for _ in range(16):
        trial = started(search)
        for first, last in ((1, 1), (2, 2), (3, 4), (5, 6)):  # as a worker reports: up to a rung
            if hand_over(search, trial, report_of(trial, range(first, last + 1), done=last == 6)):
                break
        else:
            raise AssertionError("a trial does not end")
        assert search.ended[-1].key == trial.row.key
        assert recorded(search, trial)[-1] == last
        assert (search.ended[-1].state == TrialState.PRUNED) == (last < 6)
    stops = [row.stop_epoch for row in search.ended if row.state == TrialState.PRUNED]
    assert len(stops) >= 3


def test_epochs_behind_the_one_that_ended_a_trial_are_not_recorded(search: Search) -> None:
    while True:
        trial = started(search)
        hand_over(search, trial, report_of(trial, range(1, 7), done=True))
        if search.ended[-1].state == TrialState.PRUNED:
            break
    assert recorded(search, trial)[-1] == search.ended[-1].stop_epoch


def test_the_good_epochs_before_a_failure_are_recorded(search: Search) -> None:
    trial = started(search)
    end = {"failure": "it diverged", "traceback": "the details", "diverged": True, "done": True}
    hand_over(search, trial, report_of(trial, range(1, 4), **end))
    assert (search.ended[0].state, search.ended[0].reason) == (TrialState.FAIL, "it diverged")
    assert recorded(search, trial) == [1, 2, 3]
    error = search.folder.trials / f"{trial.row.key}.error.txt"
    assert "the details" in error.read_text()


def test_a_halt_records_the_epochs_before_it_and_leaves_the_trial_resumable(
    search: Search,
) -> None:
    trial = started(search)
    hand_over(search, trial, report_of(trial, range(1, 4), halt="disk full", done=True))
    assert search.must_stop() == "disk full"
    assert list(search.running) == [trial.row.key]
    assert recorded(search, trial) == [1, 2, 3]


@pytest.mark.parametrize(
    ("owner", "name", "end"),
    (
        ("folder", "append_epoch", {}),
        ("record", "report", {}),
        ("record", "tell", {"done": True}),
        ("folder", "write_error", {"failure": "a", "traceback": "b", "diverged": False}),
    ),
)
def test_what_cannot_be_recorded_halts_the_search_and_leaves_the_trial_resumable(
    owner: str, name: str, end: dict[str, Any], search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = started(search)
    monkeypatch.setattr(getattr(search, owner), name, Mock(side_effect=FULL))
    hand_over(search, trial, report_of(trial, range(1, 7 if "done" in end else 3), **end))
    assert search.must_stop() == "runs/a/file: No space left on device"
    assert (list(search.running), search.ended) == ([trial.row.key], [])


def test_a_run_that_another_process_took_over_is_left_at_once(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, lost = started(search), Mock(side_effect=LeaseLostError("taken over"))
    monkeypatch.setattr(search.folder, "append_epoch", lost)
    with pytest.raises(LeaseLostError):
        hand_over(search, trial, report_of(trial, range(1, 7), done=True))


def test_warnings_are_told(search: Search) -> None:
    trial, told = started(search), lines_told(search)
    hand_over(search, trial, report_of(trial, range(1, 3), warnings=["a checkpoint is torn"]))
    assert told == [f"{trial.row.key}: a checkpoint is torn"]


def test_tune_keeps_of_a_result_only_what_it_needs(search: Search) -> None:
    trial = started(search)
    result = report_of(trial, range(1, 3), training_iteration=1, config={"weights": [1.0]})
    hand_over(search, trial, result)
    assert result == {"done": False, "training_iteration": 1}


def test_the_first_waiting_trial_is_the_next_to_run(search: Search) -> None:
    def trial(key: str, status: str) -> SimpleNamespace:
        return SimpleNamespace(config={"key": key}, status=status)

    live = {"b": Trial.PENDING, "a": Trial.RUNNING, "c": Trial.PENDING}
    trials = [trial(key, status) for key, status in live.items()]
    scheduler, controller = StudyScheduler(search, lambda: None), SimpleNamespace()
    for added in trials:
        scheduler.on_trial_add(controller, added)  # type: ignore[arg-type]
    for expected in ("b", "c", None):
        chosen: Any = scheduler.choose_trial_to_run(controller)
        assert (chosen and chosen.config["key"]) == expected
        if chosen:
            chosen.status = Trial.RUNNING


def lose(search: Search, trial: Running, why: str = "") -> None:
    """Do what Tune does when a trial's worker is lost."""
    path = search.folder.path / "error.txt"
    path.write_text(why)
    told = str(path) if why else None
    tune_trial: Any = SimpleNamespace(config={"key": trial.row.key}, error_file=told)
    callback = callback_of(search)
    callback.on_trial_error(iteration=1, trials=[], trial=tune_trial)


def test_a_trial_whose_worker_is_lost_is_handed_out_again_before_new_ones(search: Search) -> None:
    trial, other, told = started(search), started(search), lines_told(search)
    hand_over(search, trial, report_of(trial, range(1, 4)))
    assert search.under_way == 2
    lose(search, trial)
    assert search.under_way == 1
    assert told == [f"{trial.row.label} lost its worker after epoch 3; it goes on from epoch 0"]
    assert started(search) is trial
    assert other.row.key in search.running


def test_a_trial_may_lose_its_worker_often_as_long_as_it_makes_progress(search: Search) -> None:
    trial = started(search)
    for epoch in range(1, 6):
        for _ in range(MAX_LOSSES_IN_A_ROW - 1):
            lose(search, trial)
            assert started(search) is trial
        hand_over(search, trial, report_of(trial, range(epoch, epoch + 1)))
    assert recorded(search, trial) == [1, 2, 3, 4, 5]


def test_a_trial_that_only_loses_its_workers_fails_with_the_last_reason(search: Search) -> None:
    for _ in range(MAX_LOSSES_IN_A_ROW):
        trial = started(search)
        assert trial.row.label == "uniform"
        lose(search, trial, "Traceback:\nModuleNotFoundError: No module named 'torch'\n")
    assert search.ended[0].reason == (
        "lost its worker 4 times without a new epoch (ModuleNotFoundError: No module named 'torch')"
    )
    assert not search.adopted
    lose(search, trial)  # what is over stays so
    assert len(search.ended) == 1


def test_a_lost_trial_whose_end_cannot_be_recorded_halts_the_search(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search.folder, "write_error", Mock(side_effect=FULL))
    for _ in range(MAX_LOSSES_IN_A_ROW):
        lose(search, trial := started(search))
    assert search.must_stop() == "runs/a/file: No space left on device"
    assert list(search.running) == [trial.row.key]


def test_a_trial_that_tune_begins_again_after_a_notice_is_told_of_and_is_no_loss(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, told = started(search), lines_told(search)
    hand_over(search, trial, report_of(trial, range(1, 4)))
    saving = Saving(search, lambda: None)
    saving.workers[trial.row.key] = "worker"  # type: ignore[assignment]
    tuned = Trial("a trainable", stub=True, config={"key": trial.row.key})
    monkeypatch.setattr(Trial, "local_path", None)  # where the error would be kept
    tuned.handle_error(RayActorError(preempted=True))
    assert tuned.should_recover()
    callback = StudyCallback(search, saving, lambda: None)
    for _ in range(MAX_LOSSES_IN_A_ROW):
        callback.on_trial_recover(iteration=1, trials=[], trial=tuned)
    where = "lost its node, as announced, after epoch 3; it goes on from epoch 0"
    assert told == [f"{trial.row.label} {where}"] * MAX_LOSSES_IN_A_ROW
    assert (saving.workers, search.under_way, trial.losses) == ({}, 1, 0)
    assert search.spending.repeated_epochs == 3 * MAX_LOSSES_IN_A_ROW
    monkeypatch.setattr(search.folder, "saved_epoch", Mock(side_effect=FULL))
    callback.on_trial_recover(iteration=1, trials=[], trial=tuned)
    assert search.must_stop() == sentence_of(FULL)


def searcher(search: Search, limit: int, stop: str | None = None) -> StudySearcher:
    return StudySearcher(search, lambda: limit, lambda: stop, lambda: None)


def test_no_more_trials_are_begun_than_there_are_places(search: Search) -> None:
    found = [searcher(search, 3).suggest("id") for _ in range(5)]
    assert [config is None for config in found] == [False] * 3 + [True] * 2
    assert searcher(search, 4).suggest("id") is not None
    assert searcher(search, 2).suggest("id") is None  # a node is gone, and its trials run on


def test_without_a_place_the_search_is_not_over(search: Search) -> None:
    assert searcher(search, 0).suggest("id") is None


def test_without_a_place_a_search_that_is_over_ends(search: Search) -> None:
    while search.has_more():
        trial = started(search)
        hand_over(search, trial, report_of(trial, range(1, OBJECTIVE.epochs + 1), done=True))
    assert searcher(search, 0).suggest("id") == Searcher.FINISHED


def test_the_last_trial_that_loses_its_worker_is_handed_out_again(search: Search) -> None:
    """Tune asks for no more trials once it was told that there are none."""
    while (trial := started(search)) and search.search_trials < 16:
        hand_over(search, trial, report_of(trial, range(1, OBJECTIVE.epochs + 1), done=True))
    asked = searcher(search, 2)
    assert asked.suggest("id") is None
    lose(search, trial)
    config = asked.suggest("id")
    assert isinstance(config, dict)
    assert config["key"] == trial.row.key
    hand_over(search, trial, report_of(trial, range(1, OBJECTIVE.epochs + 1), done=True))
    assert asked.suggest("id") == Searcher.FINISHED


@pytest.mark.parametrize("error", (UserError("all weightings have diverged."), FULL))
def test_where_nothing_can_be_drawn_any_more_the_search_halts_and_what_runs_is_kept(
    error: Exception, search: Search
) -> None:
    trial, asked = started(search), searcher(search, 2)
    ask: Any = SimpleNamespace(next_named=lambda: None, ask=Mock(side_effect=error))
    search.proposer = ask
    assert asked.suggest("id") == Searcher.FINISHED
    assert search.must_stop() == sentence_of(error)
    assert list(search.running) == [trial.row.key]


def test_a_search_that_must_stop_begins_nothing(search: Search) -> None:
    assert searcher(search, 3, stop="SIGINT").suggest("id") == Searcher.FINISHED
