"""Searches on a simulated cluster: that they are whole, and that their time is counted right."""

import os
import signal
import time
from itertools import count
from pathlib import Path

import pytest
import ray
from repository import REPOSITORY

import search.workers.reports
from benchmarks.scale import run as scale_run
from benchmarks.scale import simulated_trainable
from benchmarks.scale.driver_clock import DriverClock, WorkTimer
from benchmarks.scale.driver_log import DriverLog
from benchmarks.scale.measurement import summarize
from benchmarks.scale.options import ScaleCase
from benchmarks.scale.ray_costs import RayCosts
from benchmarks.scale.run import LoggedSearch, measure, prepare, run
from benchmarks.scale.simulated_ray import START_SECONDS, check_ray_version
from search.session.interrupt import Interrupt
from search.store.record import Record
from search.store.trials import Row, TrialState
from spaces.errors import UserError

TABLE = REPOSITORY / "benchmarks" / "tables" / "resnet8-digitslt40.npz"
FREE = RayCosts(0.0, 0.0, 0.0, 0.0, 0.0)
SLOW = RayCosts(0.0, 0.0, 0.0, get=1.0, actor=0.0)
"""A second of the driver for whatever comes back from a slot."""


def case(**changes: object) -> ScaleCase:
    """Return a small search of trials whose 200 epochs take a second each."""
    plain = {"slots": 3, "trials": 12, "seconds": 200.0, "ahead": True, "sampler": "random"}
    return ScaleCase(**{**plain, "seed": 42, **changes})  # type: ignore[arg-type]


def searched(
    place: Path, costs: RayCosts = FREE, **changes: object
) -> tuple[LoggedSearch, DriverLog]:
    """Run a small search whose driver takes no time but what it is charged for."""
    found, simulated = prepare(case(**changes), DriverClock(lambda: 0.0), place / "run")
    simulated.costs = costs
    run(found, simulated, Interrupt())
    return found, found.log


@pytest.fixture
def even_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_trainable, "SPEED_SPREAD", 0.0)


def test_another_version_of_ray_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_ray_version()  # fails with a new Ray: the sentence says what there is to do
    monkeypatch.setattr(ray, "__version__", "2.600.0")
    with pytest.raises(UserError, match=r"Ray is 2\.600\.0, but the inside of Ray 2\.60 is"):
        check_ray_version()


def test_every_trial_ends_once_and_is_on_record(tmp_path: Path) -> None:
    folder, functions = Path.cwd(), (ray.init, ray.wait, ray.get, ray.remote)
    found, log = searched(tmp_path)
    rows = Record(found.folder.record).rows()
    assert len(rows) == log.ended == len({row.key for row in rows}) == 12
    assert all(row.state in (TrialState.COMPLETE, TrialState.PRUNED) for row in rows)
    assert {row.epochs for row in rows if row.is_baseline} == {200}
    for row in rows:
        epochs = found.folder.read_epochs(row.key)
        assert len(epochs) == row.epochs
        assert epochs[-1].best_score == pytest.approx(row.value)
    assert found.spending.trained_epochs == sum(row.epochs for row in rows)
    assert Path.cwd() == folder
    assert (ray.init, ray.wait, ray.get, ray.remote) == functions
    assert not ray.is_initialized()


def test_the_same_seed_gives_the_same_search(tmp_path: Path) -> None:
    def rows(name: str, **changes: object) -> list[Row]:
        return searched(tmp_path / name, SLOW, seconds=20.0, **changes)[0].record.rows()

    def asked(found: list[Row]) -> list[object]:
        return [(row.key, row.strategy, row.seed) for row in found]

    first = rows("first", sampler="tpe")
    assert first == rows("second", sampler="tpe")
    assert asked(first) != asked(rows("third", sampler="tpe", seed=43))
    # Of a sampler that does not learn, the slots change nothing.
    assert asked(rows("few")) == asked(rows("many", slots=9, ahead=False))


def test_a_driver_that_takes_no_time_keeps_all_slots_busy(tmp_path: Path) -> None:
    found, log = searched(tmp_path)
    summary = summarize(log, 0)
    assert summary["utilisation_amid"] == pytest.approx(1.0)
    assert summary["start_up_seconds"] == START_SECONDS
    assert summary["delay_99"] == summary["driver_share"] == 0.0
    trained = sum(row.summaries[0].seconds for row in found.ended)
    assert log.last_end.trained == pytest.approx(trained)
    whole = trained / (3 * log.last_end.time)
    assert summary["utilisation"] == pytest.approx(whole)
    assert 0 < summary["tail_seconds"] <= 201 * (1 + simulated_trainable.SPEED_SPREAD)


@pytest.mark.usefixtures("even_speed")
def test_a_worker_that_waits_for_a_slow_driver_is_idle_at_every_report(tmp_path: Path) -> None:
    _, log = searched(tmp_path, SLOW, slots=1, trials=2, ahead=False)
    # A baseline: 40 reports of 5 epochs. The driver takes a second for each, for the worker that
    # has started, and for the one that was given the second trial.
    assert log.last_end.trained == pytest.approx(400)
    assert log.last_end.time == pytest.approx(START_SECONDS + 1 + 40 * (5 + 1) + 1 + 40 * (5 + 1))
    assert len(log.delays) == 80
    assert log.last_end.busy == pytest.approx(80 + 2)
    assert max(log.delays) == 0.0


@pytest.mark.usefixtures("even_speed")
def test_an_engine_is_idle_where_the_driver_decides_alone(tmp_path: Path) -> None:
    _, log = searched(tmp_path, SLOW, slots=1, trials=2)
    # Behind the two rungs and the end of each trial.
    assert log.last_end.trained == pytest.approx(400)
    assert log.last_end.time == pytest.approx(START_SECONDS + 2 * (200 + 3 * 1))


@pytest.mark.usefixtures("even_speed")
def test_slots_beyond_what_the_driver_can_serve_are_of_no_use(tmp_path: Path) -> None:
    _, log = searched(tmp_path, SLOW, slots=10, trials=30, ahead=False)
    summary = summarize(log, 0)
    # A second of the driver for 5 of a slot, and a little more for the ends of trials.
    assert summary["slots_per_driver"] == pytest.approx(5, rel=0.05)
    assert summary["utilisation_amid"] == pytest.approx(0.5, rel=0.1)
    assert summary["driver_share"] == pytest.approx(1.0, abs=0.01)
    assert summary["reports_per_second"] == pytest.approx(1.0, rel=0.05)
    # A slot comes round every 10 s: 5 of training, 1 of the driver, and the rest in line.
    assert sum(log.delays) / len(log.delays) == pytest.approx(4, rel=0.15)


def test_slots_report_by_the_rule_of_real_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, often = searched(tmp_path / "often", trials=4)
    monkeypatch.setattr(search.workers.reports, "REPORT_SECONDS", 1e9)
    _, seldom = searched(tmp_path / "seldom", trials=4)
    assert len(seldom.delays) == 4 * 3  # baselines: two rungs and the end
    assert len(often.delays) > 4 * 30


def test_a_recorded_table_can_be_searched(tmp_path: Path) -> None:
    found, _ = searched(tmp_path, trials=6, table=TABLE)
    values = [row.value for row in found.record.rows() if row.is_baseline]
    assert found.objective.epochs == 40
    assert all(value is not None and 85 < value < 97 for value in values)


def test_ctrl_c_ends_a_search_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = LoggedSearch.finish

    def interrupted(self: LoggedSearch, key: str) -> None:
        finish(self, key)
        if self.log.ended == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(scale_run.LoggedSearch, "finish", interrupted)
    summary = measure(case(trials=500, place=tmp_path))
    assert (summary["trials"], summary["asked"]) == (5, 500)
    assert summary["folder_mb"] > 0.05
    assert list(tmp_path.iterdir()) == []


def test_the_clock_counts_work_and_charges_and_jumps_over_waits() -> None:
    clock = DriverClock(count().__next__)  # a second passes whenever it is looked at
    with clock.stopped():
        first = clock.now
        assert clock.now == first
    clock.charge(10.0)
    clock.wait_until(1000.0)
    assert clock.now == pytest.approx(1000.0, abs=2)
    idle = clock.idle
    clock.wait_until(500.0)
    assert clock.idle == idle
    assert clock.busy == 6 - 1 + 10, "of its six looks here one was left out"


def test_work_is_processor_time_and_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: time.sleep(0.1))
    timer = WorkTimer()
    before = timer()
    with timer.watching():
        os.fsync(0)
        time.sleep(0.5)
    assert 0.09 < timer() - before < 0.5
