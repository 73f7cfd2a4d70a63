"""Helpers of the tests on what follows a search: runs of known worth, and whole run folders."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from twin import BENCHMARK, HALVES, Twin, attempt, make_run, make_settings, order, results_of

from search.config.objective import BenchmarkObjective, Objective
from search.config.settings import Settings
from search.session.running import Running
from search.session.search import Search
from search.stats.scoring import Curve
from search.store.manifest import AGREED, Manifest, RecordedBenchmark
from search.store.plan import ConfirmationPlan
from search.store.record import Record
from search.store.run_folder import RunFolder, part_key
from search.store.trials import HOLDOUT, Row, TrialState
from trainer.benchmarks import BENCHMARKS
from trainer.diagnosis.records import Diagnosis, Examined
from trainer.own.training import OwnTraining
from trainer.results import EpochResult, HalfCounts

HELD = BenchmarkObjective("held", 2, (50, 20, 10, 5), HALVES)
HELD_OUT = Objective(
    (replace(BENCHMARK, metric="balanced_accuracy", test_held_out=True, chosen_on="validation"),)
)
HELD_OUT_LOSS = 5
OWN = OwnTraining("my.train", "my:train", BENCHMARK.epochs, BENCHMARK.counts)
OWN_CLASSES = replace(OWN, half_counts=((25,) * 4, (0,) * 4), chosen_on="test")
OWN_ACCURACY, OWN_BY_CLASS = (
    Objective((RecordedBenchmark.of_own(own).facts,)) for own in (OWN, OWN_CLASSES)
)
WITH_HOLDOUT = Objective((BENCHMARK,), holdout=HELD)
PLAIN = make_settings(early_stopping="none")

Worth = Callable[[Row, int], int]
"""Test accuracy in whole percent that a trial comes to on each of its parts."""


def usual(row: Row, part: int) -> int:
    """Proposals beat baselines, and sqrt_inverse beats uniform and the others."""
    if row.label == "sqrt_inverse":
        return 50
    return 40 if row.label in PLAIN.baselines else 50 + int(row.label[1:])


def unclear(row: Row, part: int) -> int:
    """As ``usual`` in the search; then no arm is better than another."""
    noise = sum(map(ord, f"{row.label} {row.seed_index}")) % 7
    return usual(row, part) if row.in_search else 60 + noise


LABELS = {"#2": 66, "#3": 62, "uniform": 58, "sqrt_inverse": 60, "mlsbench_balanced_softmax": 52}


def steady(row: Row, part: int) -> int:
    """The weightings in ``LABELS`` are worth so much, others 50; seeds matter, mostly to all."""
    wobble = sum(map(ord, row.label)) * ((row.seed_index or 0) + 1) % 3 - 1
    base = LABELS.get(row.label, 50)
    return base if row.in_search else base + wobble + 2 * ((row.seed_index or 0) % 2)


def results_worth(percent: int, benchmark: BenchmarkObjective = BENCHMARK) -> list[EpochResult]:
    """Return epochs that gain a point each, the last of which has ``percent`` of 100 images.

    On a test set that is held out, ``HELD_OUT_LOSS`` fewer images are right.
    """
    results: list[EpochResult] = []
    for epoch in range(1, benchmark.epochs + 1):
        right = percent - (benchmark.epochs - epoch)
        cells = [right // 8 + (cell < right % 8) for cell in range(8)]
        if benchmark.test_held_out:
            cells[4] -= HELD_OUT_LOSS
        correct = (tuple(cells[:4]), tuple(cells[4:]))
        if benchmark.name == OWN.name:
            results.append(own_result(epoch, right, correct, benchmark))
            continue
        curve = Curve(np.array([correct]), np.array([correct]))
        score = float(benchmark.scoring.scores(curve, benchmark.scoring.choosing)[0])
        result = EpochResult(epoch, 1.0, 1.0, 0.1, 0.5, score, score, correct, correct)
        if benchmark.scenarios and epoch == benchmark.epochs:
            halves = tuple(sum(half) for half in correct)
            there = (halves, (3, 1), (0, 0), (1, 2))[: len(benchmark.scenarios)]
            found = Examined(epoch, (), (), scenarios=there)
            result = replace(result, diagnosis=Diagnosis(found, found))
        results.append(result)
    return results


def own_result(
    epoch: int, right: int, halves: HalfCounts, benchmark: BenchmarkObjective
) -> EpochResult:
    """Return an epoch of a training of one's own, which tells no halves, or one number alone."""
    together = tuple(a + b for a, b in zip(*halves, strict=True))
    correct = None if benchmark.half_counts is None else (together, (0,) * len(together))
    return EpochResult(epoch, None, None, None, 0.5, float(right), float(right), correct)


def train(search: Search, trial: Running, worth: Worth) -> None:
    """Report all epochs of a trial, and its end."""
    curves = [
        results_worth(worth(trial.row, part), benchmark)
        for part, benchmark in enumerate(trial.benchmarks)
    ]
    for part, epoch in order(trial.stages):
        if search.report(trial.row.key, part, curves[part][epoch - 1]):
            break
    search.finish(trial.row.key)


def drive(search: Search, worth: Worth) -> None:
    """Run trials one after the other, until there are no more."""
    while trial := search.next_trial():
        train(search, trial, worth)


def recorded(objective: BenchmarkObjective) -> RecordedBenchmark:
    """Return what settings.json holds of a benchmark."""
    own = OWN if objective.half_counts is None else OWN_CLASSES
    if objective.name == own.name:
        return RecordedBenchmark.of_own(own)
    names = tuple(f"class {label}" for label in range(len(objective.counts)))
    benchmark = replace(
        BENCHMARKS["resnet8-digitslt"],
        **{name: getattr(objective, name) for name in AGREED[:5]},
        num_classes=len(objective.counts),
        train_images=sum(objective.counts),
    )
    return RecordedBenchmark(benchmark, f"{objective.epochs} epochs", names, "0" * 16, objective)


def manifest_of(objective: Objective, settings: Settings) -> Manifest:
    """Return what settings.json holds of a run."""
    fingerprints = (settings.benchmarks * len(objective.benchmarks))[: len(objective.benchmarks)]
    settings = replace(settings, benchmarks=fingerprints)
    holdout = recorded(objective.holdout) if objective.holdout else None
    return Manifest.of(settings, tuple(map(recorded, objective.benchmarks)), holdout)


def new_run(path: Path, objective: Objective, settings: Settings = PLAIN) -> RunFolder:
    """Make a run with its settings.json, as the driver does."""
    folder = make_run(path, settings)
    folder.write_manifest(manifest_of(objective, settings))
    return folder


def whole_run(
    path: Path, worth: Worth, trials: int, runs: int | None, objective: Objective, **changes: object
) -> RunFolder:
    """Make and finish a run; without a confirmation where ``runs`` is None."""
    settings = make_settings(**{"early_stopping": "none"} | changes)
    folder = new_run(path, objective, settings)
    search = attempt(
        folder, settings, trials, objective=objective, confirm=runs is not None, runs=runs
    )
    drive(search, worth)
    assert search.finished()
    folder.begin_attempt({"resources": {}, "device": "cpu"})
    return folder


def twin_run(
    folder: RunFolder, trials: int, runs: int, objective: Objective, slots: int = 1
) -> Twin:
    """Run an attempt at a run with a confirmation."""
    twin = Twin(attempt(folder, PLAIN, trials, objective=objective, confirm=True, runs=runs), slots)
    twin.run()
    return twin


def plan_of(folder: RunFolder) -> ConfirmationPlan:
    plan = Record(folder.record).plan()
    assert plan is not None
    return plan


def of_study(rows: Iterable[Row], study: str) -> list[Row]:
    return [row for row in rows if row.study == study]


def rows_of(folder: RunFolder, study: str) -> list[Row]:
    return of_study(Record(folder.record).rows(), study)


def complete(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.state == TrialState.COMPLETE]


def seeds_by_arm(rows: Iterable[Row]) -> dict[str, list[int]]:
    """Return the seed indices of the runs of each arm that have ended well, ascending."""
    found: dict[str, list[int]] = {}
    for row in complete(rows):
        assert row.seed_index is not None
        found.setdefault(row.label, []).append(row.seed_index)
    return {label: sorted(seeds) for label, seeds in found.items()}


def planned_pairs(folder: RunFolder, study: str) -> list[tuple[str, int | None]]:
    return sorted((row.label, row.seed_index) for row in complete(rows_of(folder, study)))


def check_all_ended(folder: RunFolder, objective: Objective) -> list[Row]:
    """Check all that must hold of a finished run of the Twin, and return its rows."""
    rows = Record(folder.record).rows()
    assert not [row for row in rows if row.state == TrialState.RUNNING]
    assert list(folder.checkpoints.iterdir()) == []
    later = [row for row in complete(rows) if not row.in_search]
    arms = [(row.study, row.label, row.seed_index) for row in later]
    assert len(set(arms)) == len(arms)
    for row in complete(rows):
        trained = (objective.holdout,) if row.study == HOLDOUT else objective.benchmarks
        accuracies = list(check_epochs(folder, row, [b for b in trained if b]))
        score = accuracies[0] if row.study == HOLDOUT else objective.score(accuracies)
        assert row.value == score
    return rows


def check_epochs(
    folder: RunFolder, row: Row, trained: Sequence[BenchmarkObjective]
) -> Iterator[float]:
    """Check that every part has the epochs that its seed gives; yield its best accuracy."""
    for part, benchmark in enumerate(trained):
        results = results_of(row.seed, benchmark.epochs)
        assert folder.read_epochs(part_key(row.key, part)) == results
        assert row.summaries[part].best_score == results[-1].best_score
        yield results[-1].best_score
