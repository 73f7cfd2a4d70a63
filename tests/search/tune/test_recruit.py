"""What a trial holds of a cluster, and how many trials share a GPU."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import RayTaskError
from training import DIGITS

from search.config.settings import Resources
from search.results.forecast import Forecast
from search.session.interrupt import Interrupt
from search.tune import recruit
from search.tune.capacity import fitting
from search.tune.recruit import at_a_time, measured_slots, share, speeds_on_this_gpu
from search.workers.code_version import CodeVersion
from search.workers.setup import WorkerSetup
from spaces.errors import UserError
from trainer.prepared import load, prepare


def resources(cpus: int = 1, gpu: bool = True, slots: int | None = None) -> Resources:
    return Resources(cpus, gpu, slots=slots, concurrent=None, address=None)


def setup(place: Path, benchmarks: int = 1) -> WorkerSetup:
    return WorkerSetup(
        benchmarks=(DIGITS.with_epochs(1),) * benchmarks,
        images=(partial(load, prepare(DIGITS, place), DIGITS),) * benchmarks,
        run=place,
        proof=place,
        code_version=CodeVersion.here(),
        precision="tf32",
        compiled=False,
        device="cpu",
        threads=1,
        save_every=1,
    )


@pytest.mark.parametrize("parts", range(1, 33))
def test_all_shares_of_a_gpu_fit_and_leave_next_to_nothing(parts: int) -> None:
    assert 0.99 < parts * share(1, parts) <= 1


def test_a_cluster_whose_nodes_are_away_is_taken_for_one_that_runs_a_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recruit, "capacity_of", lambda *_: SimpleNamespace(limit=lambda: 0))
    assert at_a_time({"cpu": 1}, resources()) == 1


@pytest.mark.parametrize("slots", range(1, 33))
def test_as_many_trials_fit_as_there_are_slots(slots: int) -> None:
    held = {"cpu": share(1, slots), "gpu": share(1, slots)}
    assert fitting({"CPU": 16.0, "GPU": 3.0}, held) == 3 * slots


class FakeTask:
    """In the place of a remote function."""

    def remote(self, setup: WorkerSetup, slots: int | None = None) -> str:
        return "future"


def fake_remote(**_: Any) -> Callable[[object], FakeTask]:
    return lambda function: FakeTask()


def found_and_told(
    place: Path, speeds: list[dict[int, float]], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, list[str]]:
    """Return the number of slots and the lines about it, where a GPU trains at these speeds."""
    monkeypatch.setattr(ray, "remote", fake_remote)
    monkeypatch.setattr(ray, "wait", lambda futures, timeout: (futures, []))
    monkeypatch.setattr(ray, "get", lambda future: speeds)
    told: list[str] = []
    found, _ = measured_slots(setup(place, len(speeds)), resources(), told.append, Interrupt())
    return found, told[1:]


def test_the_number_found_by_trying_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found_and_told(tmp_path, [{1: 100.0, 2: 190.0, 4: 192.0}], monkeypatch) == (
        2,
        ["2 trials at a time on a GPU (images/s by number of trials: 1: 100, 2: 190, 4: 192)"],
    )


def test_of_several_benchmarks_the_one_with_the_fewest_trials_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = [{1: 100.0, 2: 190.0, 4: 192.0}, {1: 10.0, 2: 20.0, 4: 40.0}]
    assert found_and_told(tmp_path, speeds, monkeypatch) == (
        2,
        [
            "resnet8-digitslt: 2 (images/s by number of trials: 1: 100, 2: 190, 4: 192)",
            "resnet8-digitslt: 4 (images/s by number of trials: 1: 10, 2: 20, 4: 40)",
            "2 trials at a time on a GPU",
        ],
    )


def test_ctrl_c_ends_the_trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = []
    monkeypatch.setattr(ray, "remote", fake_remote)
    monkeypatch.setattr(ray, "wait", lambda futures, timeout: ([], futures))
    monkeypatch.setattr(ray, "cancel", lambda future, force: cancelled.append(future))
    interrupt = Interrupt()
    interrupt.signal = 2
    assert measured_slots(setup(tmp_path), resources(), print, interrupt) == (1, ())
    assert cancelled == ["future"]


@pytest.mark.parametrize(
    ("cause", "sentence"),
    (
        (UserError("torch sees 0 CUDA devices."), r"torch sees 0 CUDA devices\."),
        (
            RuntimeError("no Triton\nat all"),
            r"measuring failed on a worker .RuntimeError: no Triton",
        ),
    ),
)
def test_measuring_that_fails_on_a_worker_is_told_in_a_sentence(
    cause: Exception, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(future: object) -> None:
        raise RayTaskError("speeds_on_this_gpu", "Traceback: ...", cause).as_instanceof_cause()

    monkeypatch.setattr(ray, "remote", fake_remote)
    monkeypatch.setattr(ray, "wait", lambda futures, timeout: (futures, []))
    monkeypatch.setattr(ray, "get", failed)
    with pytest.raises(UserError, match=f"^{sentence}[^\n]*$") as caught:
        measured_slots(setup(tmp_path), resources(), print, Interrupt())
    assert not isinstance(caught.value, RayTaskError)


def test_the_speeds_are_measured_even_where_the_protocol_is_one_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recruit, "MOST_SLOTS", 1)
    assert [speeds.keys() for speeds in speeds_on_this_gpu(setup(tmp_path, 2))] == [{1}, {1}]


def test_the_engines_of_several_benchmarks_are_to_fit_on_a_gpu_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recruit, "calibrate", lambda *_, engines: {engines: 1.0})
    assert speeds_on_this_gpu(setup(tmp_path, 2)) == [{2: 1.0}] * 2


def test_a_number_of_trials_that_is_given_is_measured_alone(tmp_path: Path) -> None:
    assert [speeds.keys() for speeds in speeds_on_this_gpu(setup(tmp_path), 2)] == [{2}]


@pytest.mark.parametrize(
    ("gpu", "answer", "held", "epoch", "first"),
    (
        (True, [{8: 400.0}], {"cpu": 0.125, "gpu": 0.125}, 8 * 398 / 400, "Measuring 8 trials"),
        (False, [0.5], {"cpu": 1.0}, 0.5, "Measuring a few steps on a CPU of the cluster"),
    ),
)
def test_before_a_search_what_trains_is_measured_on_ray(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpu: bool,
    answer: list[object],
    held: dict[str, float],
    epoch: float,
    first: str,
) -> None:
    monkeypatch.setattr(ray, "remote", fake_remote)
    monkeypatch.setattr(ray, "put", lambda data: "reference")
    monkeypatch.setattr(ray, "wait", lambda futures, timeout: (futures, []))
    monkeypatch.setattr(ray, "get", lambda future: answer)
    asked: list[dict[str, float]] = []
    monkeypatch.setattr(recruit, "at_a_time", lambda held, _: asked.append(held) or 16)
    told: list[str] = []
    images = (setup(tmp_path).images[0](),)
    given = resources(gpu=gpu, slots=8 if gpu else None)
    found = recruit.measured_on_ray(setup(tmp_path), images, given, told.append)
    assert found == Forecast((pytest.approx(epoch),), 16, slots=8 if gpu else 0, alone=not gpu)
    assert asked == [held]
    assert told[0].startswith(first)


def test_an_epoch_is_timed_on_a_worker_for_each_benchmark(tmp_path: Path) -> None:
    assert [0 < seconds < 60 for seconds in recruit.epoch_seconds_here(setup(tmp_path, 2))] == [
        True,
        True,
    ]
