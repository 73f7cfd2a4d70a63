"""The command line of the replay: where its results go, and what Ctrl-C leaves."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.endings import stoppable
from benchmarks.replay import __main__ as replay
from benchmarks.replay.options import parser, plan_of
from benchmarks.replay.run import Measured, figure


def test_results_go_to_the_current_folder_and_not_over_those_of_the_repository() -> None:
    assert plan_of(parser().parse_args(["--synthetic", "late"])).out == Path("replay-late")


FIGURES: dict[str, Any] = {field.name: 0.5 for field in fields(Measured)}
MEASURED = Measured(**FIGURES | {"curve": (0.5, 0.25)})


def replaying(monkeypatch: pytest.MonkeyPatch, repetitions: int, end: BaseException) -> None:
    """Let so many repetitions come, and then this end."""

    def some(_: object) -> Iterator[dict[str, Measured]]:
        for _ in range(repetitions):
            yield {"arm": MEASURED}
        raise end

    world = SimpleNamespace(epochs=40)
    monkeypatch.setattr(replay, "Replay", lambda _: SimpleNamespace(world_of=lambda _: world))
    monkeypatch.setattr(replay, "known_truth", lambda _: {})
    monkeypatch.setattr(replay, "repetitions", some)
    monkeypatch.setattr(replay, "draw", lambda *_: None)


def test_ctrl_c_in_the_second_repetition_leaves_an_earlier_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    replaying(monkeypatch, 1, KeyboardInterrupt())
    (earlier := tmp_path / "found.json").write_text("earlier")
    assert replay.main(["--synthetic", "late", "--out", str(tmp_path / "found")]) == 130
    assert earlier.read_text() == "earlier"


@pytest.mark.parametrize(
    ("end", "code"), ((KeyboardInterrupt(), 130), (BrokenPipeError(32, "Broken pipe"), 1))
)
def test_an_early_end_leaves_the_repetitions_until_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: BaseException, code: int
) -> None:
    replaying(monkeypatch, 2, end)
    assert replay.main(["--synthetic", "late", "--out", str(tmp_path / "found")]) == code
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["interrupted"], found["repetitions"]) == (True, 2)


def test_sigterm_ends_a_measurement_like_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stoppable() as ending:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("it goes on")
    assert ending.code() == 130
    assert signal.getsignal(signal.SIGTERM) == before


def test_resamples_of_nothing_but_missing_values_say_nothing() -> None:
    values, picks = np.array([np.nan, np.nan, 4.0]), np.array([[0, 1, 0], [2, 1, 0], [2, 2, 2]])
    assert figure(values, picks) == {"mean": 4.0, "low": 4.0, "high": 4.0}
