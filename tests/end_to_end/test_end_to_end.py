"""A whole search as a user runs it: real images, real Ray, then show, export and a second start."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import searching

from search.cli.commands import main
from search.store.trials import TrialState


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished search of six trials, shortened to four epochs."""
    place = tmp_path_factory.mktemp("search")
    done = searching.search(place, "--trials", "6", "--epochs", "4", "--grace-epochs", "1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "not searched: normalization" in done.stdout
    assert "4 of 40 epochs (shortened)" in done.stdout
    return place


def test_every_trial_has_ended_and_the_baselines_came_first_at_full_length(place: Path) -> None:
    rows = searching.rows(place)
    assert [row.label for row in rows[:4]] == [
        "uniform",
        "sqrt_inverse",
        "inverse",
        "mlsbench_balanced_softmax",
    ]
    assert all(row.state == TrialState.COMPLETE for row in rows[:4])
    assert len(rows) == 6
    assert all(row.state in (TrialState.COMPLETE, TrialState.PRUNED) for row in rows)


def test_every_epoch_of_every_trial_is_on_record(place: Path) -> None:
    for row in searching.rows(place):
        results = searching.folder(place).read_epochs(row.key)
        assert len(results) == row.epochs
        assert results[-1].best_score == row.value


def test_nothing_but_the_stated_layout_is_left(place: Path) -> None:
    names = {path.name for path in searching.folder(place).path.iterdir()}
    assert names == {
        "attempts.jsonl",
        "best.json",
        "best_weighting.py",
        "checkpoints",
        "lock",
        "log.txt",
        "report.html",
        "settings.json",
        "record.jsonl",
        "trials",
    }
    assert list(searching.folder(place).checkpoints.iterdir()) == []


def test_the_export_works_outside_the_project(place: Path, tmp_path: Path) -> None:
    best = searching.folder(place).path / "best_weighting.py"
    (tmp_path / best.name).write_bytes(best.read_bytes())
    program = """
import torch
from best_weighting import compute_class_weights
counts = torch.tensor([5000, 1200, 300, 70, 12])
weights = compute_class_weights(counts, 5, {"imbalance_ratio": 416, "dataset": "mine"})
loss = torch.nn.CrossEntropyLoss(weight=weights)
print(float(loss(torch.zeros(4, 5), torch.tensor([0, 1, 2, 3]))))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) == pytest.approx(1.6094379)


def test_the_export_says_that_the_protocol_was_shortened(place: Path) -> None:
    result = json.loads((searching.folder(place).path / "best.json").read_text())["result"]
    assert result["protocol"] == "4 of 40 epochs (shortened)"
    assert result["basis"].endswith("not confirmed with fresh seeds")
    assert len(result["single_runs"]) == result["runs"]
    assert result["provenance"]["versions"]["torch"]


def test_show_prints_every_trial(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(searching.folder(place).path)]) == 0
    output = capsys.readouterr().out
    for row in searching.rows(place):
        assert row.label in output
    assert "published" not in output


def test_export_applies_the_weighting_to_other_counts(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("cat,900\ndog,30\nowl,3\n")
    assert main(["export", str(searching.folder(place).path), "--counts", str(counts)]) == 0
    applied = json.loads(capsys.readouterr().out)
    assert [row["class"] for row in applied["classes"]] == ["cat", "dog", "owl"]
    assert sum(row["weight"] for row in applied["classes"]) == pytest.approx(3)


@pytest.mark.parametrize(
    ("options", "words"),
    (
        (("--epochs", "4", "--grace-epochs", "1"), "run 'run' exists; add --resume"),
        (("--epochs", "4", "--resume", "--seed", "7"), "seed: 42 -> 7"),
        (
            ("--epochs", "5", "--resume"),
            "4 of 40 epochs (shortened), by accuracy -> resnet8-digitslt, 5 of 40 epochs",
        ),
    ),
)
def test_a_run_is_neither_replaced_nor_continued_with_other_settings(
    place: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    assert main(searching.arguments(place, "--trials", "6", *options)) == 2
    assert words in capsys.readouterr().err


def test_trials_without_settings_are_never_overwritten(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(place, tmp_path / "copy")
    copy = searching.folder(tmp_path / "copy")
    copy.settings.unlink()
    before = copy.record.read_bytes()
    assert main(searching.arguments(tmp_path / "copy", "--trials", "6", "--epochs", "4")) == 2
    assert "holds trials but no settings.json" in capsys.readouterr().err
    assert copy.record.read_bytes() == before


def test_resuming_a_finished_run_trains_nothing_and_says_the_result_again(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = searching.recorded_epochs(place)
    options = ("--trials", "6", "--epochs", "4", "--grace-epochs", "1", "--resume")
    assert main(searching.arguments(place, *options)) == 0
    output = capsys.readouterr().out
    assert "best" in output
    assert "Starting Ray" not in output
    assert searching.recorded_epochs(place) == before
