"""Class weights alone are exported: options, sources, files, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from repository import EARLIER_RUN

from search.cli.commands import main
from search.export.formats.registry import FORMATS

RUN = str(EARLIER_RUN)


def told(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Return the exit code of an export, what it prints, and what it says beside."""
    try:
        code = main(["export", RUN, *map(str, words)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_json_of_the_benchmarks_counts_in_a_scale(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "--format", "json", "--normalize", "mean-sample")
    rows = json.loads(out)["classes"]
    counts, weights = ([row[name] for row in rows] for name in ("count", "weight"))
    assert code == 0
    assert len(rows) == 10
    assert np.average(weights, weights=counts) == pytest.approx(1)


@pytest.mark.parametrize("name", sorted({*FORMATS} - {"ultralytics", "names"}))
def test_each_format_is_written_for_counts_or_labels_of_a_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, output = tmp_path / "labels.txt", tmp_path / "new" / "weights"
    labels.write_text("0\n1\n" * 5 + "3\n" * 3 + "0\n" * 40)
    words = ("--format", name, "--labels", labels, "--zero-counts", "ignore")
    code, out, err = told(capsys, *words)
    assert code == 0
    assert f"{labels}: 53 labels of 10 classes\n" in err
    assert told(capsys, *words, "--output", output)[:2] == (0, f"{output}\n")
    assert output.read_text() == out
    code, _, err = told(capsys, *words, "--output", output)
    assert code == 2
    assert f"{output} exists; remove it, or give another --output FILE." in err


def test_counts_with_names_are_written_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("cat,900\nowl,0\ndog,12\n")
    words = ("--format", "names", "--counts", counts)
    assert "class 'owl' has 0 images; say what a class without" in told(capsys, *words)[2]
    weights = json.loads(told(capsys, *words, "--zero-counts", "smallest")[1])
    assert list(weights) == ["cat", "owl", "dog"]
    assert weights["owl"] == weights["dog"] > weights["cat"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    (
        (("--format", "toch"), "--format is 'toch' (did you mean 'torch'?); it must be one of"),
        (("--normalize", "mean"), "--normalize is 'mean'"),
        (("--normalize", "mean-sample"), "--normalize is for class weights alone; add --format, "),
        (("--zero-counts", "ignore"), "--zero-counts is for class weights alone; add --format"),
        (("--counts", "a", "--labels", "b"), "--labels cannot be given with --counts"),
        (
            ("--format", "ultralytics", "--normalize", "sum-to-one"),
            "--format ultralytics takes no --normalize, because the tool counts and scales",
        ),
        (("--format", "ultralytics", "--counts", "a"), "takes no --counts, because the tool"),
        (("--format", "sample-weights"), "give --labels FILE, a label on each line"),
        (("--format", "torch", "--labels", "nowhere"), "nowhere cannot be read"),
        (("--format", "torch", "--output", "/proc/nowhere/x"), "cannot be written"),
    ),
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(capsys, *words)
    assert code == 2
    assert not out
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert sentence in line
