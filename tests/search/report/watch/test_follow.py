"""Runs that are followed: what a search appends is taken, and nothing is read twice or changed."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
from confirming import PLAIN, drive, new_run, steady, train
from leases import holder
from twin import JOINT, OBJECTIVE, attempt, results_of

from search.report.page.write import rendered
from search.report.watch import follow
from search.report.watch.follow import FollowedRun, FollowedRuns
from search.session.search import Search
from search.store import lease
from search.store.lease import HolderView
from search.store.record import Record
from search.store.run_folder import RunFolder
from spaces.errors import UserError

TRIALS = 5


@pytest.fixture
def search(tmp_path: Path) -> Search:
    """A search that has just begun."""
    folder = new_run(tmp_path / "run", OBJECTIVE)
    begun = attempt(folder, PLAIN, TRIALS, objective=OBJECTIVE, confirm=False)
    folder.begin_attempt({"resources": {}, "device": "cpu"})
    return begun


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POLL_SECONDS", "PAGE_SECONDS", "PAGE_SHARE"):
        monkeypatch.setattr(follow, name, 0)


def test_a_record_that_is_followed_equals_one_that_is_read(search: Search) -> None:
    followed = Record(search.folder.record)
    assert not followed.follow()
    while trial := search.next_trial():
        train(search, trial, steady)
        assert followed.follow()
    assert not followed.follow()
    whole = Record(search.folder.record)
    assert followed.rows() == whole.rows()
    assert followed.bytes == whole.bytes == search.folder.record.stat().st_size


def test_a_line_that_is_still_being_written_waits(search: Search) -> None:
    followed = Record(search.folder.record)
    trial = search.next_trial()
    assert trial
    content = search.folder.record.read_bytes()
    search.folder.record.write_bytes(content[:-5])
    assert not followed.follow()
    search.folder.record.write_bytes(content)
    assert followed.follow()
    assert [row.key for row in followed.rows()] == [trial.row.key]


def test_a_damaged_line_and_a_record_that_is_gone_are_one_sentence(search: Search) -> None:
    followed = Record(search.folder.record)
    with search.folder.record.open("ab") as file:
        file.write(b'{"n":1,"ended":{}}\n')
    with pytest.raises(UserError, match=r"line 2 of .* is damaged"):
        followed.follow()
    search.folder.record.unlink()
    with pytest.raises(UserError, match="cannot be read any more"):
        followed.follow()


def test_progress_tells_where_running_trials_are(search: Search) -> None:
    run = FollowedRun(search.folder)
    assert run.progress["running"] == []
    trial = search.next_trial()
    assert trial
    (told,) = run.look()["running"]
    assert (told["label"], told["epoch"], told["score"]) == ("uniform", 0, None)
    train(search, trial, steady)
    progress = run.look()
    assert progress["running"] == []
    assert progress["ended"]["complete"] == 1


def test_a_search_that_stopped_is_told_from_one_that_runs(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, now = FollowedRun(search.folder), [0.0]
    monkeypatch.setattr(lease, "clock", lambda: now[0])

    def stands(seconds: float = 0.0, **changes: object) -> str:
        now[0] += seconds
        if changes:
            holder(search.folder.path, **changes)
        return str(run.look()["stands"])

    assert stands() == "nothing is running"
    assert search.next_trial()
    stopped = "the search has stopped, unfinished: 1; the same command with --resume goes on"
    assert stands() == stopped, "nobody holds it"
    here = lease.this_machine()
    assert stands(machine=here, pid=os.getpid()) == "running: 1"
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    assert stands(machine=here, pid=ended.pid) == stopped, "its process was killed"
    run._holder = HolderView(search.folder.path)
    assert stands(beat=3) == "unfinished: 1", "of another machine, seen once"
    assert stands(5.0) == "unfinished: 1"
    assert stands(1.0, beat=4) == "running: 1"
    assert stands(20.0) == "running: 1"
    assert stands(11.0) == stopped
    assert stands(1.0, beat=5) == "running: 1", "it had slept"
    monkeypatch.setattr(lease.Lease, "_read", Mock(side_effect=PermissionError))
    assert stands() == "unfinished: 1", "it cannot be told"


def test_a_trial_on_several_benchmarks_is_one_and_has_a_line_on_each(tmp_path: Path) -> None:
    folder = new_run(tmp_path / "run", JOINT)
    begun = attempt(folder, PLAIN, TRIALS, objective=JOINT, confirm=False)
    folder.begin_attempt({"resources": {}, "device": "cpu"})
    assert begun.next_trial()
    progress = FollowedRun(folder).progress
    names = [benchmark.name for benchmark in JOINT.benchmarks]
    assert [told["label"] for told in progress["running"]] == [f"uniform on {n}" for n in names]
    assert progress["unfinished"] == 1


@pytest.mark.parametrize("line", ("[]", "3", '{"epoch":1e400,"score":NaN}', "{" * 10**5))
def test_a_last_line_that_is_no_epoch_is_one_sentence(search: Search, line: str) -> None:
    trial = search.next_trial()
    assert trial
    search.folder.epochs_file(trial.row.key).write_text(f"{line}\n")
    with pytest.raises(UserError, match=r"the last line of .* (is not JSON|cannot be used)"):
        FollowedRun(search.folder)


def test_a_file_that_is_gone_between_two_looks_at_it_is_one_sentence(search: Search) -> None:
    run = FollowedRun(search.folder)
    assert search.next_trial()
    with (
        patch.object(follow, "last_line", side_effect=FileNotFoundError("gone")),
        pytest.raises(UserError, match="cannot be read any more"),
    ):
        run.look()


@pytest.mark.parametrize("deleted", (True, False))
def test_a_run_in_the_place_of_another_is_read_anew(
    search: Search, tmp_path: Path, deleted: bool
) -> None:
    runs = FollowedRuns(tmp_path)
    drive(search, steady)
    first = runs.run("run")
    assert first
    shutil.move(search.folder.path, tmp_path.parent / f"{tmp_path.name}-moved")
    if not deleted:
        new_run(tmp_path / "run", OBJECTIVE)
        begun = attempt(search.folder, PLAIN, TRIALS, objective=OBJECTIVE, confirm=False)
        search.folder.begin_attempt({"resources": {}, "device": "cpu"})
        assert begun.next_trial()
    with pytest.raises(UserError, match="is gone, or another run by now"):
        first.look()
    second = runs.run("run")
    assert (second is None) == deleted
    assert deleted or (second and second.progress["unfinished"] == 1)


def test_a_run_of_an_earlier_version_says_when_it_changed(search: Search) -> None:
    run, journal = FollowedRun(search.folder), search.folder.path / "study.journal"
    search.folder.record.rename(journal)
    os.utime(journal, (time.time() - 100,) * 2)
    assert 100 <= run.look()["seconds_since"] < 1000


@pytest.mark.parametrize("tail", (1, 100, 10_000))
def test_a_last_line_of_any_length_is_read_whole(
    search: Search, tail: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "TAIL", tail)
    trial = search.next_trial()
    assert trial
    run, file = FollowedRun(search.folder), search.folder.epochs_file(f"{trial.row.key}")
    for epoch, result in enumerate(results_of(1), 1):
        search.report(trial.row.key, 0, result)
        assert file.stat().st_size > 100
        (told,) = run.look()["running"]
        assert (told["epoch"], told["best"]) == (epoch, result.best_score)


def test_the_page_is_made_anew_when_a_trial_has_ended_and_only_then(search: Search) -> None:
    run = FollowedRun(search.folder)
    first = run.page("live")
    with patch.object(follow, "report_html") as made:
        assert run.page("live") == first
        made.assert_not_called()
    drive(search, steady)
    run.look()
    assert run.page("live") != first
    assert "is the best of the search so far" in run.page("live")


def test_a_page_that_took_long_is_not_made_anew_at_once(search: Search) -> None:
    run = FollowedRun(search.folder)
    with patch.object(follow, "PAGE_SHARE", 1e6):
        first = run.page("live")
    drive(search, steady)
    assert run.page("live") == first
    assert run.page_version() < run.version


def test_looking_changes_nothing_in_the_folder(search: Search) -> None:
    drive(search, steady)
    before = {path: path.stat().st_mtime_ns for path in search.folder.path.rglob("*")}
    FollowedRun(search.folder).page("live")
    assert {path: path.stat().st_mtime_ns for path in search.folder.path.rglob("*")} == before


def test_runs_of_a_folder_are_listed_the_latest_first_and_damaged_ones_say_why(
    search: Search, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "settings.json").write_text("{")
    os.utime(broken / "settings.json", (1, 1))
    (tmp_path / "no-run").mkdir()
    odd = tmp_path / os.fsdecode(b"\x1b[1mcaf\xe9")
    shutil.copytree(broken, odd)
    runs = FollowedRuns(tmp_path)
    good, bad, strange = runs.listed()
    assert strange["name"] == "\ufffd[1mcaf\ufffd"
    assert rendered("runs.html.j2", title="runs", runs=runs.listed()).encode()
    assert good["name"] == "run"
    assert bad["name"] == "broken"
    assert "settings.json" in bad["error"]
    assert runs.run("../run") is None
    assert runs.run("no-run") is None


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        FollowedRuns(tmp_path / "none")
    assert FollowedRuns(tmp_path).listed() == []


def test_a_run_of_its_own_is_known_by_its_name(search: Search) -> None:
    runs = FollowedRuns(search.folder.path)
    found = runs.run("run")
    assert found is runs.run("run")
    assert isinstance(found, FollowedRun)
    assert isinstance(found.folder, RunFolder)
