"""What the tests of faults ask of a search that is over, and say of it."""

from pathlib import Path

import searching

from search.store.trials import TrialState
from trainer.benchmarks import BENCHMARKS
from trainer.execution.loop import train
from trainer.execution.task import Task
from trainer.prepared import load, prepare
from trainer.runtime import configure, select_device
from trainer.trial import Trial

TRIALS, EPOCHS, SAVE_EVERY = 6, 12, 2
OPTIONS = (
    *("--trials", str(TRIALS)),
    *("--epochs", str(EPOCHS)),
    *("--save-every", str(SAVE_EVERY)),
    *("--early-stopping", "asha"),
)
WHOLE = "all: every trial ended once, disturbed ones bit for bit as if they had not been"
"""What ``check_whole`` and ``check_equal_to_plain_training`` have shown."""


def check_whole(place: Path) -> None:
    """All trials have ended once, and nothing is left over."""
    rows = searching.rows(place)
    assert len({row.key for row in rows}) == len(rows) == TRIALS
    assert {row.state for row in rows} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert list(searching.folder(place).checkpoints.iterdir()) == []
    for row in rows:
        assert len(searching.folder(place).read_epochs(row.key)) == row.epochs


def check_equal_to_plain_training(place: Path, keys: list[str], epochs: int = EPOCHS) -> None:
    """The recorded epochs of these trials are those of training without a search."""
    benchmark = BENCHMARKS[searching.BENCHMARK].with_epochs(epochs)
    data = load(prepare(benchmark, place / "data"), benchmark)
    configure("tf32", threads=1)
    task = Task(data, benchmark.padding, select_device("cpu"))
    rows = {row.key: row for row in searching.rows(place)}
    for key in keys:
        row = rows[key]
        recorded = searching.folder(place).read_epochs(key)
        recipe = row.strategy.recipe(data.counts)
        plain = list(train(Trial(benchmark, recipe, row.seed, diagnosed=row.diagnosed), task))
        assert searching.without_seconds(recorded) == searching.without_seconds(
            plain[: len(recorded)]
        )


def running(place: Path) -> list[str]:
    """Return the keys of the trials that have not ended."""
    return [row.key for row in searching.rows(place) if row.state == TrialState.RUNNING]


def line(output: str, words: str) -> str:
    """Return the first line of a search's output that has these words in it."""
    found = [text for text in output.splitlines() if words in text]
    assert found, output
    return found[0]


def repeated(output: str) -> str:
    """Return what a search said it trained again."""
    again = [text for text in output.splitlines() if "were trained again" in text]
    return again[0] if again else "nothing"
