"""Numbers that do not change: recorded searches, replayed by the code as it is now.

What is asked for, decided and concluded is a function of the settings, the seed and the results of
the trials; here the results are the recorded ones. Logarithms, normal quantiles, factorizations and
the training of a network may differ in their last bits on another CPU or with other libraries.
There, numbers with a fraction need only agree to 1e-9, and nothing is trained.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from recorded_runs import BENCHMARK, LOSS_EPOCHS, RUNS, machine, read, replay
from training import threads

from search.export import export
from trainer.benchmarks import BENCHMARKS
from trainer.execution.loop import train
from trainer.execution.task import Task
from trainer.prepared import load, prepare
from trainer.trial import Trial

CLOSE = 1e-9
TRAINED = ("baselines-00002", "proposals-00016", "confirmation-00004")


def differences(found: Any, recorded: Any, exactly: bool, where: str = "") -> Iterator[str]:
    """Yield where two JSON contents differ, in their order."""
    if isinstance(found, dict) and isinstance(recorded, dict) and list(found) == list(recorded):
        for key in found:
            yield from differences(found[key], recorded[key], exactly, f"{where}/{key}")
    elif isinstance(found, list) and isinstance(recorded, list) and len(found) == len(recorded):
        for index, pair in enumerate(zip(found, recorded, strict=True)):
            yield from differences(*pair, exactly, f"{where}/{index}")
    elif isinstance(found, float) and isinstance(recorded, float) and not exactly:
        if found != pytest.approx(recorded, rel=CLOSE):
            yield f"{where}: {recorded!r} -> {found!r}"
    elif found != recorded:
        yield f"{where}: {recorded!r} -> {found!r}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded")


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_search_proposes_decides_and_concludes_the_same(name: str, folder: Path) -> None:
    recording = read(name)
    with patch.object(export, "verify_export"):  # takes seconds; test_export has it
        found = replay(name, folder)
    exactly = machine() == recording["story"]["machine"]
    expected = {key: recording[key] for key in found}
    changes = list(differences(found, expected, exactly))
    assert not changes, "\n".join(changes[:5])


@pytest.mark.parametrize("key", TRAINED)
def test_a_recorded_trial_trains_the_same(key: str, folder: Path) -> None:
    recording = read("default")
    if others := list(differences(machine(), recording["story"]["machine"], exactly=True)):
        pytest.skip(f"was recorded on another machine, which may round differently: {others}")
    settings, facts = recording["settings"], recording["trials"][key]
    benchmark = BENCHMARKS[BENCHMARK]
    trial = Trial.weighted(benchmark, tuple(facts["weights"]), facts["seed"], settings["precision"])
    images = load(prepare(benchmark, folder / "data"), benchmark)
    task = Task(images, benchmark.padding, torch.device("cpu"))
    with threads(1):
        epochs = list(itertools.islice(train(trial, task), LOSS_EPOCHS))
    counts = [[list(map(list, n or ())) for n in (e.correct, e.predicted)] for e in epochs]
    assert counts == recording["epochs"][key][:LOSS_EPOCHS]
    assert [[e.train_loss, e.test_loss] for e in epochs] == recording["losses"][key]


@pytest.mark.parametrize(
    ("number", "exactly", "seen"),
    (
        (0.25, True, False),
        (0.25 * (1 + 3e-16), True, True),
        (0.25 * (1 + 3e-16), False, False),
        (0.25 * (1 + 2e-9), False, True),
    ),
)
def test_a_difference_is_seen(number: float, exactly: bool, seen: bool) -> None:
    found, recorded = ({"weights": [1, value, None]} for value in (number, 0.25))
    expected = [f"/weights/1: 0.25 -> {number!r}"] if seen else []
    assert list(differences(found, recorded, exactly)) == expected
