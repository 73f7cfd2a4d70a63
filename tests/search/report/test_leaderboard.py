"""The leaderboard: published rows stand beside a run of the full protocol, and nowhere else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from concluded import shown
from twin import make_settings

from search.config.objective import BenchmarkObjective
from search.export.export import export_winner
from search.report.leaderboard import OTHER_TRAINING, published_rows, strategy_cells
from search.results.conclusion import Conclusion
from search.store.manifest import Manifest, RecordedBenchmark
from search.store.record import Record
from search.store.run_folder import RunFolder
from spaces import PUBLISHED_ON
from trainer.benchmarks import BENCHMARKS, Benchmark
from trainer.benchmarks.published import PUBLISHED
from trainer.own.training import OwnTraining

SUMMARY: dict[str, Any] = {
    "best_score": 71.5,
    "best_epoch": 190,
    "last_score": 71.0,
    "last_ten_score": 70.9,
    "epochs": 200,
    "seconds": 1.0,
    "shots": {"many": 80.0, "medium": 70.0, "few": 60.0},
}


def new_run(
    path: Path,
    benchmark: Benchmark,
    baselines: tuple[str, ...] = ("uniform",),
    precision: str = "tf32",
) -> Record:
    """Make a run of controls alone that has not begun."""
    folder = RunFolder(path)
    folder.create()
    folder.begin_attempt({"resources": {}})
    half = (500,) * benchmark.num_classes
    counts = tuple(benchmark.counts.tolist())
    objective = BenchmarkObjective(
        benchmark.name, benchmark.epochs, counts, (half, half), benchmark.noise_sd
    )
    settings = make_settings(
        benchmarks=(benchmark.fingerprint(),), baselines=baselines, precision=precision
    )
    recorded = RecordedBenchmark(
        benchmark, benchmark.protocol_note(), None, "0123456789abcdef", objective
    )
    folder.write_manifest(Manifest.of(settings, (recorded,)))
    return Record.create(folder.record, settings.baselines, settings.seed)


def finished_run(path: Path, benchmark: Benchmark) -> RunFolder:
    """A run whose one trial, uniform weights, came to its end."""
    finish(new_run(path, benchmark), benchmark)
    return RunFolder(path)


def finish(record: Record, benchmark: Benchmark) -> None:
    """Begin the next trial and end it."""
    row = record.next_named()
    assert row is not None
    record.report(row.key, benchmark.epochs, 71.5)
    classes = [71.5] * benchmark.num_classes
    summaries = [SUMMARY | {"epochs": benchmark.epochs, "class_accuracy": classes}]
    record.tell(row.key, "complete", score=71.5, summaries=summaries)


@pytest.mark.parametrize("name", tuple(PUBLISHED))
def test_published_rows_stand_beside_the_full_protocol(name: str, tmp_path: Path) -> None:
    text = shown(finished_run(tmp_path / "run", BENCHMARKS[name]))
    assert "71.50" in text
    for weighting, (seed_42, mean) in PUBLISHED[name].items():
        published = [line for line in text.splitlines() if line.startswith(" published")]
        (line,) = (line for line in published if weighting in line)
        assert f"{seed_42:.2f}" in line
        assert mean is None or f"3 seeds {mean:.2f}" in line


def test_no_published_row_stands_beside_a_shortened_protocol(tmp_path: Path) -> None:
    benchmark = BENCHMARKS["resnet32-cifar10lt"].with_epochs(199)
    text = shown(finished_run(tmp_path / "run", benchmark))
    assert "199 of 200 epochs (shortened)" in text
    assert "71.50" in text
    assert "effective_number" not in text


@pytest.mark.parametrize("name", (*PUBLISHED, PUBLISHED_ON))
def test_no_published_row_stands_beside_other_training_of_the_same_name(name: str) -> None:
    benchmark = BENCHMARKS[name]
    own = OwnTraining(name, "", benchmark.epochs, tuple(benchmark.counts.tolist()))
    for other in (own, replace(benchmark, weight_decay=0.0)):
        assert not published_rows(other)
        assert not strategy_cells(other)


@pytest.mark.parametrize("precision", ("tf32", "bf16"))
def test_a_run_in_bf16_says_that_published_rows_are_not(tmp_path: Path, precision: str) -> None:
    benchmark = BENCHMARKS["resnet32-cifar10lt"]
    finish(new_run(tmp_path / "run", benchmark, precision=precision), benchmark)
    assert ("this run trained in bf16" in shown(RunFolder(tmp_path / "run"))) is (
        precision == "bf16"
    )


def test_a_run_without_a_full_length_trial_has_no_export(tmp_path: Path) -> None:
    record = new_run(tmp_path / "run", BENCHMARKS["resnet32-cifar10lt"])
    row = record.next_named()
    assert row is not None
    record.tell(row.key, "failed", reason="epoch 1: the training loss is nan")
    assert export_winner(Conclusion.of(RunFolder(tmp_path / "run"))) is None


def test_figures_published_under_a_benchmarks_own_protocol_have_no_reservation(
    tmp_path: Path,
) -> None:
    benchmark = BENCHMARKS[PUBLISHED_ON]
    record = new_run(tmp_path / "run", benchmark, ("uniform", "drw"))
    finish(record, benchmark)
    finish(record, benchmark)
    text = shown(RunFolder(tmp_path / "run"))
    assert "41.62" in text
    assert "another protocol" not in text


@pytest.mark.parametrize("epochs", (200, 199))
def test_what_was_published_of_strategies_stands_beside_strategies_alone(
    tmp_path: Path, epochs: int
) -> None:
    benchmark = BENCHMARKS["resnet32-cifar10lt"].with_epochs(epochs)
    record = new_run(tmp_path / "run", benchmark, ("uniform", "drw"))
    finish(record, benchmark)
    finish(record, benchmark)
    weights, others = shown(RunFolder(tmp_path / "run")).split(OTHER_TRAINING)
    assert ("mlsbench_balanced_softmax" in weights) is (epochs == 200)
    assert "mlsbench" not in others.partition("\nuniform: ")[0]
    assert ("74.82" in others, "another protocol" in others) == (epochs == 200, epochs == 200)
    assert "74.82" not in weights
    (line,) = (line for line in others.splitlines() if line.startswith(" drw"))
    assert "scheduled class weights: p=1 from 80 %" in line
