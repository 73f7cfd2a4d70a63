"""Runs with common seeds: they are kept and not repeated, and arms are compared within seeds."""

from pathlib import Path

import numpy as np
import pytest
from training import digits_data

from benchmarks import common_seeds
from benchmarks.common_seeds import CommonSeeds, last_ten, paired_interval, read_runs
from spaces import STRATEGIES, Strategy
from spaces.errors import UserError
from trainer.benchmarks import BENCHMARKS
from trainer.execution.loop import TrainingError

ARMS = {"easy": Strategy(), "hard": Strategy(focusing=1.0)}


def test_arms_are_compared_within_the_seeds_that_all_of_them_have() -> None:
    runs = CommonSeeds(ARMS, range(4), "b")
    known: common_seeds.Runs = {
        f"b/{arm}/{seed}": value + seed
        for arm, value in (("easy", 3.0), ("hard", 1.0))
        for seed in range(3)
    }
    known["b/easy/3"] = 99.0
    heading, easy, hard = runs.comparison(known, against="hard")
    assert heading.startswith("3 common seeds;")
    assert easy.split() == ["easy", "4.00", "+2.00", "(+2.00", "to", "+2.00)"]
    assert hard.split()[1:3] == ["2.00", "+0.00"]


def test_the_interval_of_paired_differences_is_students() -> None:
    # BDA3's or any table: t(.975, 3) = 3.182; the differences have mean 2.5 and SD 1.291
    half = 3.182446 * np.std([1, 2, 3, 4], ddof=1) / 2
    words = paired_interval(np.array([1.0, 2.0, 3.0, 4.0]))
    assert words == f"+2.50 ({2.5 - half:+.2f} to {2.5 + half:+.2f})"
    assert paired_interval(np.array([1.0])) == "+1.00", "one difference has no interval"


def test_runs_are_written_one_by_one_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = CommonSeeds({"ce": Strategy(), "drw": STRATEGIES["drw"].strategy}, (1,), "b")
    benchmark, path = BENCHMARKS["resnet8-digitslt"].with_epochs(1), tmp_path / "runs.json"
    lines = runs.train(benchmark, digits_data(), last_ten, known := read_runs(path), path)
    first = next(lines)
    assert read_runs(path) == known
    assert first == f"b/ce/1: {known['b/ce/1']:.2f} %"

    def diverge(*_args: object, **_keywords: object) -> None:
        raise TrainingError(1, "the loss is nan")

    monkeypatch.setattr(common_seeds, "train", diverge)
    again = read_runs(path)
    assert list(runs.train(benchmark, digits_data(), last_ten, again, path)) == [
        "b/drw/1: epoch 1: the loss is nan"
    ]
    assert read_runs(path) == known | {"b/drw/1": None}
    _, plain, diverged = runs.comparison(again, against="ce")
    assert plain.split()[:2] == ["ce", f"{known['b/ce/1']:.2f}"]
    assert diverged.split() == ["drw", "diverged"]
    assert runs.comparison(again, against="drw")[1].split() == plain.split()[:2]


def test_runs_that_another_process_adds_meanwhile_are_kept_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.json"

    def beside(*_args: object, **_keywords: object) -> list[object]:
        path.write_text('{"b/drw/1": 2.5}')
        return []

    monkeypatch.setattr(common_seeds, "train", beside)
    runs = CommonSeeds({"ce": Strategy(), "drw": STRATEGIES["drw"].strategy}, (1,), "b")
    benchmark = BENCHMARKS["resnet8-digitslt"].with_epochs(1)
    lines = list(runs.train(benchmark, digits_data(), lambda _: 1.5, {}, path))
    assert lines == ["b/ce/1: 1.50 %"]
    assert read_runs(path) == {"b/ce/1": 1.5, "b/drw/1": 2.5}


@pytest.mark.parametrize("content", ("[1]", "{", '{"a": "b"}'))
def test_a_file_without_runs_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    path.write_text(content)
    with pytest.raises(UserError, match="holds no runs"):
        read_runs(path)
    with pytest.raises(UserError, match="must be a file name in an existing"):
        read_runs(tmp_path / "absent" / "runs.json")
