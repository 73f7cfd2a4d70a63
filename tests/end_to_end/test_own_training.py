"""A search through a function of one's own: from the command line, killed, stopped and resumed."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from repository import REPOSITORY
from searching import wait_for_epochs
from twin import make_settings, plan_in

from search.cli.commands import main
from search.driver.preparation import changed_code, manifest_of
from search.session.opening import check_same
from search.session.plan import check_benchmarks, check_own
from search.store.manifest import Manifest, RecordedBenchmark
from search.store.record import Record
from search.store.run_folder import RunFolder
from search.store.trials import TrialState
from spaces.errors import UserError
from trainer.own.declaration import own_training

MODULE = """
import math, random, time

def train(weights, seed, report, epochs, checkpoints):
    draw, state = random.Random(seed), checkpoints / "epoch"
    done = int(state.read_text()) if state.exists() else 0
    lift = math.log(weights[-1] / weights[0]) / 30
    for epoch in range(1, epochs + 1):
        noise = draw.gauss(0, 0.005)
        if epoch <= done:
            continue
        time.sleep({seconds})
        report(epoch, correct=[round(100 * (0.5 + epoch / 50 + lift + noise)), 50 + epoch, 40])
        state.write_text(str(epoch))

def alone(weights, seed, report):
    pass

def more(recipe, seed, report):
    pass

def told(weights, seed, report, dataset):
    pass
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "of_mine.py").write_text(MODULE.replace("{seconds}", "0.3"))
    (tmp_path / "counts.csv").write_text("class,train,test\ncat,500,100\ndog,50,100\nfox,5,100\n")
    yield tmp_path
    sys.modules.pop("of_mine", None)


def test_a_function_of_weights_alone_is_not_searched_for_more(place: Path) -> None:
    alone, more = (own_training(f"of_mine:{name}", "[5, 2]", 3) for name in ("alone", "more"))
    check_own([alone], make_settings(space="full"))
    check_own([more], make_settings(space="strategies"))
    with pytest.raises(UserError, match="takes class weights alone, and drw is more"):
        check_own([alone], make_settings(space="schedule"))
    plan = replace(
        plan_in(place), benchmarks=(alone,), settings=make_settings(baselines=("uniform", "ldam"))
    )
    with pytest.raises(UserError, match="and ldam is more"):
        check_benchmarks(plan)


def test_a_holdout_is_of_other_data_of_which_the_function_is_told(place: Path) -> None:
    counts = "class,train,test\nowl,90,40\nelk,9,40\n"
    (place / "hidden set.csv").write_text(counts)
    searched = own_training("of_mine:told", "counts.csv", 3)
    held = own_training("of_mine:told", "hidden set.csv", 3, held_out=True)
    assert (searched.name, held.name) == ("of_mine.told", "of_mine.told-hidden_set")
    assert (searched.dataset, held.dataset) == ("counts", "hidden set")
    plan = replace(plan_in(place), benchmarks=(searched,), holdout=held)
    check_benchmarks(plan)
    manifest = manifest_of(plan, ())
    assert manifest.objective.holdout == RecordedBenchmark.of_own(held).facts
    changed = RecordedBenchmark.of_own(replace(held, code="f" * 16))
    check_same(plan, replace(manifest, holdout=changed), manifest)
    other = replace(held, train_counts=(90, 8))
    with pytest.raises(UserError, match=r"holdout: of_mine.told-hidden_set, own training of 3"):
        check_same(plan, replace(manifest, holdout=RecordedBenchmark.of_own(other)), manifest)
    with pytest.raises(UserError, match="are both called 'counts'"):
        check_benchmarks(replace(plan, holdout=replace(held, dataset="counts")))
    alone = own_training("of_mine:alone", "counts.csv", 3)
    with pytest.raises(UserError, match="alone does not take 'dataset', which says whether it is"):
        check_benchmarks(replace(plan, benchmarks=(alone,)))


def test_a_function_that_was_changed_is_told_of(place: Path) -> None:
    own = own_training("of_mine:alone", "[5, 2]", 3)
    known = Manifest.of(make_settings(), (RecordedBenchmark.of_own(own),))
    plan = replace(plan_in(place), benchmarks=(own,))
    assert changed_code(plan, known) is None
    changed = replace(plan, benchmarks=(replace(own, code="f" * 16),))
    assert "module of_mine was changed since this run began" in str(changed_code(changed, known))


def test_a_dry_run_says_the_plan_and_measures_what_it_costs(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command()[2:], "--runs", str(place / "runs"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "of_mine.train: own training of 6 epochs on 555 images of 3 classes\n" in out
    assert re.search(r"\(3 trials x 6 epochs x [\d.]+ s, 2 at a time\)\. An epoch was timed", out)
    assert not (place / "runs").exists()


def command(*options: str) -> list[str]:
    what = ["--trainable", "of_mine:train", "--counts", "counts.csv", "--epochs", "6"]
    search = ["--trials", "3", "--baselines", "uniform", "--name", "run", "--concurrent", "2"]
    return [sys.executable, str(REPOSITORY / "run_search.py"), *what, *search, *options]


def start(place: Path, *options: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command(*options), cwd=place, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.slow
def test_a_search_that_is_killed_and_stopped_goes_on_from_the_functions_checkpoints(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    process = start(place)
    wait_for_epochs(place, 2, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    process = start(place, "--resume")
    wait_for_epochs(place, 8, process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate()
    assert process.returncode == 130
    assert "Stopped: SIGTERM. " in out
    assert "it goes on from its function's own checkpoint" in out
    assert "Every running trial will go on from the last checkpoint of its function" in out
    process = start(place, "--resume")
    told = process.communicate()
    assert process.returncode == 0, told
    folder = RunFolder(place / "runs" / "run")
    rows = Record(folder.record).rows()
    assert len(rows) == 3
    for row in rows:
        assert row.state in (TrialState.COMPLETE, TrialState.PRUNED)
        assert [r.epoch for r in folder.read_epochs(row.key)] == list(range(1, row.epochs + 1))
        assert set(row.summaries[0].shots) == {"many", "medium", "few"}
    assert not list(folder.checkpoints.iterdir())
    best = json.loads((folder.path / "best.json").read_text())
    assert best["class_names"] == ["cat", "dog", "fox"]
    assert (folder.path / "report.html").is_file()
    assert main(["show", str(folder.path)]) == 0
