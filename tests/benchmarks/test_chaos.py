"""The benchmark that kills: what it kills when, and how it tells a whole search from another."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from twin import Twin, attempt, make_run, make_settings

from benchmarks.chaos import __main__ as chaos
from benchmarks.chaos.__main__ import Hosts, Run, losses_of
from benchmarks.chaos.result import Loss, Result, judge, table
from search.store.record import Record

SETTINGS = make_settings()
OUTPUT = (
    "x lost its worker after epoch 3\ny was unfinished after epoch 7\n5 epochs were trained again"
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = make_run(tmp_path / "run", SETTINGS)
    Twin(attempt(folder, SETTINGS, 8)).run()
    return folder.path


def judged(run: Path, reference: dict[str, list[float]] | None = None) -> Result:
    found = judge(
        run, OUTPUT, 8, [Loss(3.0, "node", 1)], 90.0, {} if reference is None else reference
    )
    return found.with_end(0, 2, True)


def test_a_whole_search_is_whole(run: Path) -> None:
    found = judged(run)
    assert found.is_whole
    assert (found.ended, found.interrupted, found.repeated) == (8, 2, 5)


def test_a_missing_row_is_seen(run: Path) -> None:
    found = judge(run, "", 9, [], 90.0, {}).with_end(0, 1, False)
    assert found.faults == ("8 rows, 8 keys",)
    assert not found.is_whole


def test_a_missing_epoch_is_seen(run: Path) -> None:
    path = run / "trials" / "baselines-00000.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert "baselines-00000 has 5 epochs on record, not 6" in judged(run).faults


def test_a_failed_trial_and_left_checkpoints_are_seen(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", SETTINGS)
    record = Record.reopen(folder.record)
    row = record.next_named()
    assert row is not None
    record.tell(row.key, "failed", reason="lost")
    (folder.checkpoints / "x").mkdir()
    found = judge(folder.path, "", 1, [], 1.0, {}).with_end(0, 1, False)
    assert found.faults == ("baselines-00000 is FAIL", "checkpoints are left")


def test_results_that_differ_from_the_undisturbed_are_seen(run: Path) -> None:
    reference: dict[str, list[float]] = {}
    assert judged(run, reference).is_whole
    assert len(reference) == 4
    assert judged(run, reference).is_whole
    reference["baselines-00002"][3] += 0.1
    assert judged(run, reference).faults == ("baselines-00002 has other results than undisturbed",)


def test_the_kills_are_seeded_and_within_the_search() -> None:
    first, second = (losses_of(np.random.default_rng(1), 60, 2, 80.0) for _ in range(2))
    assert first == second
    assert {loss.kind for loss in first} == set(chaos.KINDS)
    assert {loss.host for loss in first} == {1, 2}
    assert all(chaos.FIRST_SECONDS <= loss.seconds <= 80 for loss in first)


def test_the_table_sums_up_the_disturbed_searches(run: Path) -> None:
    quiet = judge(run, "", 8, [], 60.0, {}).with_end(0, 1, False)
    text = table([quiet, judged(run)])
    assert "1 of 1 disturbed searches are whole; time 1.50 times a quiet search's" in text
    assert "1 kill, 2 trials interrupted, 5 recorded epochs trained again (2.5 each)" in text
    missed = dataclasses.replace(quiet, seconds=50.0, disturbed=True)
    text = table([quiet, judged(run), missed])
    assert (
        "2 of 2 disturbed searches are whole; time 1.17 times a quiet search's (0.83-1.50)" in text
    )
    assert "NOT WHOLE: exit 1, 8 rows" in table(
        [judge(run, "", 9, [], 60.0, {}).with_end(1, 1, True)]
    )


HOSTS = """
case "$3" in
  *run_search.py*--name*) ;;
  *) until test -s {place}/driver; do sleep .01; done ;;
esac
echo "$@" >> {place}/commands
case "$1" in ssh)
  case "$3" in
    *run_search.py*--name*) mkdir -p {place}/runs/chaos; touch {place}/runs/chaos/settings.json
      case "$3" in
        *--resume*) exit 0 ;;
        *) sleep 30 & echo $! > {place}/driver; wait; exit 1 ;;
      esac ;;
    *pkill*un_search*) kill "$(cat {place}/driver)" ;;
  esac ;;
esac
"""


def test_a_killed_driver_is_started_again_with_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaos, "AWAY_SECONDS", 0.0)
    (tmp_path / "hosts").write_text(HOSTS.format(place=tmp_path))
    hosts = Hosts(f"bash {tmp_path / 'hosts'}", tmp_path, "cd there", 2)
    losses = [Loss(0.9, "driver", 1), Loss(0.3, "node", 2), Loss(0.6, "worker", 1)]
    found = Run(hosts, "chaos", ["--trials", "24"], losses, tmp_path)
    found.watch()
    assert (found.code, found.drivers) == (0, 2)
    assert [loss.kind for loss in found.hit] == ["node", "worker", "driver"]
    commands = (tmp_path / "commands").read_text().splitlines()
    assert commands[1:3] == ["kill 2", f"start 2 {tmp_path}"]
    assert commands[3].startswith("ssh 1 pkill -KILL -f '^[r]ay::")
    assert commands[5].endswith("--trials 24 --resume")


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    (
        ("--searches", "0", "at least 1"),
        ("--seed", "-1", "at least 0"),
        ("--out", "absent/found", "a file name in an existing folder"),
    ),
)
def test_a_wrong_option_is_one_sentence(
    option: str, value: str, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chaos.main(["--hosts", "x", "--shared", "y", option, value]) == 2
    assert capsys.readouterr().err == f"error: {option} is {value}; it must be {rule}.\n"


def test_a_search_that_is_there_is_not_taken_for_a_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "runs" / "chaos-04"
    there.mkdir(parents=True)
    options = ["--hosts", "x", "--shared", str(tmp_path), "--out", str(tmp_path / "chaos.json")]
    assert chaos.main([*options, "--searches", "2"]) == 2
    error = f"error: --name is chaos, but {there} is there; give another name.\n"
    assert capsys.readouterr().err == error


def test_the_driver_is_found_by_its_pattern_and_the_looker_is_not() -> None:
    looker = ["bash", "-c", f"pgrep -f '{chaos.PROGRAM}-of-nobody'; true"]
    assert subprocess.run(looker, capture_output=True, check=True).stdout == b""
    # one process: a shell's child has the shell's words until it runs its program
    words, program = ["run_search.py-of-nobody", "60"], shutil.which("sleep")
    with subprocess.Popen(words, executable=program) as driver:
        found = subprocess.run(looker, capture_output=True, check=True).stdout.split()
        driver.kill()
    assert found == [str(driver.pid).encode()]
