"""Recording a table: nothing is lost, nothing is trained twice, nothing is mixed up."""

import dataclasses
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
from tables import SHORT, expected, files, made_up, made_up_table, packing, record, table_of
from training import CPU, DIGITS

from benchmarks.recording import run
from benchmarks.recording.design import first_points
from benchmarks.recording.table import Table
from benchmarks.recording.table_folder import Job, RecordedTrial, TableFolder
from benchmarks.recording.trainers import Assignment, Divergence, Event, Setup, in_engine
from spaces import canonical_weights
from trainer.prepared import prepare
from trainer.results import EpochResult
from trainer.trial import Trial


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials of the CPU are trained here, because processes take seconds to start."""

    def train_here(
        assignments: Iterator[Assignment], setup: Setup
    ) -> Generator[Event | None, None, None]:
        return in_engine(assignments, setup)

    monkeypatch.setattr(run, "in_processes", train_here)


@pytest.mark.usefixtures("in_process")
def test_what_is_recorded_is_what_the_trainer_yields(tmp_path: Path) -> None:
    assert record(tmp_path, "--weightings", "2", "--seeds", "2") == 0
    table = Table.load(table_of(tmp_path))
    assert table.seed.tolist() == [1, 1, 2, 2]
    assert table.point.tolist() == [0, 1, 0, 1]
    for trial, (point, seed) in enumerate(zip(table.point, table.seed, strict=True)):
        results = expected(table.points[point], int(seed))
        assert table.correct[trial].tolist() == [[list(h) for h in r.correct] for r in results]
        assert table.train_loss[trial].tolist() == [np.float32(r.train_loss) for r in results]
        assert table.test_loss[trial].tolist() == [np.float32(r.test_loss) for r in results]
        assert table.accuracies()[trial].tolist() == [r.score for r in results]
        assert table.best_so_far()[trial].tolist() == [r.best_score for r in results]
    assert table.recordings[0]["threads"] == 1
    assert table.description["protocol"] == "2 of 40 epochs (shortened)"


@pytest.mark.usefixtures("in_process")
def test_more_is_added_and_nothing_is_trained_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert record(tmp_path, "--weightings", "2", "--seeds", "1") == 0
    before = files(tmp_path)
    assert sorted(before) == ["00000-001.npz", "00001-001.npz"]
    capsys.readouterr()
    assert record(tmp_path, "--weightings", "2", "--seeds", "2", "--shard", "1/2") == 0
    assert "1 of 2 trials are recorded" in capsys.readouterr().out
    after = files(tmp_path)
    assert sorted(set(after) - set(before)) == ["00000-002.npz"]
    assert {name: after[name] for name in before} == before


@pytest.mark.usefixtures("in_process")
def test_a_damaged_file_is_named_and_recorded_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path, "--weightings", "1", "--seeds", "1")
    path = table_of(tmp_path) / "trials" / "00000-001.npz"
    good = RecordedTrial.read(path)
    path.write_bytes(path.read_bytes()[:-40])
    assert run.main(["pack", *packing(tmp_path)]) == 2
    assert f"{path} is damaged" in capsys.readouterr().err
    assert record(tmp_path, "--weightings", "1", "--seeds", "1") == 0
    assert f"{path} is damaged" in capsys.readouterr().out
    assert np.array_equal(RecordedTrial.read(path).correct, good.correct)


@pytest.mark.usefixtures("in_process")
def test_what_another_process_stored_meanwhile_is_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up_table(tmp_path, [made_up(Job(1, 1))])
    monkeypatch.setattr(TableFolder, "read", lambda folder: ([], {}))
    assert record(tmp_path, "--weightings", "2", "--seeds", "1") == 0
    assert files(tmp_path)["00001-001.npz"] == made_up(Job(1, 1)).to_bytes()
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize(
    ("changed", "word"),
    ((("--epochs", "3"), "3 of 40 epochs"), (("--precision", "bf16"), "precision 'tf32'")),
    ids=("benchmark", "precision"),
)
def test_a_table_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: tuple[str, ...], word: str
) -> None:
    made_up_table(tmp_path, [made_up(Job(0, 1))])
    before = files(tmp_path)
    assert record(tmp_path, *changed) == 2
    said = capsys.readouterr().err
    assert "is a table of" in said
    assert word in said
    assert said.count("\n") == 1
    assert files(tmp_path) == before


def test_a_trial_that_was_copied_from_another_table_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = made_up(Job(0, 1))
    stranger = dataclasses.replace(trial, story=trial.story | {"table": "0" * 16})
    made_up_table(tmp_path, [stranger])
    assert record(tmp_path) == 2
    assert "00000-001.npz belongs to another table" in capsys.readouterr().err


def test_a_diverged_trial_is_stored_with_its_epochs_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverging(
        assignments: Iterator[Assignment], setup: Setup
    ) -> Generator[Event | None, None, None]:
        for job, trial in assignments:
            if job.number == 0:
                weights = (1e38, *trial.recipe.weights[1:])
                recipe = dataclasses.replace(trial.recipe, weights=weights)
                trial = dataclasses.replace(trial, recipe=recipe)
            for event in in_engine(iter([(job, trial)]), setup):
                yield event
                if event and job.number == 1:
                    yield job, Divergence("epoch 2: the training loss is nan")
                    break

    monkeypatch.setattr(run, "in_processes", diverging)
    assert record(tmp_path, "--weightings", "2", "--seeds", "1") == 0
    table = Table.load(table_of(tmp_path))
    assert table.epochs.tolist() == [0, 1]
    assert "epoch 1" in table.diverged[0]
    assert "epoch 2" in table.diverged[1]
    assert np.isnan(table.accuracies()).tolist() == [[True, True], [False, True]]
    best = table.best_so_far()
    assert best[1, 0] == best[1, 1] == table.accuracies()[1, 0]


def test_an_engine_of_several_slots_records_what_one_trial_alone_would(tmp_path: Path) -> None:
    path = prepare(SHORT, tmp_path)
    setup = Setup(SHORT, path, "tf32", CPU, 2)
    points = first_points(DIGITS.counts, 3)
    weights = [
        tuple(canonical_weights(p.weighting.weights(DIGITS.counts)).tolist()) for p in points
    ]
    work = [(Job(i, 1), Trial.weighted(SHORT, w, 1, "tf32")) for i, w in enumerate(weights)]
    events = [event for event in in_engine(iter(work), setup) if event]
    for point in points:
        mine = [x for job, x in events if job.number == point.number]
        correct = [x.correct for x in mine if isinstance(x, EpochResult)]
        assert correct == [result.correct for result in expected(point, 1)]
