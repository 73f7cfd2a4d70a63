"""The recorder's options: what is recorded in which order, and which words are refused."""

from pathlib import Path
from typing import Any

import pytest
from tables import options, record

from benchmarks.recording import design
from benchmarks.recording.options import parser, plan_of
from benchmarks.recording.table_folder import Job


def plan(*more: str, place: Path = Path()) -> Any:
    return plan_of(parser().parse_args(options(place, *more)))


def test_trials_are_recorded_seed_by_seed_and_baselines_first() -> None:
    jobs = plan("--weightings", "3", "--seeds", "2").jobs()
    assert jobs == [Job(0, 1), Job(1, 1), Job(2, 1), Job(0, 2), Job(1, 2), Job(2, 2)]


def test_shards_partition_the_work_and_stay_when_more_is_asked_for() -> None:
    def parts(weightings: int, seeds: int) -> list[list[Job]]:
        size = ["--weightings", str(weightings), "--seeds", str(seeds)]
        return [plan(*size, "--shard", f"{i}/3").jobs() for i in (1, 2, 3)]

    whole = plan("--weightings", "10", "--seeds", "4").jobs()
    small, large = parts(7, 2), parts(10, 4)
    assert sorted(job for part in large for job in part) == sorted(whole)
    assert max(map(len, large)) - min(map(len, large)) <= 2
    assert all(set(less) <= set(more) for less, more in zip(small, large, strict=True))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    (
        (("--weightings", "0"), "--weightings is 0; it must be at least 1"),
        (("--seeds", "0"), "--seeds is 0; it must be at least 1"),
        (("--slots", "0"), "--slots is 0; it must be at least 1"),
        (("--slots", "4096"), "--slots is 4096, but on a CPU each trial has a core"),
        (("--epochs", "41"), "epochs = 41 must be between 1 and the 40"),
        (("--shard", "3/2"), "--shard is '3/2'; write PART/PARTS"),
        (("--shard", "1"), "--shard is '1'; write PART/PARTS"),
        (("--precision", "fp8"), "--precision is 'fp8'; choose from tf32"),
        (("--device", "tpu"), "device is 'tpu'"),
        (("--benchmark", "resnet9"), "there is no benchmark 'resnet9'"),
        (("--weightings", "99999999"), "give at most as many"),
    ),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_option_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    wrong: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.setattr(design, "MOST_REFUSALS", 3)
    assert record(tmp_path, *wrong) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "table").exists()
