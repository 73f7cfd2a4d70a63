"""The history that a sampler is shown, and what it costs to keep."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
from forging import Lines, forge
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from twin import make_settings

from search.config.objective import BenchmarkObjective, Objective
from search.samplers import history
from search.samplers.history import merit
from search.samplers.registry import OPTUNA_SAMPLERS, STARTUP_TRIALS, make_sampler
from search.session.proposer import Proposer
from search.session.standings import Standings
from search.store.record import Record
from spaces.errors import UserError

COUNTS = (500, 200, 80, 30, 10)
OBJECTIVE = Objective((BenchmarkObjective("five", 6, COUNTS, (COUNTS, COUNTS)),))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show 3 and 12 trials, to keep the tests short."""
    monkeypatch.setattr(history, "BEST", 3)
    monkeypatch.setattr(history, "LATEST", 12)


def make_proposer(journal: Path, sampler: str, attempt: int = 1) -> Proposer:
    record = Record.reopen(journal) if journal.exists() else Record.create(journal, (), 7)
    settings = make_settings(sampler=sampler, baselines=())
    return Proposer(record, settings, attempt, Standings(OBJECTIVE))


def run_trials(proposer: Proposer, trials: int) -> None:
    """Ask for trials and end them: most complete, every third stopped early, some failed."""
    record = proposer.record
    for _ in range(trials):
        row = proposer.ask()
        value = float(np.random.default_rng(row.seed).uniform(20, 80))
        record.report(row.key, 5, value - 10)
        if row.seed % 7 == 0:
            record.tell(row.key, "failed", reason="it diverged")
        elif row.seed % 3 == 0:
            record.tell(row.key, "stopped", score=value - 10)
        else:
            record.tell(row.key, "complete", score=value)


def shown(proposer: Proposer) -> list[FrozenTrial]:
    """Return what the sampler would be shown now."""
    proposer.catch_up()
    return proposer.study.get_trials(deepcopy=False)


def every(proposer: Proposer) -> list[FrozenTrial]:
    proposer.catch_up()
    history = proposer.history
    return InMemoryStorage.get_all_trials(history, history.study_id, deepcopy=False)


def facts(trial: FrozenTrial) -> dict[str, object]:
    """Return all of a trial but the times, which samplers do not look at."""
    return {k: v for k, v in vars(trial).items() if "datetime" not in k}


def numbers(trials: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials]


@pytest.mark.usefixtures("small")
def test_a_short_study_is_shown_whole(journal: Path) -> None:
    proposer = make_proposer(journal, "random")
    run_trials(proposer, 10)
    proposer.ask()
    assert shown(proposer) == every(proposer)
    assert len(shown(proposer)) == 11


@pytest.mark.usefixtures("small")
def test_a_long_study_shows_the_best_the_latest_and_those_that_run(journal: Path) -> None:
    proposer = make_proposer(journal, "random")
    running = [proposer.ask().key for _ in range(2)]
    run_trials(proposer, 60)
    record = proposer.record
    trials = [t for t in every(proposer) if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    failed = [t for t in every(proposer) if t.state == TrialState.FAIL]
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    best = sorted(complete, key=lambda t: -(t.value or 0.0))[:3]
    expected = {0, 1, *numbers(best), *numbers(trials[-12:]), *numbers(failed[-12:])}
    assert numbers(shown(proposer)) == sorted(expected)
    assert len(record.rows()) == 62
    assert running == [record.rows()[0].key, record.rows()[1].key]


@pytest.mark.usefixtures("small")
def test_a_record_that_is_opened_again_shows_the_same(journal: Path) -> None:
    proposer = make_proposer(journal, "random")
    flying = proposer.ask()
    run_trials(proposer, 40)
    proposer.record.report(flying.key, 5, 90.0)
    proposer.record.tell(flying.key, "complete", score=90.0)  # the first one ends last
    run_trials(proposer, 5)
    again = make_proposer(journal, "random")
    assert list(map(facts, shown(again))) == list(map(facts, shown(proposer)))
    assert 0 in numbers(shown(again))


@pytest.mark.parametrize("sampler", OPTUNA_SAMPLERS)
def test_an_attempt_proposes_the_same_from_a_record_as_from_memory(
    journal: Path, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "LATEST", 30)
    first = make_proposer(journal, sampler)
    if sampler == "gp":  # slow, and it keeps nothing with its trials
        first.study.sampler = make_sampler("random", 7, 1)
    run_trials(first, 20)
    first.ask()
    run_trials(first, 18)
    flying = first.ask()
    copy = Path(shutil.copy(journal, journal.with_name("copy")))
    again = make_proposer(copy, sampler, attempt=2)
    first.study.sampler = make_sampler(sampler, 7, 2)
    for proposer in (first, again):
        proposer.record.tell(flying.key, "complete", score=55.5)
    for _ in range(3):
        ours, theirs = first.ask(), again.ask()
        assert ours.strategy == theirs.strategy


def test_a_draw_that_could_not_be_recorded_is_proposed_again(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposer = make_proposer(journal, "tpe")
    run_trials(proposer, 12)
    again = make_proposer(Path(shutil.copy(journal, journal.with_name("copy"))), "tpe", 2)
    proposer.study.sampler = make_sampler("tpe", 7, 2)
    with monkeypatch.context() as patch:
        patch.setattr("search.store.record.append_whole", full_disk)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                proposer.ask()
    assert [proposer.ask() for _ in range(3)] == [again.ask() for _ in range(3)]
    assert len(every(proposer)) == len(proposer.record.trials["proposals"]) == 15


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("sampler", "place", "name", "content"),
    (
        ("tpe", "attrs", "tpe:relative_params:0", "[7]"),
        ("qmc", "study", None, "far"),
    ),
)
def test_attributes_that_no_sampler_wrote_are_an_error_on_the_record(
    journal: Path, sampler: str, place: str, name: str | None, content: object
) -> None:
    proposer = make_proposer(journal, sampler)
    run_trials(proposer, 20)
    proposer.ask()

    def change(lines: Lines) -> Lines:
        for _, fact in lines:
            attrs = fact.get("drawn", {}).get(place, {})
            attrs.update({key: content for key in attrs if name in (key, None)})
        return lines

    forge(journal, change)
    with pytest.raises(UserError, match=r"record.jsonl .*; restore the file"):
        make_proposer(journal, sampler, 2).ask()


def test_nothing_is_said_of_a_new_study(
    journal: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    make_proposer(journal, "random")
    assert capsys.readouterr() == ("", "")
    assert not caplog.records


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


@pytest.mark.parametrize("sampler", OPTUNA_SAMPLERS)
def test_proposals_of_a_short_study_are_as_without_the_bound(
    journal: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    found = []
    for latest, name in ((30, "bounded"), (10**6, "unbounded")):
        monkeypatch.setattr(history, "LATEST", latest)
        proposer = make_proposer(journal.with_name(name), sampler)
        run_trials(proposer, STARTUP_TRIALS + 5)
        found.append([trial.params for trial in every(proposer)])
    assert found[0] == found[1]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("sampler", OPTUNA_SAMPLERS)
def test_every_sampler_goes_on_in_a_long_study(journal: Path, sampler: str) -> None:
    proposer = make_proposer(journal, sampler)
    run_trials(proposer, 18)
    drawn = [tuple(trial.params.items()) for trial in every(proposer)]
    assert len(set(drawn)) == 18


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
        end = "complete" if complete else "stopped"
        record.tell(key, end, score=value)
    assert numbers(sorted(every(proposer), key=merit)) == [4, 3, 2, 1, 0]
