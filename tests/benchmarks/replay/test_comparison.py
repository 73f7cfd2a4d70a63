"""Comparison of replays: arms of several files together, in a figure and in a table."""

import json
from pathlib import Path

import pytest

from benchmarks.replay.comparison.__main__ import main


def written(
    path: Path, arm: str, name: str = "late", trials: int = 8, workers: int = 4, **more: object
) -> str:
    figure = {"mean": 0.5, "low": -0.25, "high": 0.75}
    facts = dict.fromkeys(("bias", "worse_than_uniform", "worse_than_baseline", "regret"), figure)
    summary = {**facts, "covered": None, "curve": [None, 0.8, 0.7, 0.5], **more}
    content = {"name": name, "budget_trials": trials, "workers": workers, "repetitions": 60}
    content["arms"] = {arm: summary}
    path.write_text(json.dumps(content))
    return str(path)


def test_arms_of_one_benchmark_stand_side_by_side_under_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    ends = {"curve_low": [None, 0.7, 0.6, 0.4], "curve_high": [None, 0.9, 0.8, 0.6]}
    files = [written(tmp_path / "a.json", "one"), written(tmp_path / "b.json", "two", **ends)]
    files.append(written(tmp_path / "c.json", "one", name="rough"))
    out = tmp_path / "regret.png"
    assert main([*files, "--arm", "two=second", "--arm", "one", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "| late | second | one |" in said
    assert "| repetitions | 60 | 60 |" in said
    assert "| rough | one |" in said
    assert "| regret after 4 runs | 0.80 (0.70-0.90) | 0.80 |" in said
    assert "| bias of the stated accuracy | 0.50 (-0.25 to 0.75)" in said
    assert out.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "said"),
    (
        (["nowhere.json"], "nowhere.json cannot be read"),
        (["a.json", "other.json"], "a budget of 8 trials"),
        (["a.json", "b.json"], "a.json has 4 trials at a time and b.json 1 trials at a time;"),
        (["empty.json"], "no result of benchmarks.replay"),
        (["a.json", "--arm", "onr=1"], "no file has the arm 'onr'; they have 'one'"),
        (["a.json", "--out", "no/such/folder.png"], "existing folder"),
    ),
)
def test_what_cannot_be_compared_ends_with_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.json", "one")
    written(tmp_path / "other.json", "one", trials=16)
    written(tmp_path / "b.json", "one", workers=1)
    (tmp_path / "empty.json").write_text("{}")
    assert main(["--out", "regret.png", *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_arm_that_is_in_several_files_is_said_to_be_that_of_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    figure = {"mean": 0.1, "low": 0.0, "high": 0.2}
    files = [
        written(tmp_path / "a.json", "one"),
        written(tmp_path / "b.json", "one", regret=figure),
    ]
    assert main([*files, "--out", str(tmp_path / "regret.png")]) == 0
    out, error = capsys.readouterr()
    assert "| regret after 8 runs | 0.10 (0.00-0.20) |" in out
    assert error == f"note: 'one' on late is in several files; shown is that of {files[1]}.\n"
