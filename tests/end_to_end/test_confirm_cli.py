"""Searches that end with a verdict, as a user runs them: confirmed, stopped, extended, held out."""

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import searching
from confirming import complete, of_study, plan_of, seeds_by_arm

from search.cli.commands import main
from search.config.budget import SEEDS_EACH, candidates_for
from search.stats.best_arm import confirmation_seed
from search.store.trials import CONFIRMATION, HOLDOUT, Row, TrialState
from spaces import Strategy

pytestmark = pytest.mark.slow
TRIALS, RUNS, EPOCHS = 27, 9, 3
OPTIONS = ("--epochs", str(EPOCHS))
HELD = """
name = "held"
network = "resnet8"
resolution = 8
epochs = 2
[data]
root = "images"
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a run that has ended, and what it printed."""
    place = tmp_path_factory.mktemp("confirmed")
    process = searching.search(place, *OPTIONS, "--trials", str(TRIALS))
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return place, process.stdout


@pytest.fixture
def place(done: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of that folder."""
    shutil.copytree(done[0] / "runs", tmp_path / "runs")
    (tmp_path / "data").symlink_to(done[0] / "data")
    return tmp_path


def start(place: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(searching.REPOSITORY / "run_search.py"), *arguments],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def confirmed(place: Path) -> list[Row]:
    return of_study(searching.rows(place), CONFIRMATION)


def check_runs(place: Path, runs: int, epochs: int = EPOCHS) -> None:
    """Every arm of the plan has its seeds once, at full length, and nothing is left undone."""
    rows, folder = searching.rows(place), searching.folder(place)
    assert {row.state for row in rows} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert list(folder.checkpoints.iterdir()) == []
    found = confirmed(place)
    assert max(Counter((row.label, row.seed_index) for row in found).values()) == 1
    for row in found:
        assert row.seed_index is not None
        assert row.seed == confirmation_seed(42, row.seed_index)
        assert row.epochs == epochs == len(folder.read_epochs(row.key))
    plan = plan_of(folder)
    assert plan.runs == runs
    assert len(plan.candidates) == candidates_for(runs)
    seeds = seeds_by_arm(row for row in found if row.label in plan.arms)
    assert seeds.keys() == plan.arms.keys()
    assert all(s == list(range(len(s))) and len(s) >= SEEDS_EACH for s in seeds.values())
    assert sum(map(len, seeds.values())) <= runs


def check_verdict(place: Path, output: str) -> None:
    """The verdict is printed, and exported."""
    assert "Verdict after " in output
    best = json.loads((searching.folder(place).path / "best.json").read_text())
    verdict = best["result"]["verdict"]["verdict"]
    winner = plan_of(searching.folder(place)).arms[verdict["winner"]]
    assert Strategy.from_dict(best["strategy"]) == winner
    assert all(sentence in output for sentence in verdict["sentences"][1:])
    assert "…" not in output


def test_a_search_ends_with_a_verdict(done: tuple[Path, str]) -> None:
    place, output = done
    check_runs(place, RUNS)
    check_verdict(place, output)
    assert len(searching.rows(place)) == TRIALS
    assert f"{TRIALS - RUNS} trials search, up to {RUNS} confirm the best" in output
    assert output.index("The search is over after 18 trials. ") < output.index(
        "confirmation uniform seed 1: "
    )


def test_show_prints_the_verdict(
    done: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(searching.folder(done[0]).path)]) == 0
    check_verdict(done[0], capsys.readouterr().out)


def test_confirm_adds_runs_is_interrupted_and_goes_on(
    place: Path, stopping: list[subprocess.Popen[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    runs, before = RUNS + 3, confirmed(place)
    one = ("--concurrent", "1")
    more = ("confirm", str(searching.folder(place).path), "--confirm-runs", str(runs), *one)
    process = start(place, *more)
    stopping.append(process)
    searching.wait_for_epochs(place, searching.recorded_epochs(place) + 1, process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")
    assert "Stopped: Ctrl-C. " in output
    assert output.splitlines()[-1].split() == ["python", "run_search.py", *more]
    assert sum(row.state == TrialState.COMPLETE for row in confirmed(place)) < runs
    # The search's own command, with the same numbers, goes on where confirm was stopped.
    budget = ("--trials", str(TRIALS - RUNS + runs), "--confirm-runs", str(runs))
    resumed = searching.search(place, *OPTIONS, *budget, *one, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    check_runs(place, runs)
    check_verdict(place, resumed.stdout)
    after = confirmed(place)
    assert after[: len(before)] == before
    assert SEEDS_EACH <= len(after) - len(before) <= runs
    assert main([*more]) == 0  # nothing is left to do but to say it again
    check_verdict(place, capsys.readouterr().out)
    assert confirmed(place) == after


@pytest.mark.parametrize(
    ("options", "words"),
    (
        (("--confirm-runs", "8"), "--confirm-runs is 8; it must be at least 9."),
        (("--holdout", searching.BENCHMARK), f"name {searching.BENCHMARK!r} more than once"),
        (("--hours", "0"), "--hours is 0.0; it must be above 0.0."),
    ),
)
def test_bad_input_to_confirm_is_one_sentence(
    place: Path,
    options: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    before = searching.folder(place).record.read_bytes()
    assert main(["confirm", str(searching.folder(place).path), *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert searching.folder(place).record.read_bytes() == before


@pytest.mark.long
def test_a_joint_search_with_a_holdout(tmp_path: Path, make_folder: Callable[..., Path]) -> None:
    make_folder(tmp_path / "images", (40, 12, 5), test=10)
    (tmp_path / "held.toml").write_text(HELD)
    both = f"{searching.BENCHMARK},{searching.BENCHMARK}40"
    budget = ("--trials", "15", "--confirm-runs", "9", "--epochs", "2")
    process = searching.search(tmp_path, "--benchmark", both, "--holdout", "held.toml", *budget)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    check_runs(tmp_path, RUNS, epochs=2)
    check_verdict(tmp_path, process.stdout)
    rows, folder = searching.rows(tmp_path), searching.folder(tmp_path)
    assert all(len(row.summaries) == 2 for row in rows if row.study != HOLDOUT)
    assert all((folder.trials / f"{row.key}.1.jsonl").is_file() for row in confirmed(tmp_path))
    held = complete(of_study(rows, HOLDOUT))
    arms = plan_of(folder).arms
    assert seeds_by_arm(held) == {arm: list(range(SEEDS_EACH)) for arm in arms}
    assert all(row.value == row.summaries[0].best_score for row in held)
    judged = json.loads((folder.path / "best.json").read_text())["result"]["verdict"]
    names = [benchmark["name"] for benchmark in (*judged["benchmarks"], judged["holdout"])]
    assert names == [*both.split(","), "held"]
    assert "On held: " in process.stdout
