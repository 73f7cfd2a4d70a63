"""The recorded table read back, from its folder and packed into one file."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from tables import made_up, made_up_table, packing, table_of
from training import DIGITS, digits_data

from benchmarks.recording import run
from benchmarks.recording.design import first_points
from benchmarks.recording.table import Table
from benchmarks.recording.table_folder import Job, count_type
from spaces.errors import UserError


def test_a_packed_table_says_exactly_what_its_folder_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [Job(n, s) for s in (1, 2) for n in (0, 3, 1) if (n, s) != (3, 2)]
    trials = [made_up(job, started=str(job.seed)) for job in jobs]
    trials.append(made_up(Job(3, 2), epochs=1, diverged="epoch 2: nan"))
    made_up_table(tmp_path, trials)
    assert run.main(["pack", *packing(tmp_path)]) == 0
    assert "packed 6 trials of 3 weightings, 1 diverged" in capsys.readouterr().out
    packed, folder = Table.load(tmp_path / "packed.npz"), Table.load(table_of(tmp_path))
    for field in dataclasses.fields(Table):
        one, other = (getattr(table, field.name) for table in (packed, folder))
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other
    for trial, row in enumerate(zip(packed.point, packed.seed, strict=True)):
        job = Job(packed.points[row[0]].number, int(row[1]))
        original = next(t for t in trials if t.job == job)
        epochs = len(original.correct)
        assert packed.epochs[trial] == epochs
        assert np.array_equal(packed.correct[trial, :epochs], original.correct)
        assert np.array_equal(packed.test_loss[trial, :epochs], original.test_loss)
        assert packed.recordings[packed.recording[trial]] == original.story["recording"]
    assert [p.number for p in packed.points] == [0, 1, 3]
    assert packed.points == tuple(first_points(DIGITS.counts, 4)[i] for i in (0, 1, 3))


def test_the_order_of_copying_does_not_change_the_packed_bytes(tmp_path: Path) -> None:
    jobs = [Job(n, s) for s in (1, 2) for n in range(3)]
    trials = [made_up(job) for job in jobs]
    one = made_up_table(tmp_path / "one", trials[:2])
    for place, few in (("two", trials[2:]), ("all", trials)):
        made_up_table(tmp_path / place, few)
    shutil.copytree(table_of(tmp_path / "two"), one.path, dirs_exist_ok=True)
    merged, whole = (Table.load(table_of(tmp_path / p)).to_bytes() for p in ("one", "all"))
    assert merged == whole


def test_accuracies_are_of_all_images_or_of_a_half(tmp_path: Path) -> None:
    trial = made_up(Job(0, 1))
    table = Table.load(made_up_table(tmp_path, [trial]).path)
    data = digits_data()
    halves = {"A": int(data.half_a.sum()), "B": int((~data.half_a).sum())}
    for index, half in enumerate(("A", "B")):
        hits = trial.correct[:, index].sum(axis=1, dtype=int)
        wanted = [100.0 * int(n) / halves[half] for n in hits]
        assert table.accuracies(half)[0].tolist() == wanted  # type: ignore[arg-type]
    hits = trial.correct.sum(axis=(1, 2), dtype=int)
    assert table.accuracies()[0].tolist() == [100.0 * int(n) / len(data.half_a) for n in hits]
    assert (
        table.best_so_far("A").tolist() == np.maximum.accumulate(table.accuracies("A"), 1).tolist()
    )


def test_replicates_are_the_trials_of_one_weighting(tmp_path: Path) -> None:
    jobs = [Job(0, 1), Job(2, 1), Job(0, 2), Job(2, 2), Job(0, 3)]
    table = Table.load(made_up_table(tmp_path, [made_up(job) for job in jobs]).path)
    assert [rows.tolist() for rows in table.replicates()] == [[0, 2, 4], [1, 3]]
    assert table.seed[table.replicates()[0]].tolist() == [1, 2, 3]
    assert table.named("mlsbench_balanced_softmax") == 1
    assert table.gradient_shares().shape == (2, 10)
    assert table.gradient_shares()[0] == pytest.approx(DIGITS.counts / DIGITS.counts.sum())
    with pytest.raises(KeyError):
        table.named("inverse")


def test_counts_take_the_smallest_type_that_holds_them() -> None:
    assert [count_type(np.array([[9, top]])) for top in (255, 256, 70_000)] == [
        np.uint8,
        np.uint16,
        np.uint32,
    ]


def test_two_hundred_weightings_three_times_take_less_than_a_megabyte(tmp_path: Path) -> None:
    table = Table.load(made_up_table(tmp_path, [made_up(Job(0, 1))]).path)
    random = np.random.default_rng(0)
    big = dataclasses.replace(
        table,
        point=np.repeat(np.arange(200), 3),
        seed=np.tile([1, 2, 3], 200),
        epochs=np.full(600, 40),
        correct=random.integers(0, 28, (600, 40, 2, 10)).astype(table.correct.dtype),
        train_loss=random.random((600, 40)).astype(np.float32),
        test_loss=random.random((600, 40)).astype(np.float32),
        seconds=random.random(600).astype(np.float32),
        finished=np.array(["2026-01-01T00:00:00+00:00"] * 600),
        recording=np.zeros(600, dtype=np.int64),
    )
    assert len(big.to_bytes()) < 1_000_000


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    (
        (("--out", "packed.json"), "--out is packed.json; it must be a .npz file"),
        (("--out", "absent/packed.npz"), "--out is absent/packed.npz"),
        (("--benchmark", "../digits"), "--benchmark is '../digits'"),
        (("--benchmark", "absent"), "table.json cannot be read"),
    ),
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_option_of_pack_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: tuple[str, ...], sentence: str
) -> None:
    assert run.main(["pack", *packing(tmp_path), *wrong]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_an_empty_or_foreign_file_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no trials yet"):
        Table.load(made_up_table(tmp_path, []).path)
    with pytest.raises(UserError, match="no packed table"):
        Table.load(made_up_table(tmp_path, [made_up(Job(0, 1))]).file(Job(0, 1)))
    (tmp_path / "words.npz").write_text("words")
    with pytest.raises(UserError, match=r"words\.npz is damaged"):
        Table.load(tmp_path / "words.npz")
