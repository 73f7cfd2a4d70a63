"""The trials of a run that is being searched, as whoever looks at it sees them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from confirming import PLAIN, new_run
from leases import holder
from twin import JOINT, OBJECTIVE, attempt, fast_folder, results_of

from search.config.objective import Objective
from search.report.in_flight import in_flight_text
from search.results.conclusion import Conclusion
from search.session.search import Search
from search.store import lease
from search.store.lease import Lease, held, living_holder
from search.store.run_folder import RunFolder


@pytest.fixture
def place() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder / "run"


def begun(place: Path, objective: Objective = OBJECTIVE) -> Search:
    return attempt(new_run(place, objective), PLAIN, 8, objective=objective)


def text_of(search: Search) -> list[str]:
    search.folder.begin_attempt({"resources": {}, "device": "cpu"})
    return in_flight_text(Conclusion.of(RunFolder(search.folder.path)))


def test_each_running_trial_is_told_by_its_epochs_and_scores(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = begun(place)
    first, second = search.next_trial(), search.next_trial()
    assert first is not None
    assert second is not None
    results = results_of(first.row.seed, 2)
    for result in results:
        search.report(first.row.key, 0, result)
    written = search.folder.epochs_file(first.row.key).stat().st_mtime
    clock = SimpleNamespace(time=lambda: written + 150)
    monkeypatch.setattr("search.report.in_flight.time", clock)
    with held(place, print):
        head, *lines = text_of(search)
    assert head.startswith("Being searched by process ")
    assert head.endswith(". Running trials: 2")
    assert lines[0].startswith(
        f"  uniform: 2 of 6 epochs, {results[1].score:.2f} % "
        f"(best {results[1].best_score:.2f}), the last one about 2.5 minutes ago"
    )
    assert lines[1].endswith(": in the first of 6 epochs")


def test_each_benchmark_of_a_joint_search_is_told(place: Path) -> None:
    search = begun(place, JOINT)
    trial = search.next_trial()
    assert trial is not None
    search.report(trial.row.key, 1, results_of(trial.row.seed, 1)[0])
    line = text_of(search)[1]
    assert ": in the first of 6 epochs; 1 of 4 epochs, " in line


def test_a_run_that_nobody_searches_says_so_and_a_finished_one_says_nothing(place: Path) -> None:
    search = begun(place)
    trial = search.next_trial()
    assert trial is not None
    assert text_of(search)[0] == ("Nobody is searching it now. Trials that go on with --resume: 1")
    search.fail(trial.row.key, "it diverged")
    assert text_of(search) == []


def test_a_holder_on_another_machine_is_alive_if_it_renews_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.02)
    assert living_holder(tmp_path) is None
    holder(tmp_path)
    assert living_holder(tmp_path) is None
    read, beats = Lease._read, iter(range(100))
    monkeypatch.setattr(Lease, "_read", lambda self: replace(read(self), beat=next(beats) // 2))
    assert living_holder(tmp_path) == "process 12 on far"
