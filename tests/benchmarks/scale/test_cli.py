"""The command that measures searches on simulated clusters: its options, its table, its files."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scale import __main__ as scale
from benchmarks.scale.driver_clock import DriverClock
from benchmarks.scale.driver_log import DriverLog, Snapshot, Steps
from benchmarks.scale.measurement import Span, summarize, tenths
from benchmarks.scale.options import ScaleCase, cases, parser
from benchmarks.scale.simulated_trainable import Training, made_up
from benchmarks.scale.views import draw, table


def log_of(ends: int, slots: int = 4) -> DriverLog:
    """Return the log of a search whose trials cost the driver 2 s, and later 4 s, each."""
    world = made_up()
    training = Training(10.0, True, world.curve, world.objective.benchmarks[0].half_counts)
    log = DriverLog(DriverClock(lambda: 0.0), training, slots, 1)
    for number in range(1, ends + 1):
        busy = 2.0 * number + 2.0 * max(0, number - ends // 2)
        log.at_ends.append(
            Snapshot(
                time=10.0 * number,
                trained=30.0 * number,
                busy=busy,
                reports=5 * number,
                ended=number,
                memory=int(1e8 + 2e4 * number),
            )
        )
    log.full, log.last_begin, log.last_end = log.at_ends[3], log.at_ends[-5], log.at_ends[-1]
    log.ended = ends
    log.steps = {"train": Steps(400, 2.0), "end": Steps(100, 9.0)}
    log.delays.extend([0.0] * 98 + [3.0] * 2)
    return log


def summary_of(log: DriverLog, **changes: Any) -> dict[str, Any]:
    summary = summarize(log, 3_000_000)
    return {**summary, "asked": log.ended, "trial_seconds": 600.0, **changes}


def test_rates_are_differences_between_moments() -> None:
    span = Span(
        Snapshot(time=10, trained=100, busy=1, reports=50, ended=2, memory=1_000_000),
        Snapshot(time=30, trained=180, busy=6, reports=90, ended=12, memory=3_000_000),
        slots=5,
    )
    assert span.utilisation == pytest.approx(80 / 20 / 5)
    assert span.driver_share == pytest.approx(5 / 20)
    assert span.driver_seconds_per_trial == pytest.approx(0.5)
    assert span.reports_per_second == pytest.approx(2)
    assert span.reports_per_driver_second == pytest.approx(8)
    assert span.slots_per_driver == pytest.approx(16)
    assert span.megabytes_per_1000_trials == pytest.approx(200)
    assert Span(span.begin, span.begin, 5).utilisation is None


def test_a_search_is_summed_up() -> None:
    summary = summarize(log_of(100), 3_000_000)
    assert summary["utilisation"] == pytest.approx(0.75)
    assert summary["start_up_seconds"] == 40.0
    assert summary["tail_seconds"] == 40.0
    assert summary["driver_seconds_per_report"] == pytest.approx(0.005)
    assert summary["driver_seconds_per_end"] == pytest.approx(0.09)
    assert summary["driver_seconds_per_trial"] == pytest.approx(3.0)
    assert (summary["delay_50"], summary["delay_99"]) == (0.0, 3.0)
    assert summary["driver_mb_per_1000_trials"] == pytest.approx(20.0)
    assert summary["folder_mb"] == 3.0


def test_growth_over_a_search_is_seen() -> None:
    log = log_of(100)
    costs = [part.driver_seconds_per_trial for part in tenths(log.at_ends, 4)]
    assert costs == pytest.approx([2.0] * 5 + [4.0] * 5)
    assert summarize(log, 0)["last_tenth_over_first"] == pytest.approx(2.0)


def test_a_search_of_too_few_trials_has_no_tenths() -> None:
    summary = summarize(log_of(9), 0)
    assert summary["driver_seconds_per_trial_in_tenths"] == []
    assert summary["last_tenth_over_first"] is None
    assert "4 slots, 600 s: -" in table([summary_of(log_of(9))])


def test_an_interrupted_search_is_marked_in_the_table() -> None:
    assert "interrupted" not in table([summary_of(log_of(20))])
    shown = table([summary_of(log_of(20), asked=1000)])
    assert "20*" in shown
    assert "interrupted" in shown


def test_the_command_ends_after_ctrl_c_with_130_and_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")

    def interrupted(*_: object) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGINT)
        return summary_of(log_of(20), asked=1000)

    monkeypatch.setattr(scale, "measure_apart", interrupted)
    assert scale.main(["--slots", "2,5", "--out", str(tmp_path / "found")]) == 130
    (case,) = json.loads((tmp_path / "found.json").read_text())["cases"]
    assert case["asked"] == 1000


def test_a_search_that_never_filled_its_slots_can_be_shown(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    log = log_of(5)
    log.full = None
    log.delays = type(log.delays)("f")
    summary = summary_of(log)
    assert summary["utilisation_amid"] is None
    assert summary["delay_99"] is None
    assert " - " in table([summary])
    draw([summary], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_cases_are_all_combinations_the_small_ones_first() -> None:
    options = ["--slots", "20,5", "--trials", "30,10", "--trial-seconds", "6,60.5"]
    found = cases(parser().parse_args([*options, "--device", "cpu", "--seed", "7"]))
    assert [(c.trials, c.seconds, c.slots) for c in found] == [
        (trials, seconds, slots)
        for trials in (10, 30)
        for seconds in (60.5, 6.0)
        for slots in (5, 20)
    ]
    assert {(c.ahead, c.seed, c.sampler, c.table) for c in found} == {(False, 7, "tpe", None)}


def test_the_command_writes_the_numbers_and_the_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    measured = []

    def measure_here(measure: Any, case: ScaleCase) -> Any:  # a process takes seconds to start
        measured.append(case)
        return measure(case)

    monkeypatch.setattr(scale, "measure_apart", measure_here)
    options = ["--slots", "2,5", "--trials", "10", "--trial-seconds", "20"]
    more = ["--sampler", "random", "--place", str(tmp_path), "--out", str(tmp_path / "found.1")]
    assert scale.main([*options, *more]) == 0
    content = json.loads((tmp_path / "found.1.json").read_text())
    assert [(case["slots"], case["trials"]) for case in content["cases"]] == [(2, 10), (5, 10)]
    assert [case.slots for case in measured] == [2, 5]
    assert content["options"] == {"sampler": "random", "device": "cuda", "seed": 42, "table": None}
    assert content["assumptions"]["actor_start_seconds"] == 5.0
    assert content["versions"]["ray"]
    for case in content["cases"]:
        # Epochs before the first call to a slot are counted with that call: a hair above 1.
        assert 0.8 < case["utilisation_amid"] < 1.02
        assert 0 < case["driver_seconds_per_report"] < case["driver_seconds_per_trial"] < 10
        assert case["driver_mb"] > 100
    assert (tmp_path / "found.1.png").read_bytes().startswith(b"\x89PNG")
    assert "reports/s" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    (
        ["--slots", "many"],
        ["--slots", "0"],
        ["--trials", "10,"],
        ["--trial-seconds", "long"],
        ["--trial-seconds", "-1"],
        ["--trial-seconds", "inf"],
        ["--device", "tpu"],
        ["--sampler", "knowledge-gradient"],
        ["--seed", "-1"],
        ["--place", "nowhere/at/all"],
        ["--out", "nowhere/found"],
        ["--table", "nowhere.npz"],
    ),
    ids=lambda options: "".join(options),
)
def test_a_wrong_option_is_refused_in_one_sentence(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert scale.main(options) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {options[0]} is ")
    assert error.count("\n") == 1
