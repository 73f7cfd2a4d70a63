"""The history that a sampler is shown, and what it costs to keep."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState
from twin import fast_folder, make_settings

from search.config.objective import BenchmarkObjective, Objective
from search.samplers import history
from search.samplers.history import merit
from search.samplers.registry import SAMPLERS
from search.session.proposer import Proposer
from search.session.standings import Standings
from search.store.record import Record
from search.store.trials import PROPOSALS, Outcome

COUNTS = (500, 200, 80, 30, 10)
OBJECTIVE = Objective((BenchmarkObjective("five", 6, COUNTS, (COUNTS, COUNTS)),))


@pytest.fixture
def journal() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder / "study.journal"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show 3 and 12 trials, to keep the tests short."""
    monkeypatch.setattr(history, "BEST", 3)
    monkeypatch.setattr(history, "LATEST", 12)


def make_proposer(journal: Path, sampler: str) -> Proposer:
    record = Record.reopen(journal) if journal.exists() else Record.create(journal, (), 7)
    return Proposer(record, make_settings(sampler=sampler, baselines=()), 1, Standings(OBJECTIVE))


def run_trials(proposer: Proposer, trials: int) -> None:
    """Ask for trials and end them: most complete, every third stopped early, some failed."""
    record = proposer.record
    for _ in range(trials):
        row = proposer.ask()
        value = float(np.random.default_rng(row.seed).uniform(20, 80))
        record.report(row.key, 5, value - 10)
        if row.seed % 7 == 0:
            record.tell(row.key, Outcome.failed("it diverged"))
        elif row.seed % 3 == 0:
            record.tell(row.key, Outcome.stopped(value - 10, {}))
        else:
            record.tell(row.key, Outcome.complete(value, {}))


def shown(record: Record) -> list[FrozenTrial]:
    return record.studies[PROPOSALS].get_trials(deepcopy=False)


def every(record: Record) -> list[FrozenTrial]:
    return record.storage.every_trial(record.studies[PROPOSALS])


def numbers(trials: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials]


@pytest.mark.usefixtures("small")
def test_a_short_study_is_shown_whole(journal: Path) -> None:
    proposer = make_proposer(journal, "random")
    run_trials(proposer, 10)
    proposer.ask()
    assert shown(proposer.record) == every(proposer.record)
    assert len(shown(proposer.record)) == 11


@pytest.mark.usefixtures("small")
def test_a_long_study_shows_the_best_the_latest_and_those_that_run(journal: Path) -> None:
    proposer = make_proposer(journal, "random")
    running = [proposer.ask().key for _ in range(2)]
    run_trials(proposer, 60)
    record = proposer.record
    trials = [t for t in every(record) if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    failed = [t for t in every(record) if t.state == TrialState.FAIL]
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    best = sorted(complete, key=lambda t: -(t.value or 0.0))[:3]
    expected = {0, 1, *numbers(best), *numbers(trials[-12:]), *numbers(failed[-12:])}
    assert numbers(shown(record)) == sorted(expected)
    assert len(record.rows()) == 62
    assert running == [record.rows()[0].key, record.rows()[1].key]


@pytest.mark.usefixtures("small")
def test_a_record_that_is_opened_again_shows_the_same(journal: Path) -> None:
    proposer = make_proposer(journal, "random")
    flying = proposer.ask()
    run_trials(proposer, 40)
    proposer.record.report(flying.key, 5, 90.0)
    proposer.record.tell(flying.key, Outcome.complete(90.0, {}))  # the first one ends last
    run_trials(proposer, 5)
    again = Record.reopen(journal)
    assert shown(again) == shown(proposer.record)
    assert 0 in numbers(shown(again))


@pytest.mark.usefixtures("small")
def test_only_the_wanted_states_are_shown_and_copies_on_demand(journal: Path) -> None:
    proposer = make_proposer(journal, "random")
    run_trials(proposer, 40)
    study = proposer.study
    pruned = study.get_trials(states=(TrialState.PRUNED,))
    assert pruned
    assert {trial.state for trial in pruned} == {TrialState.PRUNED}
    pruned[0].params.clear()
    assert study.get_trials(states=(TrialState.PRUNED,))[0].params


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_of_a_short_study_are_as_without_the_bound(
    journal: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    found = []
    for latest, name in ((30, "bounded"), (10**6, "unbounded")):
        monkeypatch.setattr(history, "LATEST", latest)
        proposer = make_proposer(journal.with_name(name), sampler)
        run_trials(proposer, 22)
        found.append([trial.params for trial in every(proposer.record)])
    assert found[0] == found[1]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_goes_on_in_a_long_study(journal: Path, sampler: str) -> None:
    proposer = make_proposer(journal, sampler)
    run_trials(proposer, 24)
    drawn = [tuple(trial.params.items()) for trial in every(proposer.record)]
    assert len(set(drawn)) == 24


def test_full_length_trials_are_better_than_stopped_ones_and_those_that_came_far_than_others(
    journal: Path,
) -> None:
    record = Record.create(journal, (), 7)
    proposer = Proposer(
        record, make_settings(sampler="random", baselines=()), 1, Standings(OBJECTIVE)
    )
    ends = ((5, 90.0, False), (20, 30.0, False), (20, 40.0, False), (40, 20.0, True))
    for epoch, value, complete in (*ends, (40, 25.0, True)):
        key = proposer.ask().key
        record.report(key, epoch, value)
        end = Outcome.complete if complete else Outcome.stopped
        record.tell(key, end(value, {}))
    assert numbers(sorted(every(record), key=merit)) == [4, 3, 2, 1, 0]
