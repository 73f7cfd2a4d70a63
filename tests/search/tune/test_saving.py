"""The end of a search that must stop, and what of its trials is saved."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayTaskError
from twin import attempt, fast_folder, lines_told, make_run, make_settings, results_of

from search.session.running import Running
from search.session.search import MAX_FAILURES_IN_A_ROW, Search
from search.tune import saving
from search.tune.bridge import StudyCallback
from search.tune.saving import SAVE_SECONDS, Saving


class Worker:
    """A trial's worker, whose call to save ends when it is told how."""

    def __init__(self) -> None:
        self.end: Exception | str | None = "open"
        self.save_now = SimpleNamespace(remote=lambda: self)

    def get(self) -> None:
        if isinstance(self.end, Exception):
            raise self.end


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    def wait(calls: list[Worker], num_returns: int, timeout: float) -> tuple[list[Worker], None]:
        return [call for call in calls if call.end != "open"], None

    now = [100.0]
    monkeypatch.setattr(saving, "ray", SimpleNamespace(wait=wait, get=Worker.get))
    monkeypatch.setattr(saving, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.fixture
def search() -> Iterator[Search]:
    with fast_folder() as folder:
        settings = make_settings()
        yield attempt(make_run(Path(folder) / "run", settings), settings, 16)


def started(search: Search) -> Running:
    trial = search.next_trial()
    assert trial is not None
    return trial


def begun(search: Search) -> tuple[Saving, list[Any], list[str]]:
    """Return the saving of two running trials, their workers, and reasons to stop."""
    reasons: list[str] = []
    workers, saving = [Worker(), Worker()], Saving(search, lambda: reasons[0] if reasons else None)
    for worker in workers:
        trial = search.next_trial()
        assert trial is not None
        saving.begins(trial.row.key, worker)  # type: ignore[arg-type]
    return saving, workers, reasons


def test_a_search_is_over_once_all_its_trials_are_saved(search: Search) -> None:
    saving, workers, reasons = begun(search)
    told = lines_told(search)
    assert not saving.is_over()
    assert saving.text() is None
    reasons.append("SIGINT")
    assert not saving.is_over()
    assert saving.text() == "Saving 2 trials, for at most 30 s more"
    workers[0].end = None
    assert not saving.is_over()
    assert saving.text() == "Saving 1 trial, for at most 30 s more"
    workers[1].end = None
    assert saving.is_over()
    assert told == []


def test_a_worker_that_does_not_answer_is_given_up_in_the_end(
    search: Search, clock: list[float]
) -> None:
    saving, _, reasons = begun(search)
    reasons.append("SIGINT")
    assert not saving.is_over()
    clock[0] += SAVE_SECONDS + 1
    assert saving.is_over()


def test_a_trial_that_ends_well_meanwhile_does_not_take_back_that_the_search_stops(
    search: Search,
) -> None:
    saving, workers = Saving(search, search.must_stop), [Worker() for _ in range(5)]
    failing, ending, waiting = [], started(search), started(search)
    for _ in range(MAX_FAILURES_IN_A_ROW):
        failing.append(started(search))
    for trial, worker in zip((ending, waiting, *failing), workers, strict=True):
        saving.begins(trial.row.key, worker)  # type: ignore[arg-type]
    for trial in failing:
        search.fail(trial.row.key, "it diverged")
    assert not saving.is_over()
    for result in results_of(ending.row.seed):
        search.report(ending.row.key, 0, result)
    search.finish(ending.row.key)
    assert search.must_stop() == "3 trials failed in a row: it diverged"
    assert not saving.is_over()
    workers[0].end = workers[1].end = None
    assert saving.is_over()
    assert list(search.running) == [waiting.row.key]


def test_what_cannot_be_saved_is_said(search: Search) -> None:
    saving, workers, reasons = begun(search)
    told = lines_told(search)
    reasons.append("SIGINT")
    workers[0].end, workers[1].end = RayTaskError("save_now", "", OSError("disk full")), None
    assert saving.is_over()
    assert told == [f"{next(iter(search.running))} is not saved where it is (OSError: disk full)"]


def test_only_trials_that_run_on_a_worker_are_saved(search: Search) -> None:
    saving, _, reasons = begun(search)
    first, second = list(search.running)
    search.fail(first, "it diverged")
    tune_trial: Any = SimpleNamespace(config={"key": second}, error_file=None)
    StudyCallback(search, saving, lambda: None).on_trial_error(1, [], tune_trial)
    again = search.next_trial()  # which waits for another worker
    assert again is not None
    assert again.row.key == second
    reasons.append("SIGINT")
    assert saving.is_over()
