"""A joint search that is killed at any write ends as if nothing had happened."""

import copy
from pathlib import Path

import pytest
from joint import LENGTHS, SETTINGS, STAGES, check_finished, run_to_the_end, score_at
from twin import JOINT, Killed, Killer, attempt, make_run, results_of

from search.session.running import Running
from search.session.search import Search
from search.store.run_folder import RunFolder
from search.store.trials import TrialState
from spaces import CLASS_WEIGHTS


@pytest.fixture
def folder(place: Path) -> RunFolder:
    return make_run(place / "run", SETTINGS)


@pytest.mark.parametrize(
    ("first", "slots", "how"), ((1, 1, "before"), (2, 1, "torn"), (3, 3, "before"), (4, 3, "torn"))
)
def test_a_kill_at_any_write_loses_and_doubles_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, first: int, slots: int, how: str
) -> None:
    whole, killer = make_run(place / "whole", SETTINGS), Killer(monkeypatch)
    run_to_the_end(whole, 6, slots)
    total = killer.writes
    assert total > 10 * 6
    for writes in range(first, total, 4):  # the four cases take turns at the writes
        folder = make_run(place / f"run-{writes}", SETTINGS)
        killer.arm(writes, how)
        with pytest.raises(Killed):
            run_to_the_end(folder, 6, slots)
        killer.disarm()
        run_to_the_end(folder, 6, slots)
        check_finished(folder, 6)


@pytest.mark.parametrize("every", (23, 41))
def test_many_kills_in_one_search_lose_and_double_nothing(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    killer, kills = Killer(monkeypatch), 0
    while True:
        killer.arm(every + kills, "torn")
        try:
            twin = run_to_the_end(folder, 14, slots=3)
            break
        except Killed:
            kills += 1
    killer.disarm()
    assert kills >= 4
    assert twin.search.finished()
    check_finished(folder, 14)


def next_stop(search: Search) -> tuple[Running, int]:
    """Run trials up to one that early stopping will end at its next rung; return it and the part.

    All that is missing of the rung is one epoch of that part.
    """
    while trial := search.next_trial():
        curves = [results_of(trial.row.seed, n) for n in LENGTHS]
        for stage, ends in enumerate(STAGES):
            for part, end in enumerate(ends):
                for result in curves[part][len(trial.results[part]) : end - part]:
                    search.report(trial.row.key, part, result)
            seen = copy.deepcopy(search.rungs.rules[CLASS_WEIGHTS])
            worse = seen.observe(trial.row.key, ends[0], score_at(trial.row, ends))
            if stage < len(STAGES) - 1 and worse and not trial.row.is_baseline:
                return trial, 1
            search.report(trial.row.key, 1, curves[1][ends[1] - 1])
        search.finish(trial.row.key)
    raise AssertionError("no trial is stopped")


@pytest.mark.parametrize("writes", range(1, 5))
def test_a_decision_to_stop_survives_a_kill(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    killer = Killer(monkeypatch)
    search = attempt(folder, SETTINGS, 16, objective=JOINT)
    trial, part = next_stop(search)
    key, stage = trial.row.key, STAGES[trial.passed]
    result = results_of(trial.row.seed, LENGTHS[part])[stage[part] - 1]

    def report_and_finish() -> None:
        assert search.report(key, part, result)
        search.finish(key)

    killer.arm(writes, "after")
    with pytest.raises(Killed):
        report_and_finish()
    killer.disarm()
    again = attempt(folder, SETTINGS, 16, objective=JOINT)
    row = again.record.row(key)
    assert not again.running
    assert (row.state, row.stop_epoch) == (TrialState.PRUNED, stage[0])
    assert row.value == score_at(row, stage)
