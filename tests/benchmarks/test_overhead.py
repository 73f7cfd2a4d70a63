"""The overhead benchmark: what it counts, and that it measures a whole search."""

import json
import os
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.overhead import __main__ as overhead
from benchmarks.overhead.costless import BENCHMARK, results_of
from benchmarks.overhead.measurement import START_UP, Measurement, measure_apart, summarize
from benchmarks.overhead.options import Case
from benchmarks.overhead.run import measure
from benchmarks.overhead.timed_search import TimedSearch
from benchmarks.overhead.views import table
from search.cluster.address import use_token


def measurement(times: list[float], asked: int | None = None) -> Measurement:
    """Return a measurement whose driver takes 2 MB a trial."""
    return Measurement(
        with_ray=False,
        asked=asked or len(times),
        ended=tuple(times),
        memory=tuple(int(1e8 + 2e6 * i) for i in range(len(times))),
        reports=2 * len(times),
        epochs=100 * len(times),
        seconds=times[-1],
        cpu_seconds=0.5 * times[-1],
        folder_bytes=3_000_000,
    )


def test_a_trial_that_costs_nothing_is_the_same_every_time() -> None:
    weights = [0.5, 1.0, 3.0]
    first, second = (list(results_of(weights, 7, 30)) for _ in range(2))
    assert first == second
    assert first != list(results_of(weights, 8, 30))
    assert [result.epoch for result in first] == list(range(1, 31))
    for earlier, later in pairwise(first):
        assert later.best_score == max(earlier.best_score, later.score)
    assert first[-1].score > first[0].score
    assert len(first[0].correct[0]) == 3


def test_a_cost_that_stays_the_same_has_equal_tenths() -> None:
    even = measurement([0.1 * i for i in range(1, 502)])
    assert even.tenths() == pytest.approx([0.1] * 10)
    assert even.growth() == pytest.approx(1.0)


def test_a_cost_that_grows_is_seen_and_start_up_is_left_out() -> None:
    times = [100.0 * i for i in range(1, START_UP + 1)]
    for i in range(1000):
        times.append(times[-1] + 0.01 * (1 + i / 1000))
    grown = measurement(times).growth()
    assert grown == pytest.approx(1.95 / 1.05, rel=0.02)


def test_too_few_trials_have_no_growth() -> None:
    assert measurement([1.0, 2.0, 3.0]).growth() is None


def test_memory_is_told_by_the_thousand_trials() -> None:
    assert measurement([0.1 * i for i in range(1, 101)]).memory_growth() == pytest.approx(2000.0)


def test_repeats_are_summed_up_by_median_and_spread() -> None:
    repeats = [measurement([step * i for i in range(1, 101)]) for step in (0.1, 0.4, 0.2)]
    summary = summarize(repeats)
    assert summary["median"]["seconds_per_trial"] == pytest.approx(0.2)
    assert summary["spread"]["seconds_per_trial"] == pytest.approx(0.3)
    assert summary["median"]["seconds_per_report"] == pytest.approx(0.1)
    assert summary["median"]["driver_cpu_seconds_per_trial"] == pytest.approx(0.1)
    assert summary["tenths"] == pytest.approx([0.2] * 10)
    assert "0.200 +-0.150" in table([summary])


def test_an_interrupted_search_is_marked_in_the_table() -> None:
    whole, cut = measurement([1.0, 2.0]), measurement([1.0, 2.0], asked=5)
    assert "interrupted" not in table([summarize([whole])])
    assert "2*" in table([summarize([cut])])
    assert "interrupted" in table([summarize([cut])])


def test_a_whole_search_is_measured(tmp_path: Path) -> None:
    found = measure(Case(False, 24, "random", 3, 42, tmp_path))
    assert found.trials == found.asked == len(found.memory) == 24
    assert list(found.ended) == sorted(found.ended)
    assert 4 * BENCHMARK.epochs < found.epochs <= 24 * BENCHMARK.epochs
    assert 24 + 4 * 2 <= found.reports <= 24 * 3  # a baseline passes both rungs
    assert found.folder_bytes > 100_000
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_a_measurement_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = TimedSearch.finish

    def interrupted(self: TimedSearch, key: str) -> None:
        finish(self, key)
        if len(self.ends) == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(TimedSearch, "finish", interrupted)
    found = measure(Case(False, 500, "random", 2, 42, tmp_path))
    assert (found.trials, found.asked) == (5, 500)


def test_the_command_ends_after_ctrl_c_with_130_and_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")

    def interrupted(_: object, case: Case) -> Measurement:
        os.kill(os.getpid(), signal.SIGINT)
        return measurement([1.0, 2.0], asked=case.trials)

    monkeypatch.setattr(overhead, "measure_apart", interrupted)
    options = ["--trials", "8,16", "--ray", "none", "--out", str(tmp_path / "found")]
    assert overhead.main(options) == 130
    (case,) = json.loads((tmp_path / "found.json").read_text())["cases"]
    assert (case["trials"], case["asked"]) == (2, 8)


def test_the_command_writes_the_numbers_and_the_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    # A process takes seconds to start.
    monkeypatch.setattr(overhead, "measure_apart", lambda measure, case: measure(case))
    options = ["--trials", "16,8", "--ray", "none", "--sampler", "random", "--repeats", "2"]
    assert overhead.main([*options, "--out", str(tmp_path / "found.1")]) == 0
    content = json.loads((tmp_path / "found.1.json").read_text())
    assert [case["trials"] for case in content["cases"]] == [8, 16]
    assert [len(case["repeats"]) for case in content["cases"]] == [2, 2]
    assert content["options"]["seed"] == 42
    assert content["versions"]["optuna"]
    assert content["cpu"]
    assert (tmp_path / "found.1.png").read_bytes().startswith(b"\x89PNG")
    assert "last/first tenth" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    (
        ["--trials", "many"],
        ["--trials", "0"],
        ["--sampler", "best"],
        ["--ray", "some"],
        ["--slots", "0"],
        ["--repeats", "0"],
        ["--seed", "-1"],
        ["--out", "nowhere/found"],
    ),
    ids=lambda options: "".join(options),
)
def test_a_wrong_option_is_refused_in_one_sentence(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert overhead.main(options) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {options[0]} is ")
    assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.long
def test_with_ray_tune_the_same_trials_are_run(tmp_path: Path) -> None:
    use_token(None)  # for that process; this one has imported Ray
    found = measure_apart(measure, Case(True, 12, "random", 2, 42, tmp_path))
    assert found.trials == 12
    assert found.reports >= 12 + 4 * 2
